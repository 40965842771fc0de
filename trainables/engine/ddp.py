"""Everything distributed: rank actors in the trial's placement group, their process group, and the watchdog.

Three parts, top down: `Crew` lives in the trial and speaks to all ranks at once; `RankActor` is the process
of one rank; `Ranks` is what a task and the loop see of the others. torch is imported in the rank processes
only. Longer than other files, so that everything that may hang or leak is here.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import ray
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from trainables.engine.output import Output

if TYPE_CHECKING:
    import torch

EVALUATION_BATCH = 256
STARTING, START_S = ("place", "join", "build"), 300.0  # no steps yet: processes start, data are decoded
LOGICAL_GPUS = "STARLING_LOGICAL_GPUS"  # set where GPUs are only a number in Ray's books, as in a simulation
GRACE_S = 2.0  # how long to listen for a better explanation once one rank has failed


class TrialFailed(RuntimeError):
    """A trial cannot go on; the message says which rank, in which verb, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What the trial's process must know to start its ranks."""

    name: str
    """The trainable's public name, for messages."""
    task: bytes
    """The task class, pickled by the driver; only ranks unpickle it, so the trial need not import torch."""
    ranks: int
    cpus_per_rank: float
    gpus_per_rank: float
    mutable: frozenset[str] = frozenset()
    pictures: bool = False
    """Whether a checkpoint has the task's pictures."""
    watchdog_s: float = 300.0
    """A rank that makes no step for this long is reported as hung."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the driver that ranks need, wherever they run."""

    def __post_init__(self) -> None:
        wrong = []
        if self.ranks < 1:
            wrong.append(f"ranks is {self.ranks}; it must be at least 1.")
        if self.cpus_per_rank <= 0:
            wrong.append(f"cpus_per_rank is {self.cpus_per_rank}; it must be above 0.")
        whole = float(self.gpus_per_rank).is_integer()
        if self.gpus_per_rank < 0 or (self.gpus_per_rank > 1 and not whole):
            wrong.append(
                f"gpus_per_rank is {self.gpus_per_rank}; allowed: 0, a fraction of 1, or whole devices."
            )
        elif self.ranks > 1 and not whole:
            wrong.append(
                f"gpus_per_rank is {self.gpus_per_rank} with {self.ranks} ranks; NCCL needs a whole device "
                "for each rank. Use whole GPUs, or ranks=1 to share one."
            )
        if self.watchdog_s <= 0:
            wrong.append(f"watchdog_s is {self.watchdog_s}; it must be above 0.")
        if wrong:
            raise ValueError(" ".join(wrong))

    def bundles(self) -> list[dict[str, float]]:
        """The trial's resources: an empty head, then one bundle a rank, granted all at once or not at all."""
        rank = {"CPU": float(self.cpus_per_rank)}
        if self.gpus_per_rank:
            rank["GPU"] = float(self.gpus_per_rank)
        return [{}] + [dict(rank) for _ in range(self.ranks)]


