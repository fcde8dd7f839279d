"""From CodeV-R1 rows to token arrays; the base model in place."""
