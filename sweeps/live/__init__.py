"""A sweep that another process runs: watched, stopped, its trials' output read. Only its folder is needed."""