class Crew:
    """The rank actors of one trial: kept over changes of config, stopped when one of them fails."""

    def __init__(self, plan: Plan, group: PlacementGroup) -> None:
        self.plan = plan
        self.folder: str | None = None
        # An empty head bundle may have been dropped from the group, so count from its end.
        first = group.bundle_count - plan.ranks
        self.actors = [
            _remote(RankActor)
            .options(
                num_cpus=plan.cpus_per_rank,
                num_gpus=plan.gpus_per_rank,
                scheduling_strategy=PlacementGroupSchedulingStrategy(group, first + i),
            )
            .remote(plan)
            for i in range(plan.ranks)
        ]
        self.places: list[tuple[str, int]] = []
        """(node, process id) of each rank, once they have joined."""
        self.prints_to: str | None = None
        """The folder of the trial that the ranks' output is kept with."""

    def join(self) -> None:
        """Wait for the actors to start and connect them; nothing to do the second time."""
        if self.places:
            return
        places = self.all("place")
        store = None
        if len(self.actors) > 1:
            here = _own_address()
            if {node for node, _ in places} == {here}:  # one machine: they meet in a file, nothing listens
                self.folder = tempfile.mkdtemp(prefix="starling-")
                store = f"file://{self.folder}/store"
            else:
                store = ray.get(self.actors[0].host_store.remote(len(self.actors)))
        self._obey([actor.obey.remote("join", store, i) for i, actor in enumerate(self.actors)], "join")
        self.places = places

    def print_to(self, filesystem: Any, folder: str) -> None:
        """Keep what the ranks print from here on with this trial (`engine.output`)."""
        if self.prints_to != folder:
            self.all("print_to", filesystem, folder)
            self.prints_to = folder

    def all(self, verb: str, *args: Any) -> list[Any]:
        """`verb` on every rank; their answers in order of rank.

        Raises:
            TrialFailed: if a rank raises, dies (noticed at once), or makes no step for `watchdog_s`. The
                crew is stopped then: the other ranks may hang in a collective.
        """
        return self._obey([actor.obey.remote(verb, *args) for actor in self.actors], verb)

    def stop(self) -> None:
        """Kill every rank at once."""
        for actor in self.actors:
            ray.kill(actor, no_restart=True)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _kill(self, silent: list[int]) -> None:
        """End processes that may not answer Ray any more, those of this machine."""
        for node, pid in [self.places[i] for i in silent if self.places]:
            if node == _own_address():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _obey(self, refs: list[Any], verb: str) -> list[Any]:
        """Results of one call to each rank, watched."""
        patience_s = max(self.plan.watchdog_s, START_S if verb in STARTING else 0)
        pulse = _Pulse(self.actors, patience_s)
        waiting = list(refs)
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=1, timeout=pulse.period_s)
            for ref in done:
                try:
                    ray.get(ref)
                except ray.exceptions.RayError as error:
                    reason, cause = self._explain(refs, refs.index(ref), error)
                    self.stop()
                    raise TrialFailed(f"{self.plan.name}: {reason} (in `{verb}`)") from cause
            if not done:
                silent = pulse.silent([refs.index(ref) for ref in waiting])
                if silent:
                    self._kill(silent)
                    self.stop()
                    who = " and ".join(self._who(i) for i in silent)
                    raise TrialFailed(
                        f"{self.plan.name}: {who} made no step for {patience_s:g} s (in `{verb}`). "
                        "If a step may take that long, give a longer watchdog_s."
                    )
        return ray.get(refs)

    def _explain(self, refs: list[Any], first: int, error: Exception) -> tuple[str, BaseException]:
        """The failure to blame: a dead rank makes its peers fail too, and they may be heard first."""
        failures: dict[int, Exception] = {first: error}
        others = [ref for i, ref in enumerate(refs) if i != first]
        if others and not _died(error):
            for ref in ray.wait(others, num_returns=len(others), timeout=GRACE_S)[0]:
                try:
                    ray.get(ref)
                except ray.exceptions.RayError as other:
                    failures[refs.index(ref)] = other
        rank, worst = min(
            failures.items(), key=lambda item: (not _died(item[1]), _from_peer(item[1]), item[0])
        )
        if _died(worst):
            return f"{self._who(rank)} died: {_last_line(worst)}", worst
        cause = getattr(worst, "cause", None) or worst
        if isinstance(cause, TrialFailed):
            return str(cause), worst
        return f"{self._who(rank)} raised {type(cause).__name__}: {cause}", worst

    def _who(self, rank: int) -> str:
        place = f" (pid {self.places[rank][1]} on {self.places[rank][0]})" if self.places else ""
        return f"rank {rank} of {len(self.actors)}{place}"


class _Pulse:
    """Asks ranks how many steps they have made, beside their work, and remembers when that last changed."""

    def __init__(self, actors: list[Any], patience_s: float) -> None:
        self.actors, self.patience_s = actors, patience_s
        self.period_s = min(5.0, patience_s / 4)
        self.asked: dict[int, Any] = {}
        self.count: dict[int, int] = {}
        self.moved = dict.fromkeys(range(len(actors)), time.monotonic())

    def silent(self, ranks: list[int]) -> list[int]:
        """Those of `ranks` that have made no step for too long.

        If some of them do not even answer, only these: the others may just wait for them.
        """
        for i in ranks:
            if i not in self.asked:
                self.asked[i] = self.actors[i].beats.remote()
        answered, _ = ray.wait(
            list(self.asked.values()), num_returns=len(self.asked), timeout=self.period_s / 4
        )
        for i, ref in list(self.asked.items()):
            if ref not in answered:
                continue
            del self.asked[i]
            try:
                beats = ray.get(ref)
            except ray.exceptions.RayError:
                continue  # its work fails as well, and says more
            if beats != self.count.get(i):
                self.count[i], self.moved[i] = beats, time.monotonic()
        still = [i for i in ranks if time.monotonic() - self.moved[i] > self.patience_s]
        return [i for i in still if i in self.asked] or still


