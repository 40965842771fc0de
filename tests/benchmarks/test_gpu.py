"""Every measurement of a GPU, at a tiny size on the CPU: what it measures, not how fast the CPU is."""

import os
import subprocess
import sys
from functools import partialmethod
from pathlib import Path

os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # Ray reads it at import

import pytest
import ray
import torch

from benchmarks import images
from benchmarks.__main__ import put
from benchmarks.gpu import accuracy, device, memory, nccl, steps, turnover
from benchmarks.gpu.__main__ import NAMES, PAGE, main
from trainables.classify import Classification

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
TINY = {"dataset": "digits", "model": "conv", "width": 8, "batch_size": 256, "epochs": 1}
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="what is said where there is no GPU")
EAGER = partialmethod(torch.nn.Module.compile, backend="eager")
"""The graph is taken, and no kernel made of it, which takes minutes on a busy CPU."""
compiling = pytest.mark.filterwarnings("ignore:.*torch.jit")  # torch's own, when it imports its compiler
quiet = pytest.mark.filterwarnings("ignore")  # Ray's own, in its threads


@pytest.fixture(scope="module")
def small_ray():
    """A Ray of two CPUs."""
    ray.init(
        address="local", num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False,
        logging_level="ERROR",
    )  # fmt: skip
    yield
    ray.shutdown()


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Random images of CIFAR-10's shape."""
    for name in ("STARLING_TEST_DATA", "STARLING_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STARLING_CACHE", str(tmp_path / "cache"))
    return images.parquet(tmp_path, rows=600)[0]


