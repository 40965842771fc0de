"""A plain function as a Tune trial: Ray's own, which keeps what the function prints (`engine.output`)."""

import logging
from collections.abc import Callable
from typing import Any

from ray.tune.trainable.function_trainable import wrap_function

from trainables.engine.output import Output

RAYS_OWN = "ray.train._internal.storage"
"""Logs every checkpoint, which is no word of the function's."""


def trial_class(function: Callable[..., Any], name: str) -> Any:
    """The class that Ray runs, with the function's own resources."""
    ours: Any = wrap_function(function, name)

    class FunctionTrial(ours):  # type: ignore[misc]  # made by Ray at run time
        """One trial; its process runs one function after the other, each in a thread."""

        output: Output | None = None

        def _trainable_func(self, config: dict[str, Any]) -> Any:
            if self.output is None:
                self.output = Output()
                logging.getLogger(RAYS_OWN).setLevel(logging.WARNING)
            if self._storage is not None:  # Ray has no public name for it
                self.output.turn_to(self._storage.storage_filesystem, self._storage.trial_fs_path)
            try:
                return super()._trainable_func(config)
            except Exception:
                self.output.failed()
                raise
            finally:
                self.output.keep()

    FunctionTrial.__name__ = FunctionTrial.__qualname__ = name
    return FunctionTrial
