"""Serving speed: the benchmark of a served model."""
