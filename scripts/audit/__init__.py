"""What the paper says, recomputed: every number and claim with a verdict."""
