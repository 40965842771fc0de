"""What the tests of whole sweeps share: a small Ray a module, the command in this process, users' files."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # Ray reads it at import
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two ranks and Ray share the machine

import pytest

from sweeps import cli

BOWL = '''
from pathlib import Path

from ray import tune
from sweeps import Sweep

FLAG = Path(__file__).with_name("flag")


def train(config):
    for step in range(1, 4):
        tune.report({"loss": (config["x"] - 0.3) ** 2 + 1 / step, "cost": config["x"]})


def fragile(config):
    if FLAG.exists():
        raise RuntimeError("the flag is up")
    tune.report({"loss": config["x"]})


sweep = Sweep(
    trainable=train,
    space={"x": tune.uniform(0, 1), "kind": tune.choice(["a", "b"])},
    metric="loss",
    mode="min",
    trials=4,
    search="sobol",
    max_concurrent=1,
)

if __name__ == "__main__":
    sweep.main()
'''
"""A user's own file: a plain function and its sweep."""


@pytest.fixture(scope="module")
def small_ray() -> Iterator[None]:
    """A Ray of two CPUs that the sweeps of one module share: `running_ray` takes the one that is there."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 server on loopback; yields host:port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("s3") / "log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-c", f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"],
        stdout=log,
        stderr=log,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTING")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-store-me")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        deadline = time.monotonic() + 90
        while True:
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
                urllib.request.urlopen(request, timeout=30).close()
                break
            except OSError:
                assert server.poll() is None, "the S3 server ended"
                assert time.monotonic() < deadline, "the S3 server does not start"
                time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    server.terminate()
    server.wait(10)
    log.close()


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def starling(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """`starling("run", file, ...)` in this process."""

    def call(*words: Any) -> Answer:
        capsys.readouterr()
        try:
            code: Any = cli.main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return call


@pytest.fixture(scope="session")
def recipe() -> Path:
    """The quickstart."""
    return Path(cli.__file__).parent / "recipes" / "quickstart.py"


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory outside the repository; modules loaded from it are forgotten afterwards."""
    before, path = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    sys.path[:] = path


@pytest.fixture(scope="session")
def bowl_text() -> str:
    """A user's file with a plain function and its sweep of 4 trials."""
    return BOWL


@pytest.fixture
def bowl(outside: Path) -> Path:
    """That file, in the working directory."""
    file = outside / "bowl.py"
    file.write_text(BOWL)
    return file


AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
"""Ray's own, which after a kill -9 look for their dead raylet for a minute before they end."""


class Command:
    """A `starling` of its own process and session, as in a terminal of its own; its output in a file.

    Everything that it starts carries a mark in its environment, so that what it leaves behind is found.
    """

    def __init__(self, folder: Path, *words: Any, program: tuple[str, ...] = ("-m", "sweeps")) -> None:
        self.mark = f"{folder}-{time.monotonic_ns()}"
        self.log = folder / f"log-{time.monotonic_ns()}"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program, *map(str, words)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "STARLING_TEST_MARK": self.mark, "COLUMNS": "200"},
            )

    @property
    def output(self) -> str:
        """All that it has printed."""
        return self.log.read_text()

    def wait(self, seconds: float = 240) -> int:
        """Its exit code."""
        return self.process.wait(seconds)

    def interrupt(self) -> None:
        """Ctrl-C: SIGINT to the whole process group in the foreground."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL to the driver alone."""
        self.process.kill()
        self.process.wait(30)

    def until(self, condition: Callable[[], bool], seconds: float = 240) -> None:
        """Wait for something that it does."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, f"not in {seconds} s:\n{self.output}"
            time.sleep(0.1)

    def left(self) -> list[str]:
        """The command lines of processes that it started and that still run."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if self.mark.encode() in (process / "environ").read_bytes() and line.strip() not in AGENTS:
                    found.append(line[:120])
            except OSError:  # it ended meanwhile, or is a zombie
                continue
        return found

    def gone(self, seconds: float = 20) -> list[str]:
        """What is left of it after so long at most; empty when all has ended."""
        deadline = time.monotonic() + seconds
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left


@pytest.fixture
def command(outside: Path) -> Iterator[Callable[..., Command]]:
    """`command("run", file, ...)`: see Command; what still runs at the end of the test is killed."""
    started: list[Command] = []

    def start(*words: Any, **options: Any) -> Command:
        started.append(Command(outside, *words, **options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()
