"""Sampling from a finished trial's network, without training."""

import pytest
import torch

import trainables
from trainables.diffusion import Ddpm, Sde
from trainables.engine import checkpoint
from trainables.engine.ddp import Ranks
from trainables.noisy_classifier import Classifier
from trainables.sampler import Sampler

BRIEF = {"optimizer": "adamw", "lr": 4e-3, "batch_size": 64, "samples": 100, "steps": 5}
DRAW = {"samples": 100, "steps": 4}


@pytest.fixture
def trial(one_rank, tmp_path):
    """`trial(task class, steps, **config)`: the checkpoint folder of a training of so many steps."""

    def run(cls, count, **config):
        engine = one_rank(cls, **config)
        for _ in range(count):
            engine._step({}, measure=False)
        folder = tmp_path / f"{cls.__name__}-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        checkpoint.write(folder, checkpoint.pack(engine.state_dict()))
        return str(folder), engine

    return run


def images(one_rank, **config):
    engine = one_rank(Sampler, **{**DRAW, **config})
    engine.advance()
    return engine.images


@pytest.mark.parametrize("cls", [Ddpm, Sde])
def test_it_draws_what_the_trial_itself_would_draw(cls, trial, one_rank):
    folder, engine = trial(cls, 3, **BRIEF)
    sampler = "ddim" if cls is Ddpm else "heun"
    with torch.no_grad():
        own, _ = engine.task.draw(engine.model.eval(), Ranks(0, 1, torch.device("cpu")), 100)
    assert torch.equal(images(one_rank, checkpoint=folder, sampler=sampler, steps=5), own)


def test_a_trial_is_one_report_with_everything_declared(trial, one_rank):
    folder, _ = trial(Ddpm, 3, **BRIEF, conditional=True)
    engine = one_rank(Sampler, **DRAW, checkpoint=folder, guidance=1.0)
    report = engine.advance() | engine.evaluate()
    assert {*Sampler.metrics, *Sampler.beside, "consistency"} <= set(report)
    assert report["done"] is True
    assert report["passes"] == 8
    assert engine.pictures()["samples"].startswith(b"\x89PNG")


@pytest.mark.slow
def test_settings_change_the_images_and_the_seed_their_noise(trial, one_rank):
    folder, _ = trial(Ddpm, 30, **BRIEF, conditional=True)
    first = images(one_rank, checkpoint=folder)
    assert torch.equal(first, images(one_rank, checkpoint=folder))
    for other in ({"steps": 6}, {"eta": 1.0}, {"guidance": 3.0}, {"seed": 1}, {"sampler": "heun"}):
        assert not torch.equal(first, images(one_rank, checkpoint=folder, **other)), other


@pytest.mark.slow
def test_a_classifier_of_another_path_is_refused_and_the_right_one_guides(trial, one_rank):
    folder, _ = trial(Ddpm, 5, **BRIEF)
    common = {"optimizer": "adamw", "lr": 3e-3, "batch_size": 64}
    wrong, _ = trial(Classifier, 1, **common, path="vp")
    right, _ = trial(Classifier, 60, **common)
    with pytest.raises(ValueError, match=r"trained for another path.*path=cosine_steps"):
        one_rank(Sampler, **DRAW, checkpoint=folder, scale=1.0, classifier=wrong)
    free = one_rank(Sampler, **DRAW, checkpoint=folder)
    free.advance()
    guided = one_rank(Sampler, **DRAW, checkpoint=folder, scale=10.0, classifier=right)
    guided.advance()
    clean = torch.tensor(1e-3, dtype=torch.float64)
    by = guided.networks.classifier.log_probability
    with torch.no_grad():
        sure = [float(by(one.images, clean, one.labels).mean()) for one in (free, guided)]
    assert sure[1] > sure[0]


def test_the_reverse_sde_needs_a_network_of_a_path(trial, one_rank):
    folder, _ = trial(Ddpm, 1, **BRIEF)
    with pytest.raises(ValueError, match="no SDE; take vp"):
        images(one_rank, checkpoint=folder, sampler="sde")


def test_guidance_of_a_network_without_classes_is_refused(trial, one_rank):
    folder, _ = trial(Ddpm, 1, **BRIEF)
    with pytest.raises(ValueError, match="knows no classes; train it with conditional=true"):
        one_rank(Sampler, **DRAW, checkpoint=folder, guidance=1.0)


@pytest.mark.slow
def test_without_a_checkpoint_a_network_is_trained_once_and_kept(one_rank, tmp_path, monkeypatch):
    monkeypatch.setenv("STARLING_CACHE", str(tmp_path))
    first = images(one_rank, epochs=1)
    (kept,) = tmp_path.glob("networks/*/state.pt")
    written = kept.stat().st_mtime_ns
    assert torch.equal(first, images(one_rank, epochs=1))
    assert kept.stat().st_mtime_ns == written


def test_a_folder_without_a_checkpoint_is_an_obstacle_that_check_tells(tmp_path):
    program = trainables.load("trainables.sampler:Sampler")
    (problem,) = program.obstacles({"checkpoint": str(tmp_path)})
    assert "holds no state.pt; give a trial's checkpoint folder" in problem
    assert program.reports({}) == 1
