"""The only wiring: a sweep's file, its run on Ray Tune, its memory and its results.

    from sweeps import Sweep
    result = Sweep(trainable="classify", space={...}, metric="val_accuracy", mode="max", trials=32).run()
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.results import Results
    from sweeps.run import resume
    from sweeps.spec import SpecError, Sweep

__all__ = ["Results", "SpecError", "Sweep", "resume"]

_HOMES = {"Results": "results", "SpecError": "spec", "Sweep": "spec", "resume": "run"}


def __getattr__(name: str) -> Any:
    """Imported when asked for: Ray alone takes two seconds, which `starling ls` need not wait for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sweeps' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(f"sweeps.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
