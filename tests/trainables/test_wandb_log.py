import json
import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from trainables.wandb_log import BLOCK, LogReader, read

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # nothing goes to the network
from wandb.proto import wandb_internal_pb2 as pb


def history(**values) -> bytes:
    record = pb.Record()
    for name, value in values.items():
        record.history.item.add(nested_key=name.split("__"), value_json=json.dumps(value))
    return record.SerializeToString()


def write_log(path: Path, records: list[bytes]) -> bytes:
    """An encoder of its own, written from the format's description: the reader's oracle."""
    out = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        first = True
        while True:
            left = BLOCK - len(out) % BLOCK
            if left < 7:
                out += bytes(left)
                continue
            part, record = record[: left - 7], record[left - 7 :]
            kind = (1 if first else 4) if not record else (2 if first else 3)
            out += struct.pack("<IHB", zlib.crc32(bytes([kind]) + part), len(part), kind) + part
            first = False
            if not record:
                break
    path.write_bytes(out)
    return bytes(out)


@pytest.fixture
def records() -> list[bytes]:
    """Enough to pass several block ends, some longer than two blocks."""
    rng = np.random.default_rng(0)
    sizes = [*rng.integers(0, 3000, 60), 70_000, 5, 33_000, 0, *rng.integers(0, 30_000, 10)]
    return [history(step=i, text="x" * int(size)) for i, size in enumerate(sizes)]


def test_every_record_is_read_once_when_the_file_grows_by_any_number_of_bytes(tmp_path, records):
    whole = write_log(tmp_path / "whole.wandb", records)
    for seed in range(5):
        path = tmp_path / f"{seed}.wandb"
        reader, steps, written = LogReader(path), [], 0
        assert list(reader.rows()) == []  # not there yet
        rng = np.random.default_rng(seed)
        with path.open("ab") as file:
            while written < len(whole):
                more = int(rng.choice([1, 6, 7, 100, 5_000, 40_000]))
                file.write(whole[written : written + more])
                file.flush()
                written += more
                steps += [row["step"] for row in reader.rows()]
        assert steps == list(range(len(records)))
        assert reader.damaged == 0


def test_records_that_end_exactly_at_a_block_and_next_to_it_are_read(tmp_path):
    # The first block holds 32768 - 7 (file) - 7 (fragment) bytes; the record's own framing is 4 to 12 bytes.
    for missing in range(30):
        long = history(step=0, text="x" * (BLOCK - 14 - 20 - missing - 20))
        write_log(tmp_path / "a.wandb", [long, history(step=1), history(step=2)])
        assert [row["step"] for row in read(tmp_path / "a.wandb")[1]] == [0, 1, 2]


def test_a_damaged_block_costs_its_own_records_only(tmp_path, records):
    whole = bytearray(write_log(tmp_path / "a.wandb", records))
    whole[BLOCK + 500 : BLOCK + 504] = b"torn"
    (tmp_path / "a.wandb").write_bytes(whole)
    reader = LogReader(tmp_path / "a.wandb")
    steps = [row["step"] for row in reader.rows()]
    assert reader.damaged == 1
    assert steps == sorted(set(steps))
    lost = set(range(len(records))) - set(steps)
    assert 0 < len(lost) < 30
    assert max(lost) - min(lost) == len(lost) - 1  # one gap


def test_a_tail_of_zeros_as_file_systems_leave_after_a_power_cut_is_waited_for_then_ignored(tmp_path):
    write_log(tmp_path / "a.wandb", [history(step=0)])
    with (tmp_path / "a.wandb").open("ab") as file:
        file.write(bytes(300))
    assert [row["step"] for row in read(tmp_path / "a.wandb")[1]] == [0]


def test_another_file_is_refused(tmp_path):
    (tmp_path / "a.wandb").write_bytes(b"PAR1 is not a log")
    with pytest.raises(ValueError, match=r"a\.wandb is no W&B run log: it starts with b'PAR1"):
        read(tmp_path / "a.wandb")


def test_nested_keys_nan_and_removed_settings_are_read_as_they_were_logged(tmp_path):
    config = pb.Record()
    config.config.update.add(nested_key=["model", "width"], value_json="8")
    config.config.update.add(key="lr", value_json="0.1")
    config.config.update.add(key="_wandb", value_json="{}")
    less = pb.Record()
    less.config.remove.add(key="lr")
    final = pb.Record()
    final.exit.exit_code = 3
    row = history(val__loss=float("nan"), val__acc=0.5)
    write_log(tmp_path / "a.wandb", [r.SerializeToString() for r in (config, less)] + [row])
    run, (got,) = read(tmp_path / "a.wandb")
    assert run.config == {"model": {"width": 8}}
    assert run.exit_code is None
    assert np.isnan(got["val"].pop("loss"))
    assert got == {"val": {"acc": 0.5}}
    write_log(tmp_path / "a.wandb", [final.SerializeToString()])
    assert read(tmp_path / "a.wandb")[0].exit_code == 3


SCRIPT = """
import time, wandb
run = wandb.init(project="p", group="g", name="n", config={"lr": 0.1, "model": {"width": 8}},
                 settings=wandb.Settings(sweep_id="abc123", x_disable_stats=True))
for step in range(1000):
    run.log({"loss": 1 / (step + 1), "val/acc": step, "nested": {"x": step}})
run.config.update({"lr": 0.2}, allow_val_change=True)
run.summary["best"] = 7
print("logged", flush=True)
input()
run.finish(exit_code=3)
"""


def test_the_real_client_is_read_while_it_writes_and_after_it(tmp_path):
    environment = {
        **os.environ, "WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_RUN_ID": "r1",
        "WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL": "0.2", "WANDB_SILENT": "true",
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as script:
        assert script.stdin is not None
        assert script.stdout is not None
        assert script.stdout.readline() == b"logged\n"
        (path,) = tmp_path.glob("wandb/offline-run-*/run-r1.wandb")
        reader, rows = LogReader(path), []
        deadline = time.monotonic() + 5
        while len(rows) < 1000 and time.monotonic() < deadline:
            rows += reader.rows()
        assert [row["nested"]["x"] for row in rows] == list(range(1000))
        assert reader.run.exit_code is None  # it still runs
        script.stdin.write(b"\n")
        script.stdin.close()
        script.wait()
    assert list(reader.rows()) == []
    run = reader.run
    assert (run.run_id, run.project, run.group, run.name, run.sweep_id) == ("r1", "p", "g", "n", "abc123")
    assert run.config == {"lr": 0.2, "model": {"width": 8}}
    assert run.summary["best"] == 7
    assert run.summary["loss"] == pytest.approx(1e-3)
    assert run.exit_code == 3
    assert rows[9]["loss"] == pytest.approx(0.1)
    assert rows[9]["_step"] == 9
