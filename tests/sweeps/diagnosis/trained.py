"""Small real trainings whose label follows from how they are made; by the project's engine, in this process.

reports, config = TRAININGS["overfit"](seed)
"""

import numpy as np
import torch

from trainables.classify import Classify
from trainables.engine import Task, hparams
from trainables.engine.ddp import Ranks


def run(task, most=60, **config):
    """The reports up to the training's own end."""
    made = task(hparams.make(task.Config, config))
    made.setup()
    engine = made.engine(Ranks(0, 1, torch.device("cpu")))
    reports = []
    while len(reports) < most and not (reports and reports[-1]["done"]):
        reports.append(engine.advance() | engine.evaluate())
    return reports, config


class Few(Classify):
    """Digits with few images to train on, some of them with wrong labels."""

    few, wrong = 60, 0.3

    def setup(self):
        super().setup()
        whole, rng = self.train, np.random.default_rng(self.config.seed)
        images, labels = whole.batch(np.arange(self.few), None, torch.device("cpu"))
        bad = torch.from_numpy(rng.random(self.few) < self.wrong)
        others = torch.from_numpy(rng.integers(0, 10, self.few))
        self.train = (images, torch.where(bad, others, labels))


class Drawn(Task):
    """Noise prediction on points of a ring: times and noise are drawn anew, in training and in evaluation."""

    frozen = False

    def setup(self):
        angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 2200)
        points = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
        self.train, self.val = (points[:2000],), (points[2000:],)

    def build(self):
        return torch.nn.Sequential(
            torch.nn.Linear(3, 64), torch.nn.SiLU(), torch.nn.Linear(64, 64), torch.nn.SiLU(),
            torch.nn.Linear(64, 2),
        )  # fmt: skip

    def loss(self, model, batch):
        (x,) = batch
        t, noise = torch.rand(len(x), 1), torch.randn_like(x)
        noised = torch.cos(t * torch.pi / 2) * x + torch.sin(t * torch.pi / 2) * noise
        return (model(torch.cat([noised, t], 1)) - noise).square().mean()

    def evaluate(self, model, ranks):
        if self.frozen:
            return super().evaluate(model, ranks)
        torch.seed()  # as a task does that does not know of common random numbers
        state = torch.random.get_rng_state()
        torch.random.set_rng_state(state)
        (x,) = self.val
        return {"val_loss": float(self.loss(model, (torch.from_numpy(x[:64]),)))}


class Frozen(Drawn):
    frozen = True


class Saddle(Task):
    """A deep linear network from small weights: it rests near 0, a saddle, and then finds the map at once."""

    metric = ("train_loss", "min")

    def setup(self):
        rng = np.random.default_rng(self.config.seed)
        x = rng.standard_normal((500, 8)).astype(np.float32)
        y = x @ rng.standard_normal((8, 4)).astype(np.float32)
        self.train, self.val = (x[:400], y[:400]), (x[400:], y[400:])

    def build(self):
        torch.manual_seed(self.config.seed)
        layers = [torch.nn.Linear(8 if i == 0 else 16, 4 if i == 3 else 16, bias=False) for i in range(4)]
        for layer in layers:
            torch.nn.init.normal_(layer.weight, std=0.05)
        return torch.nn.Sequential(*layers)

    def loss(self, model, batch):
        x, y = batch
        return (model(x) - y).square().mean()


class Narrow(Task):
    """Waves that a network of three units cannot draw."""

    def setup(self):
        rng = np.random.default_rng(self.config.seed)
        x = rng.uniform(-1, 1, (3000, 1)).astype(np.float32)
        y = np.where(x > 0, np.sin(12 * x), 0.3).astype(np.float32) + x
        self.train, self.val = (x[:2000], y[:2000]), (x[2000:], y[2000:])

    def build(self):
        return torch.nn.Sequential(torch.nn.Linear(1, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))

    def loss(self, model, batch):
        x, y = batch
        return (model(x) - y).square().mean()


def healthy(seed):
    return run(Classify, model="conv", optimizer="adam", lr=2e-3, batch_size=64, epochs=12, seed=seed)


def healthy_mlp(seed):
    return run(Classify, model="mlp", width=32, lr=0.02, batch_size=64, epochs=10, dropout=0.1, seed=seed)


def diverged(seed):
    return run(Classify, model="conv", optimizer="momentum", lr=3.0, batch_size=64, epochs=12, seed=seed)


def blown_up(seed):
    """A rate that is bearable at first, and rises with the epochs."""
    return run(
        Classify, model="mlp", width=32, optimizer="sgd", lr={str(i): 0.02 * 3.5**i for i in range(6)},
        momentum=0.9, batch_size=64, epochs=12, seed=seed,
    )  # fmt: skip


def lr_too_low(seed):
    return run(Classify, model="conv", optimizer="sgd", lr=5e-4, batch_size=64, epochs=10, seed=seed)


def lr_a_little_too_low(seed):
    return run(
        Classify, model="mlp", width=32, optimizer="adam", lr=5e-5, batch_size=64, epochs=12, seed=seed
    )


def overfit(seed):
    return run(
        Few, model="mlp", width=64, depth=2, optimizer="adam", lr=5e-3, batch_size=20, epochs=120,
        report_every=8, seed=seed,
    )  # fmt: skip


def capacity(seed):
    return run(Narrow, optimizer="adam", lr=0.02, batch_size=100, epochs=30, seed=seed)


def noisy(seed):
    return run(
        Few, model="mlp", width=32, optimizer="sgd", lr=0.05, batch_size=2, epochs=12, report_every=5,
        seed=seed,
    )  # fmt: skip


def validation_noise(seed):
    return run(Drawn, optimizer="adam", lr=1e-3, batch_size=50, epochs=25, seed=seed)


def fixed_noise(seed):
    return run(Frozen, optimizer="adam", lr=1e-3, batch_size=50, epochs=25, seed=seed)


def escape(seed):
    return run(Saddle, optimizer="momentum", lr=0.02, batch_size=100, epochs=50, seed=seed)


TRAININGS = {
    "healthy": (healthy, healthy_mlp),
    "diverged": (diverged, blown_up),
    "lr_too_low": (lr_too_low, lr_a_little_too_low),
    "overfit": (overfit,),
    "capacity": (capacity,),
    "noisy": (noisy,),
    "validation_noise": (validation_noise,),
    "not validation_noise": (fixed_noise,),
    "escape": (escape,),
}

ALSO = {
    "noisy": {"lr_too_low"},  # they end before their loss is down
    "validation_noise": {"plateau"},  # most of that loss is noise that no network can predict
    "not validation_noise": {"plateau"},
}
"""Labels that are true of a training as well."""
