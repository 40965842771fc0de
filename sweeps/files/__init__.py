"""A sweep in files: our YAML, W&B's, and Python recipes, read and written; `sweep_file.load` is the door."""
