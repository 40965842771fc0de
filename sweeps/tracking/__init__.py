"""Weights & Biases: a sweep's trials as runs on a sweep page of W&B's.

    driver --> journal --> one process (`sink`) --> W&B, or its logs on this machine

The process is told nothing: it reads the journal, so that it slows nobody down, may be killed at any moment,
and is the same for a running sweep, for `starling sync` and for `starling export --to wandb`. A trial's n-th
report is its run's n-th row (W&B's step n - 1), so that whoever opens a run sees in W&B's own count which
rows are missing there.
"""
