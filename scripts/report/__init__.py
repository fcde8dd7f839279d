"""Tables, figures and the summary."""
