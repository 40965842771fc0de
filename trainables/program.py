"""An existing W&B training script as a trial, unedited: flags or `wandb.config` in, `wandb.log` rows out."""

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pyarrow.fs import LocalFileSystem
from ray import tune
from ray.tune.result import AUTO_RESULT_KEYS, DONE, RESULT_DUPLICATE

from trainables import wandb_command
from trainables.engine.output import KeptFiles
from trainables.registry import Program
from trainables.script_process import FILES, ScriptProcess
from trainables.wandb_log import Row

# Names in a result that belong to Ray: a script's metric of the same name gets the prefix `script_`.
RESERVED = frozenset({*AUTO_RESULT_KEYS, DONE, RESULT_DUPLICATE, "trial_id", "should_checkpoint"})
# Settings of a surrounding W&B run or sweep, which would take the script's run away from its trial.
FOREIGN = frozenset(
    f"WANDB_{name}" for name in ("SERVICE", "SWEEP_ID", "RESUME", "DISABLED", "RUN_GROUP", "NAME")
)
ASIDES = frozenset({"_hypergrad_of", "_hypergrad_if_below", "_seed"})  # of a search; no flags of a script
CLOCK = frozenset({"_step", "_runtime"})  # W&B's own in every row


def script(
    program: str | None = None,
    command: Sequence[str] | None = None,
    folder: str | Path = ".",
    *,
    grace_s: float = 5.0,
) -> "Script":
    """A W&B script as a program for trials.

    Args:
        program: the script, relative to `folder`: `program` of a W&B sweep file.
        command: W&B's command with its macros; None is `${env} ${interpreter} ${program} ${args}`.
        folder: where the script runs, the same on every node.
        grace_s: seconds between SIGTERM and SIGKILL when a trial is stopped.

    Raises:
        ValueError: neither a program nor a command.
    """
    if not program and not command:
        raise ValueError("A script needs `program: train.py`, or a `command:` that says what to execute.")
    return Script(
        program=program,
        command=tuple(command) if command else wandb_command.DEFAULT,
        folder=Path(folder).absolute(),
        grace_s=grace_s,
    )


class Script(Program):
    """A script that logs to W&B; made by `script`.

    It says neither which hyperparameters it has nor what it will log, and nothing can change while it runs.
    Every row is a report, also those without the metric (a loss each batch, the metric each epoch).
    """

    checkpoints = False
    continues = False
    sparse = True

    def __init__(
        self,
        *,
        program: str | None,
        command: tuple[str, ...],
        folder: Path,
        grace_s: float,
    ) -> None:
        self.name = Path(program).stem if program else str(command[0])
        self.program, self.command, self.folder, self.grace_s = program, command, folder, grace_s

    def obstacles(self, config: Mapping[str, Any]) -> list[str]:
        """What is wrong with the script's files and command; a script takes any config."""
        if not self.folder.is_dir():
            return [f"the script's folder {str(self.folder)!r} does not exist. Give the one that it runs in."]
        return wandb_command.problems(self.command, program=self.program, folder=self.folder)

    def trainable(
        self, ranks: int = 1, cpus_per_rank: float = 1, gpus_per_rank: float = 0
    ) -> type[tune.Trainable]:
        """The class that Ray runs.

        The script is one process on one node and has the resources of all ranks; ranks of its own it starts
        itself, by `torchrun` in `command` say.
        """
        bundle = {"CPU": ranks * cpus_per_rank, "GPU": ranks * gpus_per_rank}
        resources = tune.PlacementGroupFactory([{name: amount for name, amount in bundle.items() if amount}])
        return type(self.name, (ScriptTrial,), {"script": self, "resources": resources})


