"""W&B's client as the sink uses it: many runs in one process, opened and finished from threads.

A `wandb.init` costs about 20 ms here, and two processes each elsewhere.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import wandb
from wandb.sdk.lib.service.service_connection import WandbApiFailedError
from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError
from wandb.sdk.mailbox.mailbox_handle import ServerResponseError

from trainables.wandb_log import read

T = TypeVar("T")

EXIT_CODES = {"completed": 0, "stopped": 0, "failed": 1}
INTERRUPTED = 255  # what W&B itself gives a run that Ctrl-C ended: shown as killed, and may be resumed
PATIENCE_S = 20.0
"""How long W&B may take to make a run or a sweep."""

LIMITED_S = 300.0
"""The same while it answers that there are too many requests: its client then waits as it is told to."""

Failure = (
    wandb.Error, OSError, ServerResponseError, HandleAbandonedError, MailboxClosedError, WandbApiFailedError
)  # fmt: skip
"""What W&B's client raises when its server or its own service fails. TimeoutError is an OSError."""


class Runs:
    """The runs of one sweep at one destination.

    Args:
        project, entity, group: where they go; entity None is the account's default.
        prefix: run ids are `<prefix>-<trial>`, the same after a resume.
        folder: W&B's files are made in `<folder>/wandb`.
        mode: "online", "offline" or "disabled".
        sweep: id of W&B's sweep that the runs belong to.
    """

    def __init__(
        self,
        *,
        project: str,
        entity: str | None,
        group: str,
        prefix: str,
        folder: Path,
        mode: str,
        sweep: str | None,
    ) -> None:
        self.project, self.entity, self.group, self.prefix = project, entity, group, prefix
        self.folder, self.mode, self.sweep = folder, mode, sweep
        self._logs: dict[str, list[Path]] = {}
        if mode == "offline":  # rows of earlier sessions are in its logs already
            for path in sorted(folder.glob("wandb/*run-*/run-*.wandb")):
                self._logs.setdefault(path.stem.removeprefix("run-"), []).append(path)

    def open(self, trial: str, config: dict[str, Any]) -> tuple[Any, int]:
        """A trial's run, new or continued, and how many rows it has already."""
        run_id = f"{self.prefix}-{trial}"
        run = wandb.init(
            project=self.project,
            entity=self.entity,
            group=self.group,
            id=run_id,
            name=trial,
            config=config,
            dir=str(self.folder),
            mode=self.mode,  # type: ignore[arg-type]
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(
                sweep_id=self.sweep,
                console="off",
                silent=True,
                disable_code=True,
                disable_git=True,
                disable_job_creation=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
                symlink=False,
                init_timeout=LIMITED_S,  # `patiently` gives up before
                finish_timeout=8,  # seconds; the driver waits ten for all
                finish_timeout_raises=True,
                x_file_stream_transmit_interval=2,  # seconds: what is older than that is on its way
                x_transaction_log_flush_interval=0.2,
            ),
        )
        run.define_metric("*", step_metric="training_iteration")
        if self.mode == "offline":
            return run, sum(len(read(path)[1]) for path in self._logs.pop(run_id, ()))
        return run, run.starting_step

    def finish(self, run: Any, exit_code: int) -> bool:
        """End a run; whether all of it has arrived."""
        log = Path(run.settings.log_internal)
        try:
            run.finish(exit_code=exit_code)
        except TimeoutError:
            return False
        # A request that W&B refuses for good ends the upload, and `finish` does not say so.
        try:
            return b"filestream: fatal error" not in log.read_bytes()
        except FileNotFoundError:
            return True


def create_sweep(config: dict[str, Any], entity: str | None, project: str) -> dict[str, str]:
    """A new sweep of W&B's: its id, entity, project and URL."""
    sweep_id = wandb.sweep(config, entity=entity, project=project)
    # The client puts what the server made of them into the environment.
    entity, project = os.environ.get("WANDB_ENTITY") or entity or "", os.environ["WANDB_PROJECT"]
    home = wandb.util.app_url(wandb.setup().settings.base_url)
    return {"id": sweep_id, "entity": entity, "project": project,
            "url": f"{home}/{entity}/{project}/sweeps/{sweep_id}", "state": "RUNNING"}  # fmt: skip


def set_state(sweep: dict[str, str], state: str) -> str | None:
    """Bring a sweep into a state: RUNNING, PAUSED or FINISHED; why not, where that fails.

    It is for show: W&B hands out no trials of ours.
    """
    from wandb.apis.public.sweeps import _set_sweep_state  # as `wandb sweep --stop` does it

    try:
        _set_sweep_state(wandb.Api(), sweep["id"], state, entity=sweep["entity"], project=sweep["project"])  # type: ignore[arg-type]
    except Exception as error:  # the client raises plain exceptions here
        return str(error)
    return None


def patiently(work: Callable[[], T], limited: Callable[[], bool]) -> T:
    """Do something that W&B may never answer, in a thread that is left behind if so.

    Args:
        work: what to do.
        limited: whether W&B has said that there are too many requests, which takes longer.

    Raises:
        TimeoutError: it took longer than `PATIENCE_S`, or `LIMITED_S`.
    """
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.extend((True, work()))
        except BaseException as error:
            outcome.extend((False, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    began = time.monotonic()
    while len(outcome) < 2:
        thread.join(0.02)
        waited = time.monotonic() - began
        if len(outcome) < 2 and waited > (LIMITED_S if limited() else PATIENCE_S):
            raise TimeoutError(f"no answer for {waited:.0f} s")
    if not outcome[0]:
        raise outcome[1]
    result: T = outcome[1]
    return result


def usual_mode() -> str:
    """What `WANDB_MODE` or `wandb offline` say; else online if there are credentials for W&B's host."""
    settings = wandb.setup().settings
    if "WANDB_MODE" in os.environ or settings.mode != "online":
        return {"dryrun": "offline"}.get(settings.mode, settings.mode)
    return "online" if logged_in() else "offline"


def logged_in() -> bool:
    """Whether there are credentials for W&B's host."""
    from wandb.sdk.lib import wbauth

    settings = wandb.setup().settings
    key = os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE") or settings.api_key
    return bool(key or wbauth.read_netrc_auth(host=settings.base_url))


def host() -> str:
    """W&B's address, as configured here."""
    return str(wandb.setup().settings.base_url).rstrip("/")


def to_rows(metrics: dict[str, Any], iteration: int, copies: int) -> dict[str, Any]:
    """A report as a row: `copies` (of other trials into this one, by PBT) is there where there are any."""
    # Names with a leading underscore are W&B's own columns (`_step`, `_runtime`).
    row = {key: value for key, value in metrics.items() if not key.startswith("_")}
    return {**row, "training_iteration": iteration, **({"copies": copies} if copies else {})}


def plain(config: Any) -> Any:
    """A configuration in what W&B takes: JSON, other objects as their text."""
    return json.loads(json.dumps(config, default=str))