# Ray's own annotations lack concurrency groups.
_remote: Any = ray.remote(concurrency_groups={"watch": 1}, max_restarts=0)  # type: ignore[call-overload]


def _own_address() -> str:
    address: str = ray.util.get_node_ip_address()
    return address


def _died(error: BaseException) -> bool:
    return isinstance(error, ray.exceptions.RayActorError)


def _from_peer(error: BaseException) -> bool:
    text = str(error)
    return "DistBackendError" in text or "Connection closed by peer" in text or "gloo" in text


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    wanted = [line for line in lines if "exit" in line.lower() or "killed" in line.lower()]
    return (wanted or lines or ["no reason given"])[-1]


class RankActor:
    """The process of one rank: owns torch.distributed, the task and its engine."""

    def __init__(self, plan: Plan) -> None:
        for name, value in plan.environment.items():
            os.environ.setdefault(name, value)
        self.plan = plan
        self.ranks: Ranks | None = None
        self.engine: Any = None
        self.verbs = 0
        self.hosted: Any = None
        self.output: Output | None = None
        import torch

        torch.set_num_threads(max(1, int(plan.cpus_per_rank)))

    @ray.method(concurrency_group="watch")  # a thread of its own
    def beats(self) -> int:
        """Grows with every step and every verb; answered beside the work."""
        return self.verbs + (self.ranks.beats if self.ranks else 0)

    def host_store(self, size: int) -> str:
        """Open the meeting point of ranks on several machines, on a free port of this one."""
        from torch import distributed as dist

        address = _own_address()
        self.hosted = dist.TCPStore(address, 0, size, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
        return f"tcp://{address}:{self.hosted.port}"

    def obey(self, verb: str, *args: Any) -> Any:
        """One verb, with the answer that the trial needs of it."""
        try:
            return self._do(verb, *args)
        except Exception:
            if self.output is not None:
                self.output.failed()
            raise

    def _do(self, verb: str, *args: Any) -> Any:
        self.verbs += 1
        match verb:
            case "place":
                return _own_address(), os.getpid()
            case "join":
                store, rank = args
                self.ranks = connect(self.plan, store, rank, self.hosted)
                self.output = Output(rank)
                return None
            case "print_to":
                assert self.output is not None  # the crew joins first
                return self.output.turn_to(*args)
            case "keep_output":
                return self.output.keep() if self.output is not None else None
            case "build":
                return self._build(*args)
            case "state_dict":
                from trainables.engine import checkpoint

                state = self.engine.state_dict()
                return checkpoint.pack(state) if self.ranks is None or self.ranks.rank == 0 else None
            case "load_state_dict":
                from trainables.engine import checkpoint

                return self.engine.load_state_dict(checkpoint.unpack(args[0]))
        return getattr(self.engine, verb)(*args)

    def _build(self, config: Mapping[str, Any]) -> None:
        from ray import cloudpickle

        from trainables.engine import hparams

        assert self.ranks is not None  # the crew joins first
        self.engine = None
        if self.ranks.device.type == "cuda":
            import torch

            gc.collect()  # what the trial before has left, cycles included
            torch.cuda.empty_cache()
        cls = cloudpickle.loads(self.plan.task)
        asides = {k: v for k, v in config.items() if k.startswith("_")}
        own = {k: v for k, v in config.items() if k not in asides}
        if "_seed" in asides:  # a search that wants a fresh one for each trial
            own["seed"] = asides["_seed"]
        task = cls(hparams.make(cls.Config, own))
        task.asides = asides
        task.setup()
        self.engine = task.engine(self.ranks)


def connect(plan: Plan, store: str | None, rank: int, host: Any = None) -> Ranks:
    """Join the process group that meets at `store` (file:// or tcp://); None: there is only this rank."""
    import torch
    from torch import distributed as dist

    cuda = plan.gpus_per_rank > 0 and LOGICAL_GPUS not in os.environ
    if cuda and not torch.cuda.is_available():
        raise ValueError(
            "the trial asks for a GPU, and this rank's torch sees none. Install a CUDA build of torch."
        )
    device = torch.device("cuda:0" if cuda else "cpu")  # Ray shows each rank its own devices only
    if cuda:
        torch.cuda.set_device(device)
    if store is None:
        return Ranks(0, 1, device)
    if store.startswith("file://"):
        for library in ("GLOO", "NCCL"):  # one machine: nothing listens to the network
            os.environ.setdefault(f"{library}_SOCKET_IFNAME", "lo")
        meeting: Any = dist.FileStore(store.removeprefix("file://"), plan.ranks)  # type: ignore[attr-defined]
    else:
        address, _, port = store.removeprefix("tcp://").rpartition(":")
        meeting = host or dist.TCPStore(address, int(port), plan.ranks, is_master=False)  # type: ignore[attr-defined]
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo",
        store=meeting,
        rank=rank,
        world_size=plan.ranks,
        timeout=timedelta(seconds=max(plan.watchdog_s, START_S)),  # the crew's watchdog comes first
    )
    return Ranks(rank, plan.ranks, device)