class ScriptTrial(tune.Trainable):
    """One trial of a script; every result is a row that the script logged.

    It has no checkpoint: after a crash the script starts anew, and its rows come again from the first one,
    under their old iterations, which the sweep already has. For the same reason such a trial cannot be
    paused or copied: asha and median suit it; hyperband, bohb, pbt and pb2 do not.

    The end of the script is the end of the trial: with exit code 0 the last row counts as the final result
    (it is not reported twice), with any other code the trial fails with the last lines of standard error.
    """

    script: ClassVar[Script]
    resources: ClassVar[tune.PlacementGroupFactory]
    _process: ScriptProcess | None = None
    _output: KeptFiles

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """All resources in one bundle: one process on one node."""
        return cls.resources

    def step(self) -> dict[str, Any]:
        """The next row, waiting for it. The script starts here: all its errors are the trial's own."""
        if self._process is None:
            self._process = self._start()
        while (row := self._process.next_row()) is not None:
            result = scalars(row)
            if result.keys() - CLOCK:  # else nothing but media
                return result
        self._raise_unless_successful(self._process)
        return {RESULT_DUPLICATE: True, DONE: True}  # as Tune ends a function: the last result, marked

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The same actor, a new process."""
        self.cleanup()
        return True

    def cleanup(self) -> None:
        """End the script and everything it started."""
        if self._process is not None:
            self._process.end()
            self._process = None
            self._output.close()

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Nothing to keep. No error, since Tune by default asks for a checkpoint at a trial's end."""
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Always an error: a script cannot go on where another left off."""
        raise NotImplementedError(
            f"{self.script.name} is a script without checkpoints, so that its trials cannot be paused or "
            "copied. Use the scheduler asha, median or fifo."
        )

    def _start(self) -> ScriptProcess:
        folder = self._folder()
        folder.mkdir(parents=True, exist_ok=True)
        parameters = {name: one for name, one in plain(self.config).items() if name not in ASIDES}
        parameter_file = folder / "parameters.yaml"
        content = {"wandb_version": 1, **{name: {"value": value} for name, value in parameters.items()}}
        parameter_file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        command = wandb_command.expand(
            self.script.command, parameters, program=self.script.program, folder=folder
        )
        inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        try:
            process = ScriptProcess(
                command,
                environment={
                    **inherited,
                    "WANDB_MODE": "offline",
                    "WANDB_RUN_ID": self.trial_id,
                    "WANDB_SWEEP_PARAM_PATH": str(parameter_file),
                    "WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL": "0.2",
                },
                working_directory=self.script.folder,
                folder=folder,
                grace_s=self.script.grace_s,
            )
            self._output = KeptFiles(folder, FILES, *self._store())
            return process
        except OSError as error:
            raise RuntimeError(
                f"{' '.join(command)!r} could not be started in {str(self.script.folder)!r}: {error}. "
                "The script's folder must be at the same path on every node."
            ) from error

    def _folder(self) -> Path:
        """The trial's folder in the sweep's storage if that is on disk, else Ray's working directory."""
        storage = self._storage  # Ray has no public name for it
        if storage is not None and isinstance(storage.storage_filesystem, LocalFileSystem):
            return Path(storage.trial_fs_path)
        return Path(self.logdir)

    def _store(self) -> tuple[Any, str]:
        """Where the sweep's folder is, and the trial's in it; None for this machine's disk."""
        storage = self._storage
        return (storage.storage_filesystem, storage.trial_fs_path) if storage is not None else (None, "")

    def _raise_unless_successful(self, process: ScriptProcess) -> None:
        name, code = self.script.name, process.exit_code
        if code:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
            lines = process.last_lines() or "(nothing on standard error)"
            raise RuntimeError(f"{name} {how}; its output is in {process.folder}. Its last lines:\n{lines}")
        if not self.iteration:
            raise RuntimeError(
                f"{name} ended without a row of wandb.log. It has to call wandb.init, without `dir=` and "
                f"without `mode='disabled'`. Its last lines:\n{process.last_lines()}"
            )


def scalars(row: Mapping[str, Any], prefix: str = "") -> Row:
    """A logged row as a result: numbers as float, bools and strings; nested names joined with "." as in W&B.

    Media, lists and None are left out (they stay in the script's own log), as are W&B's time stamps.
    """
    result: Row = {}
    for key, value in row.items():
        name = prefix + key
        if isinstance(value, Mapping):
            if "_type" not in value:
                result |= scalars(value, f"{name}.")
        elif isinstance(value, (bool, str, int, float)) and name not in ("_timestamp", "_wandb"):
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            # Always float: the log writes 1.0 as 1, and a column has one type.
            result[f"script_{name}" if name in RESERVED else name] = float(value) if number else value
    return result


def plain(value: Any) -> Any:
    """A config without NumPy's types, which YAML, JSON and flags would spell differently."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value.item() if hasattr(value, "item") else value
