"""A sweep's trials as one file for other programs."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sweeps.results import Results
from sweeps.spelling import allowed
from sweeps.store.storage import Folder, open_folder

FORMATS = {"csv": ".csv", "parquet": ".parquet", "optuna": ".journal"}


def export(
    path: str | os.PathLike[str] | Folder, to: str = "csv", out: str | os.PathLike[str] | None = None
) -> str:
    """Write the trials of the sweep at `path` into one file, and return where it is.

    Args:
        path: the sweep's folder.
        to: "csv" or "parquet": the trials table; "optuna": its study, for `optuna-dashboard FILE`.
        out: the file, a path or URI; None: the sweep's name in the current directory.

    Raises:
        ValueError: no such format, no sweep there, or nowhere to write.
    """
    if to not in FORMATS:
        raise ValueError(f"export to {to!r} is not possible; {allowed(to, FORMATS)}")
    results = Results(path)
    target = os.fspath(out) if out is not None else f"{results.folder.name}{FORMATS[to]}"
    base, mark, query = target.partition("?") if "://" in target else (str(Path(target).absolute()), "", "")
    parent, _, name = base.rpartition("/")
    folder = open_folder(f"{parent or '/'}{mark}{query}")
    content = _content(results, to)
    try:
        folder.put(name, content)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{target!r} cannot be written: {error}. Choose another with --out.") from error
    return folder.child(name).uri


def _content(results: Results, to: str) -> bytes | pa.Buffer:
    if to == "optuna":
        study = results.folder.read("study.journal")
        if study is None:
            raise ValueError(
                f"{results.path!r} has no study.journal: the sweep has not begun, or its space has no form "
                "in Optuna. Export to csv or parquet."
            )
        return study
    sink = pa.BufferOutputStream()
    if to == "csv":
        pa_csv.write_csv(results.to_arrow(), sink)
    else:
        pq.write_table(results.to_arrow(), sink)
    return sink.getvalue()
