"""The loop on a problem small enough to check by hand and by autograd alone."""

import math
import re
from dataclasses import dataclass

import pytest
import torch

from trainables.engine import Task, Training, hyper
from trainables.engine.ddp import Ranks, TrialFailed


class Line(Task):
    """Least squares: y = 2 x + 1 on 40 points."""

    def setup(self):
        x = torch.linspace(-1, 1, 50).view(-1, 1)
        y = 2 * x + 1
        self.train, self.val = (x[:40], y[:40]), (x[40:], y[40:])

    def build(self):
        return torch.nn.Linear(1, 1)

    def loss(self, model, batch):
        x, y = batch
        return (model(x) - y).square().mean()


def test_a_run_is_a_hand_written_loop_over_the_same_samples(one_rank):
    engine = one_rank(Line, lr=0.1, batch_size=16, epochs=3, seed=4)
    torch.manual_seed(4)
    model = Line(None).build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = engine.train.tensors
    for start in range(0, 112, 16):
        rows = torch.from_numpy(engine.order.take(start, 16))
        optimizer.zero_grad()
        (model(x[rows]) - y[rows]).square().mean().backward()
        optimizer.step()
    for _ in range(2):
        engine.advance()
    assert engine.samples == 80
    engine.advance()  # two more steps: 7 in all cover the third epoch's end only with an eighth
    assert engine.samples == 128
    rows = torch.from_numpy(engine.order.take(112, 16))
    optimizer.zero_grad()
    (model(x[rows]) - y[rows]).square().mean().backward()
    optimizer.step()
    for ours, theirs in zip(engine.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_reports_come_at_the_ends_of_epochs_and_the_last_one_is_done(one_rank):
    engine = one_rank(Line, lr=0.01, batch_size=16, epochs=2.5)
    reports = []
    while not reports or not reports[-1]["done"]:
        reports.append(engine.advance() | engine.evaluate())
    assert [r["steps"] for r in reports] == [3, 5, 7]  # 48, 80 and 112 samples reach 40, 80 and 100
    assert [r["epoch"] for r in reports] == [1.2, 2.0, 2.8]


def test_reports_come_every_n_steps_when_asked_and_end_with_the_run(one_rank):
    engine = one_rank(Line, lr=0.01, batch_size=10, epochs=2, report_every=3)
    reports = []
    while not reports or not reports[-1]["done"]:
        reports.append(engine.advance() | engine.evaluate())
    assert [r["steps"] for r in reports] == [3, 6, 8]


def test_the_report_is_about_the_stretch_since_the_last_one(one_rank):
    engine = one_rank(Line, optimizer="sgd", lr=0.0, batch_size=40, epochs=2)
    report = engine.advance()
    x, y = engine.train.tensors
    loss = (engine.model(x) - y).square().mean()
    gradients = torch.autograd.grad(loss, list(engine.model.parameters()))
    assert report["train_loss"] == pytest.approx(float(loss.detach()), rel=1e-6)
    assert report["grad_norm"] == pytest.approx(
        math.sqrt(sum(float(g.square().sum()) for g in gradients)), rel=1e-6
    )
    assert report["images_per_s"] > 0


def test_clipping_bounds_the_step(one_rank):
    engine = one_rank(Line, optimizer="sgd", lr=1.0, clip=0.01, batch_size=40, report_every=1)
    before = torch.nn.utils.parameters_to_vector(engine.model.parameters()).detach().clone()
    assert engine.advance()["grad_norm"] > 0.01  # the report tells the norm before clipping
    after = torch.nn.utils.parameters_to_vector(engine.model.parameters()).detach()
    assert float((after - before).norm()) == pytest.approx(0.01, rel=1e-3)


def test_the_averaged_weights_are_the_ones_evaluated(one_rank):
    engine = one_rank(Line, lr=0.1, ema_decay=0.9, batch_size=8)
    engine.advance()
    x, y = engine.task.val
    weight, bias = engine.average.mean
    expected = float((x @ weight.T + bias - y).square().mean())
    assert engine.evaluate()["val_loss"] == pytest.approx(expected, rel=1e-6)
    assert float((engine.model(x) - y).square().mean().detach()) != pytest.approx(expected, rel=1e-3)


def test_early_stopping_ends_after_patience_reports_without_improvement(one_rank):
    engine = one_rank(Line, optimizer="sgd", lr=0.0, patience=3, epochs=100)
    done = []
    while not done or not done[-1]:
        engine.advance()
        done.append(engine.evaluate()["done"])
    assert done == [False, False, False, True]


def test_early_stopping_follows_a_metric_to_be_maximised(one_rank):
    class Climb(Line):
        metric = ("score", "max")
        metrics = ("score",)
        scores = iter([1.0, 2.0, 3.0, 2.5, 2.9])

        def evaluate(self, model, ranks):
            return {"score": next(self.scores)}

    engine = one_rank(Climb, patience=2, epochs=100)
    assert [engine.evaluate()["done"] for _ in range(5)] == [False, False, False, False, True]


def test_divergence_ends_training_with_the_numbers_and_advice(one_rank):
    engine = one_rank(Line, optimizer="sgd", lr=1e6, batch_size=8, report_every=50, epochs=20)
    engine.advance()
    report = engine.evaluate()
    assert report["done"]
    assert re.search(r"val_loss is (nan|inf) at step 50 .*optimizer sgd, lr 1e\+06.*`clip`", report["fault"])


def test_a_missing_metric_fails_with_those_there_are(one_rank):
    class Silent(Line):
        metric = ("accuracy", "max")
        metrics = ("train_loss", "accuracy")

        def evaluate(self, model, ranks):
            return {"acuracy": 0.5}

    engine = one_rank(Silent)
    engine.advance()
    with pytest.raises(TrialFailed, match="lacks accuracy; it has acuracy, train_loss"):
        engine.evaluate()


def test_a_loss_that_is_no_scalar_is_explained(one_rank):
    class Vector(Line):
        def loss(self, model, batch):
            return model(batch[0])

    with pytest.raises(ValueError, match=r"loss\(\) returned shape \(64, 1\); it must be a scalar"):
        one_rank(Vector).advance()


def test_further_scalars_of_the_loss_are_reported_as_means(one_rank):
    class Telling(Line):
        def loss(self, model, batch):
            return super().loss(model, batch), {"mean_x": batch[0].mean()}

    engine = one_rank(Telling, batch_size=10, epochs=1)
    assert engine.advance()["mean_x"] == pytest.approx(float(engine.train.tensors[0].mean()), abs=1e-6)


def test_a_schedule_that_does_not_fit_the_run_warns_with_both_numbers(one_rank):
    with pytest.warns(UserWarning, match=r"t_max is 3 and the run has 5 steps: the learning rate stays at 0"):
        one_rank(Line, schedule="cosine", t_max=3, batch_size=8, epochs=1)
    with pytest.warns(UserWarning, match=r"t_max is 10 and the run has 5 steps: .* never falls below 6"):
        one_rank(Line, schedule="linear", t_max=10, batch_size=8, epochs=1)


def test_the_learning_rate_in_the_report_is_the_one_of_the_last_step(one_rank):
    engine = one_rank(Line, schedule="linear", lr=0.1, batch_size=8, epochs=1, report_every=2)
    assert [engine.advance()["lr"] for _ in range(2)] == pytest.approx([0.1 * 4 / 5, 0.1 * 2 / 5])


def test_a_checkpoint_of_another_optimiser_is_refused(one_rank):
    state = one_rank(Line, optimizer="adam").state_dict()
    with pytest.raises(ValueError, match="made with optimizer 'adam', the config asks for 'sgd'"):
        one_rank(Line, optimizer="sgd").load_state_dict(state)


def test_a_checkpoint_from_where_no_loss_scale_was_needed_goes_on_where_one_is(one_rank):
    state = one_rank(Line, precision="fp16").state_dict()
    there = one_rank(Line, precision="fp16")
    there.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)  # as on a GPU
    there.load_state_dict(state)
    assert there.scaler.get_scale() == 8.0
    other = one_rank(Line, precision="fp16")
    other.scaler = torch.amp.GradScaler("cpu")
    other.load_state_dict(there.state_dict())
    assert other.scaler.get_scale() == 8.0


