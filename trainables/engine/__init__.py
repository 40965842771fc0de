"""What runs a task: hyperparameters, data, the training loop, and the ranks of a distributed trial.

Importing this package does not import torch, so that the process that only conducts a trial starts quickly.
"""

from trainables.engine.hparams import Hyperparameter, declared, hyper, tune_space
from trainables.engine.settings import Training
from trainables.engine.task import Task

__all__ = ["Hyperparameter", "Task", "Training", "declared", "hyper", "tune_space"]
