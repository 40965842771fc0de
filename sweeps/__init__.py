"""The only wiring: a sweep's file, its run on Ray Tune, its memory and its results.

from sweeps import Sweep
result = Sweep(trainable="classify", space={...}, metric="val_accuracy", mode="max", trials=32).run()
"""

from sweeps.results import Results
from sweeps.run import resume
from sweeps.spec import SpecError, Sweep

__all__ = ["Results", "SpecError", "Sweep", "resume"]
