"""The only wiring: a sweep's file, its run on Ray Tune, its memory and its results."""

from sweeps.spec import SpecError, Sweep

__all__ = ["SpecError", "Sweep"]
