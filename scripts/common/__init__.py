"""What several stages share, and no more."""
