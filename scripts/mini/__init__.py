"""Makes the mini world of resources/mini: corpus, problems, tokenizer and model."""
