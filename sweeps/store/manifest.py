"""`manifest.json`: what is needed to understand a sweep's tables, and to repeat the sweep.

Secrets stay out: of the environment only variables that shape a run (`STARLING_`, `RAY_`, `CUDA_`, `OMP_`,
`NCCL_`, ...) and are not named like a secret; what looks like a literal password or key in the command or the
diff is struck out.
"""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from sweeps.store.storage import Folder, without_secrets

PACKAGES = ("starling-sweeps", "ray", "torch", "optuna", "cmaes", "pyarrow", "numpy", "scipy", "wandb")
DIFF_BYTES = 1_000_000
_KEPT = (
    "STARLING_", "RAY_", "TUNE_", "CUDA_", "NVIDIA_", "OMP_",
    "MKL_", "NCCL_", "GLOO_", "TORCH_", "PYTORCH_", "SLURM_JOB",
)  # fmt: skip
_SECRET = re.compile(r"(?i)key|token|secret|passw|cred|auth|private|cookie")
_LITERAL = re.compile(
    r"(?i)((?:key|token|secret|passw\w*|credential\w*)['\"]?\s*(?:[=:]\s*|\s))(['\"])[^'\"\s]{6,}\2"
)
_ARGUMENT = re.compile(r"(?i)^([^=\s]*(?:key|token|secret|passw|cred)[^=\s]*=).+$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The facts of a sweep that its tables rest on."""

    name: str = ""
    """The sweep's name."""

    metric: str | list[str]
    """What is optimised; several: a list."""

    mode: str | list[str]
    """Whether "min" or "max" is better; for several metrics one for each."""

    parameters: dict[str, str] = field(default_factory=dict)
    """The space: name -> "double", "int64", "bool" or "string", in the space's order."""

    trials: int | None = None
    """How many trials were asked for; None: as many as there is time for."""

    seed: int | None = None
    """The sweep's seed."""

    rest: dict[str, Any] = field(default_factory=dict)
    """All else the file has: versions, git, hosts, command, resources (of each trial), ..."""

    def __post_init__(self) -> None:
        modes = [self.mode] if isinstance(self.mode, str) else self.mode
        metrics = [self.metric] if isinstance(self.metric, str) else self.metric
        if len(modes) != len(metrics) or not set(modes) <= {"min", "max"}:
            raise ValueError(f"mode is {self.mode!r} for {self.metric!r}; give 'min' or 'max' for each.")
        unknown = set(self.parameters.values()) - {"double", "int64", "bool", "string"}
        if unknown:
            raise ValueError(f"types {sorted(unknown)} are unknown; use double, int64, bool or string.")

    @property
    def objectives(self) -> dict[str, str]:
        """Metric -> mode."""
        metrics = [self.metric] if isinstance(self.metric, str) else self.metric
        modes = [self.mode] if isinstance(self.mode, str) else self.mode
        return dict(zip(metrics, modes, strict=True))


def write_manifest(folder: Folder, manifest: Manifest, directory: str | os.PathLike[str] = ".") -> Manifest:
    """Write manifest.json with the facts given and those of this process, and return it as written.

    A manifest that is there already keeps its first versions, git state and hosts; this host is added to
    `hosts`, so that a resumed sweep says everything it ran on.

    Args:
        folder: the sweep's folder.
        manifest: the facts of the sweep; `rest` may hold more, JSON-able, free of secrets.
        directory: the user's working directory, whose git commit and diff are recorded.
    """
    old = read_manifest(folder)
    here = {
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": [_struck(word) for word in sys.argv],
        "environment": environment(os.environ),
        "git": git_state(Path(directory)),
        "hosts": [],
    }
    rest = {**here, **(old.rest if old else {}), **manifest.rest}
    hosts = list(rest["hosts"])
    if socket.gethostname() not in hosts:
        hosts.append(socket.gethostname())
    rest["hosts"] = hosts
    content = {
        "name": manifest.name or folder.name,
        "metric": manifest.metric,
        "mode": manifest.mode,
        "trials": manifest.trials,
        "seed": manifest.seed,
        "parameters": [{"name": name, "arrow_type": kind} for name, kind in manifest.parameters.items()],
        **rest,
    }
    folder.put("manifest.json", json.dumps(content, indent=2, default=str).encode())
    return _parse(content)


def read_manifest(folder: Folder) -> Manifest | None:
    """The manifest of a sweep's folder, or None where there is none."""
    content = folder.read("manifest.json")
    return None if content is None else _parse(json.loads(content))


def _parse(content: Mapping[str, Any]) -> Manifest:
    known = ("name", "metric", "mode", "trials", "seed")
    return Manifest(
        **{key: content.get(key) for key in known},  # type: ignore[arg-type]
        parameters={p["name"]: p["arrow_type"] for p in content.get("parameters", [])},
        rest={key: value for key, value in content.items() if key not in known and key != "parameters"},
    )


def versions() -> dict[str, str]:
    """Versions of the packages that a sweep's numbers may depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Those environment variables that shape a run and are no secrets."""
    return {
        name: without_secrets(value)
        for name, value in sorted(variables.items())
        if name.startswith(_KEPT) and not _SECRET.search(name)
    }


def git_state(directory: Path) -> dict[str, Any] | None:
    """Commit, branch and the diff of what is not committed; None outside a repository or without git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(directory), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=20, check=True
        )
        return done.stdout

    try:
        commit = git("rev-parse", "HEAD").strip()
        diff = git("diff", "HEAD", "--no-color", "--no-ext-diff", "--", ".", ":(exclude,glob)**/.env*")
        untracked = git("ls-files", "--others", "--exclude-standard").splitlines()
        branch = git("rev-parse", "--abbrev-ref", "HEAD").strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return {
        "commit": commit,
        "branch": branch,
        "diff": _LITERAL.sub(r"\1\2***\2", diff[:DIFF_BYTES]),
        "diff_cut": len(diff) > DIFF_BYTES,
        "untracked": untracked[:200],
    }


def _struck(word: str) -> str:
    return _ARGUMENT.sub(r"\1***", without_secrets(word))
