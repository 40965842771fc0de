"""Derivatives of a validation loss with respect to hyperparameters, through the whole training run.

`unrolled.py` has the run and both ways through it: backwards, whose cost does not depend on how many
hyperparameters there are, and forwards, for one or two. `updates.py` has the optimisers as pure functions:
PyTorch's own cannot all be differentiated, and no library for it is kept up.
"""
