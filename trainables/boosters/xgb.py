"""XGBoost (Chen & Guestrin 2016): the library itself, with its own sums of histograms over ranks.

Every rank cuts features where the whole training split has its quantiles (`QuantileDMatrix(ref=...)`), and
random rows are given as weights of 0 and 1, because XGBoost would draw them on each rank anew. So the number
of ranks changes nothing.

Every report begins with a booster made from the bytes of the last one, as in `xgboost.train(xgb_model=...)`:
what a checkpoint does not hold, such as the state of the column sampler, no report takes over either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from trainables.boosters.sampling import drawn
from trainables.boosters.trees import Array
from trainables.engine import data
from trainables.engine.ddp import Ranks

MISSING = (
    "XGBoost is not installed: pip install 'starling-sweeps[xgboost]' (5.6 MB, for the CPU); the package "
    "`xgboost` works as well."
)


class XGBoost:
    """A booster of the library, on the CPU.

    Args:
        config: `learning_rate`, `max_depth`, `max_bins`, `subsample`, `colsample_bytree`, `reg_lambda`,
            `gamma`, `min_child_weight`, `seed`.
        train: all rows (n, d) float32 and their classes or numbers (n,); this rank keeps its share.
        classes: 0 where numbers are to be predicted.
        followed: rows of other splits, this rank's share, whose margins are wanted as well.

    Raises:
        ValueError: the library is not installed; says how to install it.
    """

    ended = False

    def __init__(
        self, config: Any, train: tuple[Array, Array], classes: int, followed: Sequence[Array], ranks: Ranks
    ) -> None:
        try:
            import xgboost
        except ModuleNotFoundError as error:
            raise ValueError(MISSING) from error
        self.config, self.ranks, self.classes, self._library = config, ranks, classes, xgboost
        x, y = train
        self._rows, self._part = len(y), data.share(len(y), ranks.rank, ranks.size)
        self._train = whole = xgboost.QuantileDMatrix(x, y, max_bin=config.max_bins)
        if ranks.size > 1:
            self._train = xgboost.QuantileDMatrix(
                x[self._part], y[self._part], ref=whole, max_bin=config.max_bins
            )
        self._splits = [self._train, *(xgboost.DMatrix(rows) for rows in followed)]
        self._raw: bytes | None = None

    def grow(self, first: int, count: int) -> None:
        """Rounds first ... first + count - 1."""
        with self._library.config_context(verbosity=1), _joined(self.ranks):
            booster = self._booster()
            for number in range(first, first + count):
                if self.config.subsample < 1:
                    c = self.config
                    self._train.set_weight(drawn(c.seed, number, self._rows, self._part, c.subsample))
                booster.update(self._train, number)
                self.ranks.beats += 1
            self._raw = bytes(booster.save_raw("ubj"))

    @property
    def margins(self) -> list[Array]:
        """Of this rank's rows of each split, the training split first; (n, K)."""
        booster = self._booster()
        return [
            booster.predict(rows, output_margin=True).reshape(rows.num_row(), -1).astype(np.float64)
            for rows in self._splits
        ]

    def _booster(self) -> Any:
        """The trees so far, to be continued under the hyperparameters of now."""
        c, threads = self.config, torch.get_num_threads()
        task: dict[str, Any] = {"objective": "reg:squarederror"}
        if self.classes:
            task = {"objective": "binary:logistic"}
        if self.classes > 2:
            task = {"objective": "multi:softprob", "num_class": self.classes}
        params = task | {
            "tree_method": "hist",
            "nthread": threads,
            "seed": c.seed,
            "seed_per_iteration": True,
            "eta": c.learning_rate,
            "max_depth": c.max_depth,
            "max_bin": c.max_bins,
            "colsample_bytree": c.colsample_bytree,
            "lambda": c.reg_lambda,
            "gamma": c.gamma,
            "min_child_weight": c.min_child_weight,
        }
        booster = self._library.Booster(params, [self._train])
        if self._raw is not None:
            booster.load_model(bytearray(self._raw))
            booster.set_param(params)
        return booster

    def state_dict(self) -> dict[str, Any]:
        """The library's own model file (UBJSON) as bytes."""
        return {"ubj": torch.frombuffer(bytearray(self._raw or b"\0"), dtype=torch.uint8)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the saved trees."""
        raw = state["ubj"].numpy().tobytes()
        self._raw = None if raw == b"\0" else raw


@contextmanager
def _joined(ranks: Ranks) -> Iterator[None]:
    """Within this block XGBoost sums over ranks; joining takes it about 0.15 s.

    Its workers listen on every interface of their node meanwhile, at ports of the system's choice.
    """
    if ranks.size == 1:
        yield
        return
    import ray
    from xgboost import collective, tracker

    places = torch.zeros(ranks.size, 4, dtype=torch.int64)
    places[ranks.rank] = torch.tensor([int(byte) for byte in ray.util.get_node_ip_address().split(".")])
    one_node = bool((ranks.sum(places) == places[0]).all())
    address = "127.0.0.1" if one_node else ".".join(map(str, places[0].tolist()))
    port, host = torch.zeros(1, dtype=torch.int64), None
    if ranks.rank == 0:
        host = tracker.RabitTracker(n_workers=ranks.size, host_ip=address, sortby="task")
        host.start()
        port += int(host.worker_args()["dmlc_tracker_port"])
    ranks.sum(port)
    with collective.CommunicatorContext(
        dmlc_tracker_uri=address,
        dmlc_tracker_port=int(port),
        dmlc_task_id=f"{ranks.rank:06d}",
    ):
        yield
    if host is not None:
        host.wait_for(60)
