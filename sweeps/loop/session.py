"""The Ray that a run uses, quiet, and the signals that end it."""

import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
from ray._private.authentication.authentication_token_setup import (
    maybe_enable_token_auth_if_token_available,
)

from sweeps.spec import SpecError, Sweep

QUIET = {
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the console tells of errors
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a report without the metric ends its trial, not the sweep
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns about its own default
    "RAY_DEDUP_LOGS": "0",
}
TOKEN = "~/.ray/auth_token"
PACKAGES = ("sweeps", "trainables", "search_algs", "cluster")


@contextlib.contextmanager
def running_ray(sweep: Sweep) -> Iterator[None]:
    """A Ray of our own on this machine, a cluster, or the one that the caller has started."""
    if ray.is_initialized():
        yield
        return
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    signalled: list[bool] = []
    try:
        # A signal would be lost in Ray's callbacks, or leave half a Ray: it waits until Ray has started.
        with environment(QUIET), signals(lambda: signalled.append(True)):
            if sweep.address is None:
                ray.init(address="local", include_dashboard=False, **common)
                _keep_token_private()
            else:
                _connect(sweep.address, common)
        if signalled:
            raise KeyboardInterrupt
        yield
    finally:
        ray.shutdown()


def _connect(address: str, common: dict[str, Any]) -> None:
    """Join a running cluster, with our packages for its workers."""
    here = Path(__file__).resolve().parents[2]
    packages = [str(here / name) for name in PACKAGES]
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        _knock(address)
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)  # Ray does so for "auto" only
        ray.init(address=address, runtime_env={"py_modules": packages}, **common)
    except (ConnectionError, ValueError, RuntimeError) as error:
        problem = (
            f"address: no Ray cluster answers at {address!r} ({str(error).splitlines()[0]}); start one with "
            f"`ray start --head`; if it asks for a token, put that into {TOKEN} (mode 0600)"
        )
        raise SpecError([problem], "this sweep cannot run here") from error


def _knock(address: str) -> None:
    """ConnectionError within seconds where nobody listens; Ray alone would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError as error:
            raise ConnectionError(error.strerror or str(error)) from error


def _keep_token_private() -> None:
    """Ray writes the token that opens this machine's Ray for every user to read."""
    token = Path(TOKEN).expanduser()
    with contextlib.suppress(OSError):
        if token.stat().st_mode & 0o077:
            token.chmod(0o600)


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables, set back afterwards."""
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextlib.contextmanager
def signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `stop` once; a second one raises KeyboardInterrupt at once."""
    before: dict[signal.Signals, Any] = {}
    seen = False

    def handle(number: int, _: Any) -> None:
        nonlocal seen
        if seen:
            raise KeyboardInterrupt
        seen = True
        stop()

    with contextlib.suppress(ValueError):  # not in the main thread: the caller's handlers stay
        for kind in (signal.SIGINT, signal.SIGTERM):
            before[kind] = signal.signal(kind, handle)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
