import pickle

import pytest
import torch

from trainables.engine import checkpoint


def test_a_state_comes_back_from_its_file(tmp_path):
    state = {
        "w": torch.arange(6.0).view(2, 3),
        "steps": 7,
        "best": None,
        "names": ["a"],
        "half": torch.ones(1).bfloat16(),
    }
    checkpoint.write(tmp_path, checkpoint.pack(state))
    again = checkpoint.unpack(checkpoint.read(tmp_path))
    assert torch.equal(again.pop("w"), state.pop("w"))
    assert again == state
    assert [f.name for f in tmp_path.iterdir()] == ["state.pt"]


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    checkpoint.write(tmp_path, b"old")

    def crash(_):
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint.os, "fsync", crash)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.write(tmp_path, b"new")
    assert checkpoint.read(tmp_path) == b"old"


def test_a_file_that_names_code_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (print, ("boom",))

    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        checkpoint.unpack(checkpoint.pack({"x": Bomb()}))


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"holds no state\.pt"):
        checkpoint.read(tmp_path)
