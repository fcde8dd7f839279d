"""LoRA fine-tuning: Tunix on JAX, TRL on PyTorch, the same samples in the same steps."""
