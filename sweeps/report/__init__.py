"""A sweep's report: one HTML file with everything in it, to be opened anywhere and sent to anybody.

`sections/` has a file a section; each makes its figure from `material.Material`, the same functions that
`Results.plot` offers in a notebook.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sweeps.results import Results


def write(
    path: str | os.PathLike[str], out: str | os.PathLike[str] | None = None, *, png: bool = False
) -> list[Path]:
    """Write the report of a sweep, finished or running, and return the files.

    Args:
        path: the sweep's folder, a path or URI.
        out: the HTML file; None: report.html in the sweep's folder, or in the current one, under the sweep's
            name, where the sweep is not on this machine.
        png: also a picture of the page, beside it.

    Raises:
        ValueError: there is no sweep, the file cannot be written, or there is no browser for the picture.
    """
    from sweeps.report import browser
    from sweeps.report.material import Material
    from sweeps.report.page import render
    from sweeps.store.storage import put_local

    results = Results(path)
    if png:
        browser.found()
    local = results.folder.local
    if out is not None:
        file = Path(out).absolute()
    elif local is not None:
        file = local / "report.html"
    else:
        file = Path(f"{results.folder.name}-report.html").absolute()
    if file.is_dir():
        example = str(file / "report.html")
        raise ValueError(f"--out: {str(file)!r} is a folder; give a file, for example {example!r}")
    content = render(Material(results)).encode("utf-8", "replace")
    try:
        put_local(file, content, durable=False)
    except OSError as error:
        raise ValueError(
            f"{str(file)!r} cannot be written: {error.strerror}. Choose another with --out."
        ) from error
    if not png:
        return [file]
    picture = file.with_suffix(".png")
    with tempfile.TemporaryDirectory() as folder:  # so that a half-made picture is never seen
        shot = Path(folder) / "report.png"
        browser.picture(file, shot)
        put_local(picture, shot.read_bytes(), durable=False)
    return [file, picture]
