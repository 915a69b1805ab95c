"""Films as files: the frames asked for, even sides, and a clear word where ffmpeg is missing."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from unbend.errors import MissingExtraError
from unbend.lab import claim, films


@pytest.fixture(scope="module")
def images():
    one = claim("xor_by_hand")
    return list(films.frames(one, one.run(), most=5))


def test_frames_are_even_and_move(images):
    assert len(images) == 5
    assert all(image.shape == images[0].shape and image.dtype == np.uint8 for image in images)
    assert all(side % 2 == 0 for side in images[0].shape[:2])
    assert all((a != b).any() for a, b in pairwise(images))


def test_a_gif_has_every_frame_and_repeats(images, tmp_path):
    path = films.gif(images, tmp_path / "a.gif", rate=5)
    with Image.open(path) as film:
        assert film.n_frames == 5
        assert film.info["loop"] == 0
        assert film.info["duration"] == 200
        assert film.size == images[0].shape[1::-1]
    assert [found.name for found in tmp_path.iterdir()] == ["a.gif"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the reader leaves its pipes open
def test_an_mp4_has_every_frame(images, tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = films.mp4(images, tmp_path / "a.mp4", rate=5)
    reader = imageio_ffmpeg.read_frames(str(path))
    size = next(reader)["size"]
    assert size == images[0].shape[1::-1]
    assert len(list(reader)) == 5


def test_without_ffmpeg_it_says_which_extra(images, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'unbend\[lab\]'"):
        films.mp4(images, tmp_path / "a.mp4")


def test_a_claim_without_a_film_has_no_frames(tmp_path):
    one = claim("neuron")
    assert films.save(one, one.run(), tmp_path, "neuron") == ()
