"""Training and drawing of the diffusion models; the mathematics is proved in denoising/."""

import numpy as np
import pytest
import torch

import trainables
from trainables.denoising import described
from trainables.denoising.datasets import SHAPES, Noised, splits, stratified
from trainables.diffusion import Ddpm, Sde
from trainables.engine import checkpoint, data, hparams
from trainables.engine.ddp import Ranks

CPU = torch.device("cpu")
FAST = {"optimizer": "adamw", "lr": 4e-3, "batch_size": 64, "report_every": 40, "samples": 100, "steps": 5}


@pytest.fixture
def built():
    """`built(task class, **config)`: task and a new network."""

    def build(cls, **config):
        task = cls(hparams.make(cls.Config, config))
        task.setup()
        torch.manual_seed(0)
        return task, task.build()

    return build


def test_noise_of_a_training_pass_belongs_to_each_sample_and_is_normal():
    """8,000 normal draws: mean and deviation within 5 standard errors, false alarm below 1e-5."""
    train = Noised(splits("digits", None)[0], SHAPES["digits"], dequantise=True)
    rows, bits = np.arange(250), data.bits(3, 0, 250)
    x, y, u, eps = train.batch(rows, bits, CPU)
    half = train.batch(rows[100:], bits[100:], CPU)
    for whole, part in zip((x, y, u, eps), half, strict=True):
        assert torch.equal(whole[100:], part)
    assert abs(float(eps.mean())) < 5 / 16000**0.5
    assert abs(float(eps.std()) - 1) < 5 / 32000**0.5
    assert u.min() > 0
    assert u.max() < 1
    plain, _, _, _ = Noised(splits("digits", None)[0], SHAPES["digits"]).batch(rows, bits, CPU)
    assert (x >= plain).all()
    assert (x < plain + 1 / 8 + 1e-6).all()


def test_stratified_draws_have_one_in_each_part():
    assert sorted((stratified(50, CPU) * 50).long().tolist()) == list(range(50))


def test_pixels_get_the_nearest_values_that_they_can_have():
    x = torch.tensor([-3.0, -0.95, 0.06, 0.07, 1.02])
    assert SHAPES["digits"].quantised(x).tolist() == [-1.0, -1.0, 0.0, 0.125, 1.0]


@pytest.mark.parametrize("cls", [Ddpm, pytest.param(Sde, marks=pytest.mark.slow)])
def test_it_learns(cls, one_rank):
    """Forty steps: the held-out loss falls by a third; a network that predicts 0 begins near 1."""
    engine = one_rank(cls, **FAST)
    engine.model.eval()
    with torch.no_grad():
        before = engine.ranks.mean(
            engine.task.val, lambda batch: {"loss": engine.task.held_out(engine.model, batch)}
        )["loss"]
    engine.advance()
    assert engine.evaluate()["val_loss"] < before * 2 / 3


def test_an_untrained_eps_network_has_the_loss_of_the_noise_itself(built):
    """It predicts 0, so that the loss is the mean of eps^2: 1 within 5 standard errors of 16,000 draws."""
    task, model = built(Ddpm)
    loss = Ranks(0, 1, CPU).mean(task.val, lambda batch: {"loss": task.held_out(model, batch)})["loss"]
    assert abs(loss - 1) < 5 * (2 / 16000) ** 0.5


def test_held_out_noise_is_the_same_each_time(built):
    task, model = built(Sde)
    measure = [
        Ranks(0, 1, CPU).mean(task.val, lambda batch: {"loss": task.held_out(model, batch)})["loss"]
        for _ in range(2)
    ]
    assert measure[0] == measure[1]


def test_a_label_that_is_dropped_is_the_class_any(built):
    task, model = built(Ddpm, conditional=True, label_drop=1.0)
    seen = []
    model.net.register_forward_pre_hook(lambda module, given: seen.append(given[2]))
    task.loss(model, task.train.batch(np.arange(20), data.bits(0, 0, 20), CPU))
    assert seen[0].tolist() == [10] * 20


