"""The process that holds all W&B runs of a sweep: JSON lines in on standard input, W&B runs out.

Started by `sweeps.tracking` as a file, so that it imports nothing of Starling or Ray and cannot be hurt by
the driver's state. It ignores Ctrl-C; when its input ends without a word, or the driver is gone, it
finishes its runs as interrupted. One process for all: a `wandb.init` each costs about 20 ms here, and two
processes each elsewhere.
"""

import contextlib
import json
import os
import select
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TextIO

import wandb

EXIT_CODES = {"completed": 0, "stopped": 0, "failed": 1}
INTERRUPTED = 255  # what W&B itself gives a run that Ctrl-C ended: shown as killed, and may be resumed


class Sink:
    """Runs by trial.

    Args:
        project, entity, group: where the runs go; entity None is the account's default.
        prefix: run ids are `<prefix>-<trial>`, the same after a resume.
        folder: W&B's files are made in `<folder>/wandb`.
        mode: "online", "offline", "disabled", or None: as W&B is set up here, but offline unless logged in.
        status: what the driver should know, as JSON lines.
    """

    def __init__(
        self,
        *,
        project: str,
        entity: str | None,
        group: str,
        prefix: str,
        folder: str,
        mode: str | None,
        status: TextIO,
    ) -> None:
        self.project, self.entity, self.group, self.prefix = project, entity, group, prefix
        self.folder, self.status = folder, status
        self.mode: Any = mode or usual_mode()
        self.runs: dict[str, Any] = {}
        self.ended: set[str] = set()
        self._tell(mode=self.mode)

    def handle(self, message: dict[str, Any]) -> None:
        """One message of `sweeps.tracking.Tracker`."""
        trial = message["trial"]
        if message["event"] == "started":
            run = self.runs.get(trial)
            if run is None:
                self._open(trial, message["config"])
            else:  # started again, perhaps with another configuration
                run.config.update(message["config"], allow_val_change=True)
        elif message["event"] == "row":
            # Names with a leading underscore are W&B's own columns (`_step`, `_runtime`).
            self._run(trial).log({k: v for k, v in message["metrics"].items() if not k.startswith("_")})
        elif trial in self.runs or trial not in self.ended:
            run = self._run(trial)
            run.summary.update({**message["summary"], "trial_state": message["state"]})
            run.finish(exit_code=EXIT_CODES.get(message["state"], 1))
            del self.runs[trial]
            self.ended.add(trial)

    def close(self) -> None:
        """Finish what still runs, as interrupted; a later message opens its run again."""
        with ThreadPoolExecutor(8) as pool:
            for run in self.runs.values():
                pool.submit(run.finish, exit_code=INTERRUPTED)
        self.runs.clear()

    def _run(self, trial: str) -> Any:
        return self.runs.get(trial) or self._open(trial, None)

    def _open(self, trial: str, config: dict[str, Any] | None) -> Any:
        try:
            run = self._init(trial, config)
        except (wandb.Error, TimeoutError) as error:
            if self.mode != "online":
                raise
            self.mode = "offline"
            self._tell(mode="offline", warning=f"W&B cannot be reached ({error}); logging goes on offline.")
            self.close()
            wandb.teardown()  # else W&B's service holds the failed run's id as in use
            run = self._init(trial, config)
        self.runs[trial] = run
        return run

    def _init(self, trial: str, config: dict[str, Any] | None) -> Any:
        run = wandb.init(
            project=self.project,
            entity=self.entity,
            group=self.group,
            id=f"{self.prefix}-{trial}",
            name=trial,
            config=config,
            dir=self.folder,
            mode=self.mode,
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_code=True,
                disable_git=True,
                disable_job_creation=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
                symlink=False,
                finish_timeout=8,  # seconds; the driver waits ten for all
                x_transaction_log_flush_interval=0.2,
            ),
        )
        run.define_metric("*", step_metric="training_iteration")
        return run

    def _tell(self, **news: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # the driver is gone; its rows are still to be written
            print(json.dumps(news), file=self.status, flush=True)


def usual_mode() -> str:
    """What `WANDB_MODE` or `wandb offline` say; else online if there are credentials for W&B's host."""
    from wandb.sdk.lib import wbauth

    settings = wandb.setup().settings
    if "WANDB_MODE" in os.environ or settings.mode != "online":
        return settings.mode
    key = os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE") or settings.api_key
    return "online" if key or wbauth.read_netrc_auth(host=settings.base_url) else "offline"


def messages(driver: int) -> Iterator[dict[str, Any]]:
    """What comes on standard input, until it ends or the process `driver` is no longer our parent."""
    buffer = b""
    while True:
        if not select.select([0], [], [], 1.0)[0]:
            if os.getppid() != driver:
                return  # somebody the driver forked holds our input open
            continue
        data = os.read(0, 1 << 20)
        if not data:
            return
        *lines, buffer = (buffer + data).split(b"\n")
        yield from map(json.loads, lines)


def main() -> None:
    """Run until the input ends. The argument is the driver's process id; the first line is for `Sink`."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    status = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to our log, not into the status
    incoming = messages(int(sys.argv[1]))
    sink = Sink(**next(incoming), status=status)
    try:
        for message in incoming:
            sink.handle(message)
    finally:
        sink.close()


if __name__ == "__main__":
    main()
