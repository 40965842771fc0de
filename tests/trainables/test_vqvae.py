"""The VQ-VAE: what it learns and reports; the codebook alone is proved in nets/."""

import multiprocessing

import numpy as np
import pytest
import torch

import trainables
from trainables.engine import hparams
from trainables.engine.ddp import Plan, Ranks, connect
from trainables.quality.psnr import psnr
from trainables.vqvae import VqVae

CPU = torch.device("cpu")
ONE = Ranks(0, 1, CPU)
FAST = {
    "optimizer": "adamw", "lr": 4e-3, "batch_size": 64, "width": 16, "halvings": 1, "codes": 64, "decay": 0.9,
}  # fmt: skip


@pytest.fixture
def built():
    """`built(**config)`: task and a new network whose codes lie where its latents do."""

    def build(**config):
        task = VqVae(hparams.make(VqVae.Config, FAST | config))
        task.setup()
        torch.manual_seed(0)
        model = task.build().eval()
        model.codebook.codes.data.copy_(0.3 * torch.randn(model.codebook.codes.shape))
        return task, model

    return build


def test_it_learns_to_answer_better_than_with_the_mean_image(one_rank):
    """100 steps, 4 CPU seconds, to 18 dB with seed 0; the mean image has 11.4."""
    engine = one_rank(VqVae, **FAST, epochs=5, report_every=50)
    first = engine.advance() | engine.evaluate()
    last = engine.advance() | engine.evaluate()
    while not last["done"]:
        last = engine.advance() | engine.evaluate()
    assert last["val_loss"] < first["val_loss"] / 1.3
    assert last["test_psnr"] > last["mean_image_psnr"] + 4
    assert 16 < last["val_perplexity"] <= 64


def test_signal_to_noise_by_hand():
    """Off by 0.2 of the 2 from -1 to 1: 10 log10(4 / 0.04) = 20 dB; by 0.02 everywhere: 40."""
    x = torch.zeros(2, 1, 2, 2)
    off = torch.tensor([0.2, 0.02])[:, None, None, None]
    assert psnr(x + off, x).tolist() == pytest.approx([20, 40], abs=1e-4)


def test_a_report_is_of_all_held_out_images_at_once(built):
    """Perplexity is exp of the entropy of all codes' use, not a mean over batches; 250 images, 3 batches."""
    task, model = built()
    task._ranks = ONE
    x, _ = task.val.batch(np.arange(len(task.val)), None, CPU)
    with torch.no_grad():
        found, numbers, *_ = model(x)
        reported = task._quality(model, task.val, Ranks(0, 1, CPU))
    p = np.bincount(numbers.flatten().numpy(), minlength=64) / numbers.numel()
    entropy = -sum(q * np.log(q) for q in p if q)
    assert reported["perplexity"] == pytest.approx(np.exp(entropy), rel=1e-6)
    each = [10 * np.log10(4 / float(((a - b) ** 2).mean())) for a, b in zip(found, x, strict=True)]
    assert reported["psnr"] == pytest.approx(np.mean(each), abs=1e-4)


def test_the_loss_is_error_in_variances_and_what_ties_codes_and_encoder(built):
    """eq. 3: error / 0.75^2 + beta commitment, with the pull on the codes only where a loss moves them."""
    task, model = built(beta=0.5)
    x, y = task.train.batch(np.arange(50), None, CPU)
    with torch.no_grad():
        found, _, commitment, pull = model(x)
        error = (found - x).square().mean() / 0.75**2
        assert float(task.loss(model, (x, y))) == pytest.approx(float(error + 0.5 * commitment), rel=1e-6)
        task, _ = built(beta=0.5, codebook="loss")
        expected = float(error + 0.5 * commitment + pull)
        assert float(task.loss(model, (x, y))) == pytest.approx(expected, rel=1e-6)


def test_the_encoder_gets_the_decoders_gradient_unchanged(built):
    """d error / d latents through the codebook is d error / d quantised, of the whole network."""
    task, model = built()
    x, _ = task.train.batch(np.arange(20), None, CPU)
    z = model.encode(x).detach().requires_grad_()
    quantised, *_ = model.quantise(z)
    error = (model.decode(quantised) - x).square().mean()
    through, at = torch.autograd.grad(error, (z, quantised))
    assert at.abs().max() > 0
    assert torch.equal(through, at)


