"""From a trained adapter to the model that is served, and the proof that it is the same model."""
