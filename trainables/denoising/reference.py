"""Networks for where no checkpoint is given: trained on first use, once a node, kept in STARLING_CACHE."""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from trainables.denoising.described import restored
from trainables.engine import checkpoint, hparams
from trainables.engine.ddp import Ranks
from trainables.engine.images import cache_folder
from trainables.engine.loop import Loop
from trainables.engine.task import Task

FORMAT = 1
WAIT_S = 0.2


def trained(
    cls: type[Task], settings: Mapping[str, Any], device: torch.device, alive: Callable[[], None]
) -> tuple[Task, nn.Module]:
    """A task with these settings and its network after `epochs` of them; always the same one.

    The first caller on a node trains, all others wait for it.

    Args:
        alive: called now and then, by those who wait as well.
    """
    text = json.dumps([FORMAT, cls.__qualname__, dict(settings)], sort_keys=True)
    folder = cache_folder() / "networks" / hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        while not (folder / checkpoint.FILE).is_file():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released when the file closes
            except OSError:
                alive()
                time.sleep(WAIT_S)
                continue
            if not (folder / checkpoint.FILE).is_file():
                checkpoint.write(folder, checkpoint.pack(_train(cls, settings, device, alive)))
    return restored(cls, settings, checkpoint.unpack(checkpoint.read(folder)))


def _train(
    cls: type[Task], settings: Mapping[str, Any], device: torch.device, alive: Callable[[], None]
) -> dict[str, Any]:
    task = cls(hparams.make(cls.Config, settings))
    task.setup()
    loop = Loop(task, Ranks(0, 1, device))
    while loop.samples < task.config.epochs * len(loop.train):
        loop.advance()
        alive()
    return loop.state_dict()