def test_changed_hyperparameters_reach_the_codebook(one_rank):
    engine = one_rank(VqVae, **FAST)
    engine.mutate(FAST | {"decay": 0.97, "restart": 0.02})
    assert (engine.model.codebook.decay, engine.model.codebook.restart) == (0.97, 0.02)


def test_pictures_are_rows_of_images_and_below_each_what_became_of_them(built):
    task, model = built()
    with torch.no_grad():
        pictures = task.pictures(model, ONE)["reconstructions"]
    images = task.val.batch(np.arange(16), None, CPU)[0]
    assert pictures.shape == (64, 1, 8, 8)
    torch.testing.assert_close(pictures[:8] * 2 - 1, images[:8])
    torch.testing.assert_close(pictures[8:16] * 2 - 1, model(images)[0][:8].detach(), atol=1e-5, rtol=0)
    torch.testing.assert_close(pictures[16:24] * 2 - 1, images[8:])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"width": 0}, "`width` is 0; it must be at least 1"),
        ({"halvings": 4}, "`halvings` is 4; it must be a number of times that a side of 8 can be halved"),
        ({"codes": 1}, "`codes` is 1; it must be at least 2"),
        ({"dim": 0}, "`dim` is 0; it must be at least 1"),
        ({"beta": -0.1}, "`beta` is -0.1; it must be at least 0"),
        ({"decay": 1.0}, r"`decay` is 1.0; it must be in \[0, 1\)"),
        ({"restart": 1.5}, r"`restart` is 1.5; it must be in \[0, 1\)"),
        ({"codebook": "gumbel"}, "`codebook` is 'gumbel'; allowed: 'ema', 'loss'"),
        ({"hypergrad": 1}, "`hypergrad` is 1; it must be 0: choices of codes have no derivative"),
    ],
)
def test_values_that_cannot_work_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        hparams.make(VqVae.Config, config)


def test_missing_photographs_are_an_obstacle(tmp_path):
    program = trainables.load("vqvae")
    (found,) = program.obstacles({"dataset": "cifar10", "data": str(tmp_path)})
    assert "starling data cifar10" in found
    assert program.obstacles({"dataset": "digits"}) == []


def trained(ranks, config):
    """The codes before each of eight steps, and the codebook after them, of one rank."""
    task = VqVae(hparams.make(VqVae.Config, config))
    task.setup()
    engine = task.engine(ranks)
    codes = []
    for _ in range(8):
        codes.append(engine.model.codebook.codes.detach().clone())
        engine._step({}, measure=False)
    return torch.stack(codes), engine.model.codebook.state_dict()


@pytest.mark.skipif(torch.cuda.is_available(), reason="threads of autograd for GPUs do not survive a fork")
@pytest.mark.parametrize("rule", ["ema", "loss"])
def test_two_processes_have_the_same_codebook_before_every_step_and_it_is_that_of_one(rule, tmp_path):
    """Gloo; restarts among the steps. Equal bit for bit to each other, within 2e-6 to one rank."""
    config = FAST | {"codebook": rule, "restart": 0.3, "batch_size": 25}

    def work(rank):
        plan = Plan(name="vqvae", task=b"", ranks=2, cpus_per_rank=1, gpus_per_rank=0)
        torch.save(trained(connect(plan, f"file://{tmp_path}/store", rank), config), tmp_path / f"{rank}.pt")
        torch.distributed.destroy_process_group()

    twins = [multiprocessing.get_context("fork").Process(target=work, args=(rank,)) for rank in range(2)]
    [twin.start() for twin in twins]
    expected, book = trained(ONE, config)
    [twin.join() for twin in twins]
    assert [twin.exitcode for twin in twins] == [0, 0]
    (codes, first), (others, second) = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert torch.equal(codes, others)
    assert (codes[1:] != codes[:-1]).any(-1).any(-1).all()
    torch.testing.assert_close(codes, expected, atol=2e-6, rtol=0)
    for name, value in book.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value, atol=2e-6, rtol=1e-5, msg=name)
