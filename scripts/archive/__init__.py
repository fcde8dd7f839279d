"""One file that keeps a run: results, configuration, locks, commit and hashes."""
