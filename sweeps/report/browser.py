"""A Chromium or Chrome of this machine, without a window: takes a picture of a page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

NAMES = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)  # fmt: skip
"""Commands and places that are looked for, in this order."""

WIDTH = 1400
TALLEST = 16_000
"""Pixels of a picture; Chromium draws none that is taller than 16,384."""

_WAIT_S = 120
_HEIGHT = re.compile(r'data-height="(\d+)"')


def find() -> str | None:
    """The browser's command; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def found() -> str:
    """The browser's command.

    Raises:
        ValueError: there is none; says what to install.
    """
    if (command := find()) is None:
        raise ValueError(
            "--png takes a picture of the page with Chromium or Chrome, and neither is on this machine. "
            "Install one (Debian and Ubuntu: `apt-get install chromium`; `make browser` does), "
            "or open the HTML file elsewhere: it needs nothing but itself."
        )
    return command


def picture(page: Path, out: Path, *, width: int = WIDTH) -> None:
    """Write a PNG of a whole page, from its top to its end.

    Args:
        page: an HTML file that says in `data-height` of its root how tall it is when it is complete.
        out: the PNG.
        width: of the window, in pixels.

    Raises:
        ValueError: there is no browser, or it made no picture.
    """
    dom = run(page, "--dump-dom", f"--screenshot={out.absolute()}", width=width, height=TALLEST)
    told = _HEIGHT.search(dom)
    if told is None or not out.is_file():
        raise ValueError(f"{found()} made no picture of {str(page)!r}; open the page in a browser instead.")
    with Image.open(out) as image:
        image.crop((0, 0, image.width, min(int(told[1]), image.height))).save(out)


def run(page: Path, *options: str, width: int = WIDTH, height: int = 1000, log: Path | None = None) -> str:
    """Open a page and return what the browser prints; its own log goes to `log`.

    Raises:
        ValueError: there is no browser, or it does not come to an end.
    """
    command = found()
    with tempfile.TemporaryDirectory(prefix="starling-browser-") as profile:
        words = [
            command, "--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-extensions", "--virtual-time-budget=20000", f"--user-data-dir={profile}",
            f"--window-size={width},{height}", *(["--enable-logging=stderr"] if log else []), *options,
        ]  # fmt: skip
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            words.append("--no-sandbox")  # Chromium refuses root otherwise; the page is our own
        try:
            done = subprocess.run(
                [*words, page.absolute().as_uri()], capture_output=True, text=True, errors="replace",
                timeout=_WAIT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ValueError(
                f"{command} did not draw the page within {_WAIT_S} s; "
                f"open {str(page)!r} in a browser instead."
            ) from error
    if log is not None:
        log.write_text(done.stderr)
    return done.stdout
