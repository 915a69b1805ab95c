"""A claim's film, as GIF and MP4.

In: a claim with frames, and a result. Out: files. It must not know pages or the terminal.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from unbend.lab.claim import Budget, Claim
from unbend.lab.pictures import SIZE, look
from unbend.plot.film import FRAMES_PER_SECOND, gif, image_of, mp4
from unbend.plot.style import PAPER

MOST_FRAMES: dict[Budget, int] = {"quick": 24, "full": 160}
"""Of a longer film, frames are left out evenly; it still takes its time."""
SHORTEST = 4.0
"""Seconds that a film takes at least: one of few frames stays longer on each."""
_DPI = 110
_ROOM = {"left": 0.75, "right": 0.2, "bottom": 0.6, "top": 0.4}
"""Inches around the axes, for their labels."""
_BETWEEN = {"wspace": 0.3, "hspace": 0.35}


def frames(claim: Claim, result: Any, *, most: int = MOST_FRAMES["full"]) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames of a claim's film as images of even height and width."""
    if claim.film is None or claim.n_frames is None:
        return
    n = claim.n_frames(result)
    with look(claim.name):
        for i in np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)):
            figure = Figure(SIZE, dpi=_DPI, facecolor=PAPER)
            claim.film(result, figure, int(i))
            if figure.get_layout_engine() is None:
                _leave_room(figure)
            yield image_of(figure)


def _leave_room(figure: Figure) -> None:
    """Fixed margins: room made anew for every frame would let the picture jump."""
    width, height = figure.get_size_inches()
    left, right = _ROOM["left"] / width, 1 - _ROOM["right"] / width
    figure.subplots_adjust(left, _ROOM["bottom"] / height, right, 1 - _ROOM["top"] / height, **_BETWEEN)


def save(claim: Claim, result: Any, folder: Path, stem: str, *, budget: Budget = "full") -> tuple[Path, ...]:
    """Write a claim's film as GIF and, where imageio-ffmpeg is installed, as MP4; says where they are."""
    images = list(frames(claim, result, most=MOST_FRAMES[budget]))
    if not images or claim.n_frames is None:
        return ()
    rate = min(FRAMES_PER_SECOND * len(images) / claim.n_frames(result), len(images) / SHORTEST)
    folder.mkdir(parents=True, exist_ok=True)
    written = [gif(images, folder / f"{stem}.gif", rate=rate)]
    if find_spec("imageio_ffmpeg") is not None:
        written.append(mp4(images, folder / f"{stem}.mp4", rate=rate))
    return tuple(written)
