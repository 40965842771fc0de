import numpy as np
import torch

from sweeps.loop.conductor import measured


def test_a_report_keeps_numbers_of_every_library_and_leaves_out_what_is_rays_own():
    result = {
        "loss": np.float32(0.5),
        "steps": np.int64(3),
        "accuracy": torch.tensor(0.25),
        "nested": {"norm": np.array(2.0)},
        "val/loss": 0.75,  # a name that its author wrote so
        "good": True,
        "image": np.zeros((2, 2)),
        "config": {"lr": 0.1},
        "pid": 7,
        "training_iteration": 4,
    }
    found = measured(result)
    assert found == {
        "loss": 0.5, "steps": 3, "accuracy": 0.25, "nested/norm": 2.0, "val/loss": 0.75, "good": True
    }  # fmt: skip
    kinds = {"loss": float, "steps": int, "accuracy": float, "nested/norm": float, "good": bool}
    assert {name: type(value) for name, value in found.items()} == kinds | {"val/loss": float}
