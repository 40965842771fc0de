"""Networks by themselves: they know of no task, no data and no training."""
