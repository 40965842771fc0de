import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
ROOT = Path(__file__).parents[2]

import pytest  # noqa: E402  # Ray reads the variable above at import
import torch  # noqa: E402
from ray.util.placement_group import placement_group, remove_placement_group  # noqa: E402

import trainables  # noqa: E402
from trainables.engine import hparams  # noqa: E402
from trainables.engine.ddp import Crew, Plan, Ranks  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture
def one_rank() -> Callable[..., Any]:
    """An engine in this process: `one_rank(task class, **config)`."""

    def build(task: type[Any], **config: Any) -> Any:
        made = task(hparams.make(task.Config, config))
        made.setup()
        return made.engine(Ranks(0, 1, torch.device("cpu")))

    return build


@pytest.fixture(scope="module")
def small_ray() -> Iterator[None]:
    """A Ray of two CPUs for the tests of one module."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


class Crews:
    """Real rank actors in a placement group of their own, conducted from this process; one crew at a time."""

    def __init__(self) -> None:
        self.held: list[tuple[Crew, Any]] = []

    def __call__(self, task: Any, **plan: Any) -> Crew:
        self.release()
        settings: Plan = trainables.load(task).trainable(**plan).plan
        group = placement_group([b for b in settings.bundles() if b], strategy="PACK")
        self.held.append((Crew(settings, group), group))
        self.held[0][0].join()
        return self.held[0][0]

    def release(self) -> None:
        """Stop the crew and give its resources back."""
        while self.held:
            crew, group = self.held.pop()
            crew.stop()
            remove_placement_group(group)


@pytest.fixture(scope="module")
def new_crew(small_ray: None) -> Iterator[Crews]:
    """`new_crew(task, ranks=2)`: see Crews."""
    crews = Crews()
    yield crews
    crews.release()


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory outside the repository; modules loaded from it are forgotten afterwards."""
    before, path = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    sys.path[:] = path