@without_gpu
def test_without_a_gpu_a_sentence_says_so_and_nothing_is_measured_or_written():
    before = PAGE.read_text()
    command = [sys.executable, "-m", "benchmarks.gpu", "--write"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("No GPU, nothing measured: PyTorch ")
    assert done.stdout.count("\n") == 1
    assert PAGE.read_text() == before


@without_gpu
@pytest.mark.parametrize("part", [steps, accuracy, turnover, memory, nccl])
def test_a_part_alone_says_the_same(part, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["part"])
    with pytest.raises(SystemExit, match="0"):
        part.main()
    assert capsys.readouterr().out.startswith("No GPU, nothing measured: PyTorch ")


@pytest.mark.parametrize(
    ("there", "cuda", "said"),
    [
        (False, None, "PyTorch is not installed in .*make bench-gpu VENV=DIR"),
        (True, None, "is built without CUDA.*make bench-gpu VENV=DIR"),
        (True, "12.8", "sees no CUDA device.*nvidia-smi.*CUDA_VISIBLE_DEVICES"),
    ],
)
def test_what_is_lacking_is_said_with_its_cure(monkeypatch, there, cuda, said):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(device, "find_spec", lambda name: "there" if there else None)
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(device.obstacle())


def test_an_unknown_part_is_answered_with_those_there_are(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["memroy"])
    said = capsys.readouterr().err
    assert all(name in said for name in NAMES)


def test_every_part_has_a_file_and_a_place_in_the_page():
    for name in NAMES:
        assert (ROOT / "benchmarks" / "gpu" / f"{name}.py").is_file()
        assert "\nmeasured\n" in put(PAGE.read_text(), name, "measured\n")


def test_ways_alternate_and_their_first_call_stands_apart():
    calls = []
    ways = {name: lambda name=name: calls.append(name) for name in "ab"}
    opening, took = device.in_turn(ways, 3, CPU)
    assert "".join(calls) == "ab" * 4
    assert opening.keys() == took.keys() == {"a", "b"}
    assert [len(found) for found in took.values()] == [3, 3]


@compiling
def test_ways_of_a_model_differ_in_what_they_are_called_after(photographs, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", EAGER)
    model = steps.Model(trainable="classify", config=TINY | {"dataset": "cifar10", "batch_size": 4})
    for way in model.ways():
        loop = steps.engine(model, way, 2, photographs, CPU)
        (x, _), _ = loop._batch(0)
        weights = [m.weight for m in loop.model.modules() if isinstance(m, torch.nn.Conv2d)]
        for tensor in (x, *weights):
            assert tensor.is_contiguous(memory_format=torch.channels_last) is way.channels_last
            assert tensor.is_contiguous() is not way.channels_last
        assert loop.task.config.precision == way.precision
        assert (loop.objective._compiled_call_impl is not None) is way.compiled


def test_both_memory_layouts_take_the_same_steps(photographs):
    model = steps.Model(trainable="classify", config=TINY | {"dataset": "cifar10", "batch_size": 8})
    ways = [steps.Way("fp32", layout, False) for layout in (True, False)]
    one, other = (steps.engine(model, way, 3, photographs, CPU).advance()["train_loss"] for way in ways)
    assert one == pytest.approx(other, rel=1e-5)


@compiling
def test_steps_have_a_row_for_each_way_compared_with_the_engine_as_it_is(photographs, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", EAGER)
    model = steps.Model(
        trainable="classify",
        config=TINY | {"dataset": "cifar10", "batch_size": 4},
        precisions=("fp32", "bf16"),
        compiled=("fp32",),
    )
    rows = steps.measure(model, photographs, CPU, repeats=2, budget_s=0.01)
    eager = ["fp32, NCHW", "fp32, channels_last", "bf16, NCHW", "bf16, channels_last"]
    assert [row[0] for row in rows] == [*eager, "fp32, channels_last, compiled"]
    assert rows[1][2] == "1.00"
    assert [bool(row[3] and row[4]) for row in rows] == [False] * 4 + [True]


def test_models_of_the_table_are_valid_and_the_unet_is_the_recipes(photographs):
    for model in steps.MODELS.values():
        loop_config = {**model.config, "data": str(photographs)}
        assert steps.trainables.load(model.trainable).check(loop_config) == []
    assert steps.MODELS["ddpm"].config["width"] == 128


def test_training_stops_at_the_bar_and_tells_what_it_took():
    config = TINY | {"batch_size": 32, "lr": 0.05, "epochs": 20}
    found = accuracy.train(config, 0.6, CPU)
    assert 0.6 <= found.held_out <= 1
    assert 0 < found.epochs < 20
    assert found.training_s > 0
    assert found.test == pytest.approx(found.held_out, abs=0.2)
    missed = accuracy.train(config | {"epochs": 1}, 1.1, CPU)
    assert missed.epochs == pytest.approx(1, abs=0.1)
    assert accuracy.row("fp32", [found, missed], 0.6)[1] == "missed by 1 of 2 seeds"
    assert "n=1" in accuracy.row("fp32", [found], 0.6)[1]


def test_the_recipe_to_be_timed_is_valid_and_its_warm_up_ends_within_it():
    config = Classification(**accuracy.RECIPE)
    assert config.warmup_steps < config.epochs * 45_000 / config.batch_size / 2


def test_trials_an_hour_are_those_of_the_sweeps_middle():
    one_at_a_time = [100, 103, *(110 + 2 * i for i in range(10)), 500]
    assert turnover.per_hour(one_at_a_time, 1) == pytest.approx(1800)
    two_at_a_time = [90, 95, 100, 105, *(110 + i for i in range(10)), 400, 500]
    assert turnover.per_hour(two_at_a_time, 2) == pytest.approx(3600)


@quiet
def test_a_sweep_of_reused_trials_tells_when_each_came_and_ended(small_ray, tmp_path):
    clock = turnover.sweep(tmp_path, 6, 1, 0, TINY)
    assert len(clock.end) == 6
    assert all(gap > 0 for gap in clock.gaps()[0])
    assert turnover.per_hour(list(clock.end.values()), 1) > 0


def test_growth_is_from_the_settled_trial_on_and_for_each_width_alone():
    widths = [32, 64, 32, 64, 64, 32, 64, 32]
    found = [{"width": w, "resident": 100.0 + w + i} for i, w in enumerate(widths)]
    assert memory.growth(found, "resident") == [(32, 137.0, 139.0), (64, 168.0, 170.0)]
    assert "resident memory grew by, MiB: **2** (goal <= 50: met)" in memory.table(found, ["resident"])


@quiet
def test_trials_that_reuse_a_process_say_what_it_holds(small_ray, tmp_path):
    found = memory.trials(tmp_path, 7, 0, memory.TRIAL | {"model": "conv", "batch_size": 512})
    assert len(found) == 7
    assert all(one["resident"] > 100 for one in found)
    assert {width for width, _, _ in memory.growth(found, "resident")} <= set(memory.WIDTHS)


def test_a_group_of_one_rank_adds_up_what_it_is_given(tmp_path):
    assert nccl.alone(tmp_path, CPU) == "gloo"
    assert not torch.distributed.is_initialized()


@quiet
@pytest.mark.slow  # three sweeps; tests/trainables/test_contract.py has two ranks at every run
def test_two_ranks_on_the_same_batches_have_the_loss_of_one(small_ray, tmp_path):
    rows, verdicts = nccl.compared(tmp_path, 0, TINY | {"epochs": 2, "lr": 0.01})
    assert [row[0] for row in rows] == ["1 rank", "2 ranks, same batch", "2 ranks, twice the batch"]
    assert rows[0][3] == rows[1][3]
    assert rows[0][3] != rows[2][3]
    assert "met" in verdicts[1]
