"""The hyperparameter `compile`: the same training, by compiled code, for one trial after another."""

from functools import partialmethod

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from trainables.classify import Classify
from trainables.engine import checkpoint

CONFIG = {"model": "conv", "width": 8, "dropout": 0.3, "batch_size": 32, "report_every": 4, "lr": 0.05}
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit")  # torch's own, when it imports its compiler


@pytest.fixture
def counter(monkeypatch):
    """Counts the graphs that are compiled; they run as they are, as making kernels of them takes a minute."""
    counter = CompileCounter()
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend=counter))
    return counter


def weights(engine):
    return engine.model.state_dict()


def stored(engine):
    return checkpoint.unpack(checkpoint.pack(engine.state_dict()))


def test_compiled_training_is_the_same_training(one_rank, counter):
    plain, compiled = one_rank(Classify, **CONFIG), one_rank(Classify, **CONFIG, compile=True)
    plain.advance()
    compiled.advance()
    assert counter.frame_count == 1  # the loss and the network in one graph, and once for four steps
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(weights(compiled)[name], tensor)


def test_a_checkpoint_fits_whether_compiled_or_not(one_rank, counter):
    compiled = one_rank(Classify, **CONFIG, compile=True)
    compiled.advance()
    plain = one_rank(Classify, **CONFIG)
    plain.load_state_dict(stored(compiled))
    plain.advance()
    compiled.advance()
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(weights(compiled)[name], tensor)


def test_every_trial_of_a_process_is_compiled_beyond_the_number_that_torch_gives_up_at(one_rank, counter):
    limit = torch._dynamo.config.recompile_limit
    for width in range(4, 4 + limit + 2):
        before = counter.frame_count
        one_rank(Classify, **{**CONFIG, "width": width, "report_every": 1}, compile=True).advance()
        assert counter.frame_count == before + 1


@pytest.mark.slow
def test_compiled_kernels_train_as_those_of_torch_do_and_resume_bit_for_bit(one_rank):
    plain, compiled = (one_rank(Classify, **{**CONFIG, "dropout": 0.0}, compile=yes) for yes in (False, True))
    plain.advance()
    compiled.advance()
    for name, tensor in weights(plain).items():
        torch.testing.assert_close(weights(compiled)[name], tensor, rtol=1e-3, atol=1e-4)
    dropping = one_rank(Classify, **CONFIG, compile=True)
    dropping.advance()
    state = stored(dropping)
    dropping.advance()
    again = one_rank(Classify, **CONFIG, compile=True)
    again.load_state_dict(state)
    again.advance()
    for name, tensor in weights(dropping).items():
        assert torch.equal(weights(again)[name], tensor)
