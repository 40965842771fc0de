"""The picture in the README: a real sweep's console, drawn again from its journal.

    python docs/picture.py results/quickstart docs/sweep.svg

No outside address is in the SVG: rich's web fonts are taken out, the reader's own monospaced font serves.
Blanks at a text's ends become its position: some programs that draw SVG drop them.
"""

import argparse
import html
import io
import re
import time
from pathlib import Path

from rich.console import Console as Terminal

from sweeps import Results, Sweep, journal
from sweeps.console import Console
from sweeps.drive import Outcome
from sweeps.loop.history import spread

COLUMNS = 142
FONT = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def drawn(folder: Path) -> str:
    """The SVG of the sweep in `folder`."""
    results = Results(folder)
    console = Console(Sweep.from_yaml((folder / "spec.yaml").read_text()), results.folder, quiet=False)
    console.where = f"results/{folder.name}"
    console.terminal = Terminal(
        record=True, file=io.StringIO(), width=COLUMNS, force_terminal=True, highlight=False
    )
    events = list(journal.read(folder))
    console.started = time.monotonic() - (events[-1]["t"] - events[0]["t"])
    console.terminal.print(f"$ [bold]starling run sweeps/recipes/{folder.name}.py --name {folder.name}[/]")
    console.starting()
    for event in events:
        for one in (event, *spread(event)):
            console.fold(one)
    console.ended(Outcome(results=results, why=events[-1]["why"]))
    svg = console.terminal.export_svg(title="starling", unique_id="starling")
    return without_blanks(without_web_fonts(svg))


def without_web_fonts(svg: str) -> str:
    """The same picture, in a font that the reader has."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"font-family: (Fira Code[^;]*|arial);", f"font-family: {FONT};", svg)


def without_blanks(svg: str) -> str:
    """The same picture, each text moved by the blanks before it and freed of those around it."""

    def moved(found: re.Match[str]) -> str:
        start, x, between, length, rest, text = found.groups()
        text = html.unescape(text)
        bare, width = text.strip("\xa0"), float(length) / len(text)
        if not bare:
            return ""
        x = float(x) + width * (len(text) - len(text.lstrip("\xa0")))
        words = html.escape(bare).replace("\xa0", "&#160;")
        return f"{start}{x:g}{between}{len(bare) * width:g}{rest}{words}</text>"

    pattern = r'(<text [^>]*x=")([\d.]+)("[^>]*textLength=")([\d.]+)("[^>]*>)([^<]*)</text>'
    return re.sub(pattern, moved, svg)


def main() -> None:
    """Write the picture of one sweep."""
    parser = argparse.ArgumentParser(description="Draw a finished sweep's console as an SVG.")
    parser.add_argument("sweep", type=Path, metavar="SWEEP", help="a finished sweep's folder")
    parser.add_argument("out", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    arguments.out.write_text(drawn(arguments.sweep))


if __name__ == "__main__":
    main()
