"""What the tests of W&B share: a server on loopback, a journal to send, and what the offline logs say."""

import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeps.journal import Journal
from sweeps.store.manifest import Manifest, write_manifest
from sweeps.store.storage import open_folder
from sweeps.tracking.tracker import Tracker
from trainables.wandb_log import Row, Run, read

KEY = "0123456789" * 4
"""Of the form of a W&B key, and nobody's."""

SPEC = """
trainable: quickstart
space: {lr: {distribution: uniform, min: 0.0, max: 1.0}}
metric: loss
mode: min
search: tpe
"""

CONFIG = {
    "method": "custom",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {"lr": {"distribution": "uniform", "min": 0.0, "max": 1.0}},
}


def _loopback() -> Any:
    path = Path(__file__).with_name("loopback.py")
    spec = importlib.util.spec_from_file_location("starling_loopback_wandb", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


Server = _loopback().Server


@pytest.fixture(autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, credentials or network of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "STARLING_WANDB"))]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A W&B server, and a key for it."""
    server = Server()
    server.start()
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    yield server
    server.heal()
    server.stop()


@pytest.fixture
def told() -> list[str]:
    """Warnings."""
    return []


def _fail(message: str) -> None:
    """A warning that no test expects."""
    warnings.warn(message, stacklevel=2)  # an error, by pytest's settings


class Story:
    """A sweep's folder with a journal that a test writes, and its tracker."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, open_folder(path)
        self.folder.put("spec.yaml", SPEC.encode())
        write_manifest(
            self.folder, Manifest(name="s", metric="loss", mode="min", parameters={"lr": "double"})
        )
        self.journal = Journal.open(self.folder)
        self.journal.append("opened", pid=1, host="h", resumed=False)
        self.tracker: Any = None

    def track(
        self, *, warn: Callable[[str], None] = _fail, mode: str | None = None, project: str = "flock/p"
    ) -> Any:
        """Start the sink."""
        self.tracker = Tracker(self.folder, project, CONFIG, mode, warn=warn)
        return self.tracker

    def suggest(self, *trials: str, **config: Any) -> None:
        for trial in trials:
            self.journal.append("suggested", trial=trial, config={"lr": 0.1, **config}, memo=None)

    def report(self, trial: str, *steps: int, copies: int = 0, **more: Any) -> None:
        for step in steps:
            metrics = {"loss": 1 / step, **more}
            self.journal.append(
                "reported", trial=trial, copies=copies, iteration=step, metrics=metrics, decision="CONTINUE"
            )

    def end(self, trial: str, state: str = "completed", reason: str | None = None) -> None:
        self.journal.append("ended", trial=trial, state=state, reason=reason)

    def close(self, why: str = "finished") -> None:
        """As a driver closes a sweep."""
        event = self.journal.append("closed", why=why)
        if self.tracker is not None:
            self.tracker.fold(event)
            self.tracker.close()
        self.journal.close()

    def told(self) -> dict[str, tuple[Run, list[Row]]]:
        """What the logs on this machine say."""
        return logs(self.path)

    def again(self) -> "Story":
        """The next session of this sweep."""
        self.journal.close()
        return Story(self.path)


@pytest.fixture
def key() -> str:
    """Of the form of a W&B key, and nobody's."""
    return KEY


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """A sweep named `s`."""
    made = Story(tmp_path / "s")
    yield made
    if made.tracker is not None:
        made.tracker._process.kill()
    made.journal.close()


def logs(folder: Path) -> dict[str, tuple[Run, list[Row]]]:
    """trial -> what all W&B logs of its run on this machine say together, oldest first."""
    found: dict[str, tuple[Run, list[Row]]] = {}
    for path in sorted(folder.glob("wandb/*run-*/run-*.wandb"), key=lambda path: path.stat().st_mtime_ns):
        run, rows = read(path)
        if run.run_id is not None:  # else nothing was flushed yet
            trial = run.run_id.rsplit("-", 1)[1]
            found[trial] = run, [*(found[trial][1] if trial in found else []), *rows]
    return found


def _wait_until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """`wait_until(condition, seconds=60)`: until it holds; fails after so long."""
    return _wait_until


def _steps(rows: list[Row]) -> list[int]:
    assert [row["_step"] for row in rows] == list(range(len(rows)))
    return [row["training_iteration"] for row in rows]


@pytest.fixture
def steps() -> Callable[[list[Row]], list[int]]:
    """Iterations of a run's rows; W&B's own count of them must be theirs."""
    return _steps
