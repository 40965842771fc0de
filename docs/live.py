"""What watching costs: the numbers of docs/live.md. Writes a sweep of 10,000 trials into a temporary folder.

    python docs/live.py
"""

import statistics
import tempfile
import time

from sweeps.journal import Journal
from sweeps.live.state import LiveSweep
from sweeps.store import tail
from sweeps.store.manifest import Manifest, write_manifest
from sweeps.store.storage import open_folder
from sweeps.store.tables import Tables

TRIALS, REPORTS = 10_000, 20


def main() -> None:
    """Write it, look at it, print."""
    read, sizes = tail.read_from, []

    def counted(*arguments):
        content = read(*arguments)
        sizes.append(len(content))
        return content

    tail.read_from = counted
    with tempfile.TemporaryDirectory() as where:
        folder = open_folder(where).child("big")
        manifest = write_manifest(folder, Manifest(metric="loss", mode="min", parameters={"lr": "double"}))
        with Journal.open(folder) as journal, Tables(folder, manifest, distributions={}) as tables:
            for number in range(TRIALS):
                trial = f"{number:05d}"
                config = {"lr": 1 / (number + 1)}
                tables.fold(journal.append("suggested", trial=trial, config=config, memo=None))
                for step in range(1, REPORTS + 1):
                    metrics = {"loss": 1 / step, "val_accuracy": 1 - 1 / step, "lr": 0.1, "time_total_s": 0.5}
                    fields = {"copies": 0, "iteration": step, "metrics": metrics, "host": "node-7"}
                    tables.fold(journal.append("reported", trial=trial, decision="CONTINUE", **fields))
                tables.fold(journal.append("ended", trial=trial, state="completed", reason=None))
            tables.flush()
            journal_bytes = sum(file.stat().st_size for file in (folder.local / "journal").glob("*.jsonl"))
            table_bytes = (folder.local / "trials.parquet").stat().st_size
            began = time.process_time()
            sweep = LiveSweep(folder)
            first_s, first_bytes = time.process_time() - began, sum(sizes) + table_bytes
            looks = []
            for number in range(100):
                fields = {"copies": 0, "iteration": 30 + number, "metrics": {"loss": 0.5}}
                journal.append("reported", trial="00007", decision="CONTINUE", **fields)
                sizes.clear()
                began = time.process_time()
                sweep.look()
                looks.append((time.process_time() - began, sum(sizes)))
    print(f"journal {journal_bytes / 1e6:.0f} MB, table {table_bytes / 1e6:.2f} MB")
    print(f"first look {first_s:.2f} s of processor time, {first_bytes / 1e6:.1f} MB read")
    each_s, each_bytes = (statistics.median(kind) for kind in zip(*looks, strict=True))
    print(f"each further look {1e3 * each_s:.2f} ms, {each_bytes:.0f} bytes")


if __name__ == "__main__":
    main()
