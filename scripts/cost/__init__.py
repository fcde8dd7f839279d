"""What training and serving cost."""