class Ranks:
    """This rank's view of all ranks: who it is, its device, sums over everybody. One needs no group."""

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self.device = rank, size, device
        self.beats = 0

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Elementwise sum over all ranks, in place."""
        if self.size > 1:
            from torch import distributed as dist

            dist.all_reduce(tensor)
        return tensor

    def average(self, tensors: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Means over all ranks, tensor by tensor, exchanged as one."""
        if self.size == 1:
            return tuple(tensors)
        import torch

        flat = self.sum(torch.cat([one.reshape(-1) for one in tensors])) / self.size
        pieces = torch.split(flat, [one.numel() for one in tensors])
        return tuple(piece.view(one.shape) for piece, one in zip(pieces, tensors, strict=True))

    def mean(
        self,
        split: Any,
        measure: Callable[[Any], Mapping[str, torch.Tensor]],
        batch_size: int = EVALUATION_BATCH,
    ) -> dict[str, float]:
        """Means over a whole split of what `measure` says of its batches.

        Batches are cut from the split alone and then dealt out to ranks, and random numbers are seeded for
        each: the answer does not depend on the number of ranks, and the same weights get the same answer
        again.

        Args:
            measure: from a batch to means over that batch, by name.
        """
        import torch

        sums: dict[str, torch.Tensor] = {}
        for batch, weight in self.deal(split, batch_size):
            for name, value in measure(batch).items():
                part = torch.as_tensor(value, device=self.device).detach().double() * weight
                sums[name] = sums[name] + part if name in sums else part
        names = sorted(sums)
        total = self.sum(torch.stack([sums[name] for name in names]))
        return dict(zip(names, total.tolist(), strict=True))

    def deal(self, split: Any, batch_size: int = EVALUATION_BATCH) -> Iterator[tuple[Any, float]]:
        """This rank's batches of a split, each with its weight in a mean over the whole split.

        A rank for which none is left gets one of weight 0, so that it learns of the names in it and takes
        part in sums. Random numbers are seeded for each batch.
        """
        import numpy as np
        import torch

        from trainables.engine.data import as_dataset

        dataset = as_dataset(split, "val")
        count = len(dataset)
        batches = -(-count // batch_size)
        for k in range(self.rank, batches, self.size) or (0,):
            rows = np.arange(k * batch_size, min((k + 1) * batch_size, count))
            torch.manual_seed(k)
            yield dataset.batch(rows, None, self.device), len(rows) / count if self.rank < batches else 0.0
            self.beats += 1

    def wrap(self, module: torch.nn.Module, find_unused_parameters: bool = False) -> torch.nn.Module:
        """`module` with gradients averaged over ranks; itself where there is one rank."""
        if self.size == 1:
            return module
        import inspect

        from torch.nn.parallel import DistributedDataParallel as DDP

        # Buffers are averaged once a report (average_buffers), not broadcast in every forward pass.
        options = inspect.signature(DDP).parameters
        name = "forward_sync_buffers" if "forward_sync_buffers" in options else "broadcast_buffers"
        buffers: dict[str, Any] = {name: False}
        return DDP(
            module, find_unused_parameters=find_unused_parameters, gradient_as_bucket_view=True, **buffers
        )

    def quiet(self, module: torch.nn.Module) -> AbstractContextManager[None]:
        """Within this block gradients add up on each rank and are not exchanged."""
        return nullcontext() if self.size == 1 else module.no_sync()  # type: ignore[operator]  # DDP has it

    def average_buffers(self, model: torch.nn.Module) -> None:
        """Running statistics become their mean over ranks."""
        for buffer in model.buffers() if self.size > 1 else ():
            if buffer.is_floating_point():
                self.sum(buffer).div_(self.size)
