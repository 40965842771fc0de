import io

import numpy as np
import pytest
import torch
from PIL import Image

import trainables
from trainables import unrolled
from trainables.engine import checkpoint, pictures


def test_images_stand_eight_in_a_row_enlarged_with_two_white_pixels_between():
    images = torch.zeros(9, 1, 16, 16)
    images[8] = 0.5
    sheet = np.asarray(Image.open(io.BytesIO(pictures.grid(images))))
    assert sheet.shape == (2 * 34, 8 * 34)
    assert (sheet[:32, :32] == 0).all()
    assert (sheet[32:34] == 255).all()
    assert (sheet[34:66, :32] == 128).all()
    assert (sheet[34:, 34:] == 255).all()  # places without an image


def test_colours_are_kept_and_values_beyond_are_cut_off():
    images = torch.tensor([2.0, 0.5, -1.0]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    sheet = np.asarray(Image.open(io.BytesIO(pictures.grid(images))))
    assert sheet[0, 0].tolist() == [255, 128, 0]


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match=r"have shape \(2, 4, 8, 8\); give \(n, 1 or 3, height, width\)"):
        pictures.grid(torch.zeros(2, 4, 8, 8))


class Drawing(unrolled.Unrolled):
    """Draws how far it has come."""

    def pictures(self, model, ranks):
        return {"samples": torch.full((4, 1, 8, 8), 0.5)}


@pytest.mark.usefixtures("small_ray")
def test_a_checkpoint_has_the_tasks_pictures(new_crew, tmp_path, monkeypatch):
    cls = trainables.load(Drawing).trainable(ranks=1)
    monkeypatch.setattr(cls, "_new_crew", lambda self: new_crew(Drawing, ranks=1))
    trial = cls({"samples": 100, "report_every": 2})
    trial.step()
    trial.save_checkpoint(str(tmp_path))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["samples.png", checkpoint.FILE]
    assert Image.open(io.BytesIO((tmp_path / "samples.png").read_bytes())).size == (4 * 34, 34)
    trial.cleanup()
