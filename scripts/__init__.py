"""The workflow's steps: a folder a stage, an entry script a rule."""
