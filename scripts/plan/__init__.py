"""What a training run needs and takes, asked of the real compiler before anyone pays for a chip."""
