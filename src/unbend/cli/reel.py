"""Films that commands write beside their page.

In: frames. Out: a GIF, and an MP4 where that can be written.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # brought by what computes, which help does without
    import numpy as np

    from unbend.study.progress import Progress


def write_film(images: "Iterable[np.ndarray]", n: int | None, reel: Path, told: "Progress") -> list[Path]:
    """Write frames as a GIF and, with imageio-ffmpeg, as an MP4; says where they are.

    Args:
        images: the frames.
        n: how many, where that is known.
        reel: the GIF.
        told: the progress.
    """
    from unbend.plot.film import gif, mp4
    from unbend.study.progress import ticker

    tick = ticker(told, "Drawing the film", n)
    drawn = []
    for image in images:
        drawn.append(image)
        tick(1)
    written = [gif(drawn, reel)]
    return [*written, mp4(drawn, reel.with_suffix(".mp4"))] if find_spec("imageio_ffmpeg") else written