def test_a_batch_smaller_than_the_ranks_is_refused():
    task = Line(Training(batch_size=2))
    task.setup()
    with pytest.raises(ValueError, match="batch_size is 2, counted over all 3 ranks"):
        task.engine(_Three())


class _Three(Ranks):
    def __init__(self):
        super().__init__(0, 3, torch.device("cpu"))

    def wrap(self, module, find_unused_parameters=False):
        return module


def test_means_over_a_split_weigh_batches_by_their_size():
    ranks = Ranks(0, 1, torch.device("cpu"))
    x = torch.arange(10.0)
    assert ranks.mean((x,), lambda batch: {"m": batch[0].mean()}, batch_size=4) == {"m": 4.5}


def test_the_same_weights_get_the_same_answer_from_a_noisy_evaluation():
    ranks = Ranks(0, 1, torch.device("cpu"))
    split = (torch.zeros(10),)
    answers = [
        ranks.mean(split, lambda b: {"m": torch.randn(len(b[0])).mean()}, batch_size=4) for _ in range(2)
    ]
    assert answers[0] == answers[1]


def test_dropout_of_the_config_reaches_the_model_on_build_and_on_change(one_rank):
    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config(Training):
        dropout: float = hyper(0.2, "Rate.", mutable=True)

    class Dropped(Line):
        def build(self):
            return torch.nn.Sequential(torch.nn.Dropout(0.9), torch.nn.Linear(1, 1))

    Dropped.Config = Config
    engine = one_rank(Dropped)
    assert engine.model[0].p == 0.2
    engine.mutate({"dropout": 0.4})
    assert engine.model[0].p == 0.4
