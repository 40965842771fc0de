import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
ROOT = Path(__file__).parents[2]

import pytest  # noqa: E402  # Ray reads the variable above at import
import torch  # noqa: E402

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

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def new_crew(small_ray: None) -> Iterator[Callable[..., Crew]]:
    """Makes real rank actors in a placement group of their own, conducted from this process."""
    from ray.util.placement_group import placement_group, remove_placement_group

    made: list[tuple[Crew, Any]] = []

    def make(task: Any, **plan: Any) -> Crew:
        for crew, group in made:  # only one fits at a time
            crew.stop()
            remove_placement_group(group)
        made.clear()
        cls = trainables.load(task).trainable(**plan)
        settings: Plan = cls.plan
        group = placement_group([b for b in settings.bundles() if b], strategy="PACK")
        made.append((Crew(settings, group), group))
        made[0][0].join()
        return made[0][0]

    yield make
    for crew, group in made:
        crew.stop()
        remove_placement_group(group)


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
