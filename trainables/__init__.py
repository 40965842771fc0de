"""What one trial trains: tasks by name, users' own tasks and functions, and the engine that runs them."""

from trainables.engine.hparams import Hyperparameter
from trainables.registry import Program, load, names, register

__all__ = ["Hyperparameter", "Program", "load", "names", "register"]
