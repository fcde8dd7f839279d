"""This project's speed beside a peer's or the machine's limit, in one run: `make bench`."""