def test_drawn_images_do_not_depend_on_the_number_of_ranks(built):
    """Two ranks' parts, put together, are one rank's images."""

    class Half(Ranks):
        def sum(self, tensor):
            return tensor

    task, model = built(Ddpm, steps=3)
    torch.nn.init.normal_(model.net.last[2].weight, std=0.1)
    with torch.no_grad():
        whole, labels = task.draw(model, Ranks(0, 1, CPU), 200)
        parts = [task.draw(model, Half(i, 2, CPU), 200)[0] for i in range(2)]
    assert torch.equal(torch.cat([parts[0][:128], parts[1][128:]]), whole)
    assert not parts[0][128:].any()
    assert labels[:12].tolist() == [*range(10), 0, 1]


def test_pictures_are_64_images_from_0_to_1(built):
    task, model = built(Sde, steps=3)
    with torch.no_grad():
        pictures = task.pictures(model, Ranks(0, 1, CPU))["samples"]
    assert pictures.shape == (64, 1, 8, 8)
    assert 0 <= pictures.min() <= pictures.max() <= 1


def test_a_checkpoint_alone_gives_back_the_task_and_its_averaged_network(one_rank, tmp_path):
    engine = one_rank(Ddpm, **FAST, conditional=True, prediction="v", ema_decay=0.9, width=24)
    engine.task.config = hparams.make(Ddpm.Config, {**FAST, "report_every": 2, "conditional": True})
    for _ in range(2):
        engine._step({}, measure=False)
    checkpoint.write(tmp_path, checkpoint.pack(engine.state_dict()))
    task, model = described.load(tmp_path, {"ddpm": Ddpm})
    assert (task.config.width, task.config.prediction, task.config.conditional) == (24, "v", True)
    for p, mean in zip(model.parameters(), engine.average.mean, strict=True):
        assert torch.equal(p, mean)


def test_a_checkpoint_of_something_else_is_refused(one_rank, tmp_path):
    engine = one_rank(trainables.load("classify").task)
    checkpoint.write(tmp_path, checkpoint.pack(engine.state_dict()))
    with pytest.raises(ValueError, match="does not say of what; needed is one of ddpm or sde"):
        described.load(tmp_path, {"ddpm": Ddpm, "sde": Sde})


@pytest.mark.slow
def test_the_likelihood_of_an_untrained_edm_network_is_that_of_a_gaussian(built):
    """A network that answers 0 guesses x_0 as for data N(0, s^2), s the data's deviation: its bits per
    dimension are those of that Gaussian, within 1 % for the steps of the ODE and the prior."""
    task, model = built(Sde, prediction="edm", likelihood_steps=50)
    x, y = task._test.batch(np.arange(40), None, CPU)
    task._test = data.Arrays(x, y)
    found = task.test(model, Ranks(0, 1, CPU))["test_bits_per_dim"]
    s = SHAPES["digits"].deviation
    density = torch.distributions.Normal(0.0, s).log_prob(x + 1 / 16).mean()
    assert found == pytest.approx(float(-density / np.log(2) + 3), rel=0.01)


@pytest.mark.parametrize(
    ("cls", "config", "message"),
    [
        (Ddpm, {"width": 20}, "`width` is 20; it must be a multiple of 8"),
        (Ddpm, {"multipliers": "1,x"}, "`multipliers` is '1,x'; it must be whole numbers with commas"),
        (Ddpm, {"multipliers": "1,2,2,2,2"}, "a list for a side of 8, which is halved"),
        (Ddpm, {"steps": 2000}, "`steps` is 2000; it must be at most 1000"),
        (Ddpm, {"eta": 2.0}, r"`eta` is 2.0; it must be in \[0, 1\]"),
        (Ddpm, {"guidance": 1.0}, "`guidance` is 1.0; it must be 0 where the network is not `conditional`"),
        (Sde, {"path": "flow", "prediction": "eps"}, "`prediction` is eps; it must be v or flow for"),
        (
            Sde,
            {"path": "flow", "prediction": "v", "sampler": "sde"},
            "`sampler` is sde; it must be heun",
        ),
    ],
)
def test_values_that_cannot_work_are_refused(cls, config, message):
    with pytest.raises(ValueError, match=message):
        hparams.make(cls.Config, config)
