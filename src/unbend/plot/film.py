"""Frames as GIF and MP4 files.

In: images of one size. Out: files. Must not know what they show.
"""

import math
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unbend.errors import MissingExtraError
from unbend.files import whole

Rate: TypeAlias = int | float
FRAMES_PER_SECOND = 12
STEPS, HOLD = 12, 6
"""Frames of a move, and frames of rest after it."""
MOST_FRAMES = 240
"""Of a longer film, frames are left out evenly."""
_COLOURS = 255


def kept_frames(n: int, most: int = MOST_FRAMES) -> list[int]:
    """Which of `n` frames are drawn: all of them, or as many as may be, evenly spaced, the ends among them.

    Example:
        >>> kept_frames(5, 3)
        [0, 2, 4]
    """
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)).tolist()


def n_moments(n_steps: int) -> int:
    """Frames of a film of so many moves: a rest at the start, then each move and a rest."""
    return HOLD + n_steps * (STEPS + HOLD)


def moment(i: int, n_steps: int) -> tuple[int, float]:
    """Which move is under way in frame `i` and how far it is, eased at both ends; a rest is a move at its end.

    Example:
        >>> moment(0, 2), moment(HOLD + STEPS, 2), moment(999, 2)
        ((0, 0.0), (0, 1.0), (1, 1.0))
    """
    step, at = divmod(max(0, i - HOLD), STEPS + HOLD)
    if i < HOLD:
        return 0, 0.0
    if step >= n_steps:
        return n_steps - 1, 1.0
    share = min(1.0, (at + 1) / STEPS)
    return step, 0.5 - 0.5 * math.cos(math.pi * share)


def image_of(figure: Figure) -> UInt8[np.ndarray, "h w 3"]:
    """A figure as an image whose sides are even: films compress colour in blocks of two by two."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba())[..., :3]
    return np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])


def gif(images: list[UInt8[np.ndarray, "h w 3"]], path: Path, *, rate: Rate = FRAMES_PER_SECOND) -> Path:
    """Write frames as a GIF that repeats, with one palette for all of them.

    Args:
        images: the frames.
        path: where to write.
        rate: frames a second.

    Raises:
        RecordError: the file cannot be written.
    """
    from PIL import Image  # noqa: PLC0415  matplotlib brings it

    some = np.concatenate(images[:: max(1, len(images) // 12)])
    # Large areas keep their colours exactly; the rest covers what is there, so that a mark of ten pixels keeps its own.
    packed = some.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    colours, counts = np.unique(packed, return_counts=True)
    most = colours[np.argsort(counts)[-(_COLOURS // 2) :]]
    rest = Image.fromarray(some).quantize(_COLOURS - len(most), Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    palette = Image.new("P", (1, 1))
    palette.putpalette(
        most.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes() + bytes(rest.getpalette() or ())
    )
    pages = [Image.fromarray(image).quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    with whole(path, "the film") as temporary:
        pages[0].save(temporary, save_all=True, append_images=pages[1:], duration=round(1000 / rate), loop=0)
    return path


def mp4(images: list[UInt8[np.ndarray, "h w 3"]], path: Path, *, rate: Rate = FRAMES_PER_SECOND) -> Path:
    """Write frames as an MP4 that every browser plays.

    Args:
        images: the frames, of even height and width.
        path: where to write.
        rate: frames a second.

    Raises:
        MissingExtraError: imageio-ffmpeg is not installed.
        RecordError: the file cannot be written.
    """
    try:
        from imageio_ffmpeg import write_frames  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingExtraError("mp4: needs imageio-ffmpeg. Install it: pip install 'unbend[lab]'") from None
    height, width = images[0].shape[:2]
    with (
        whole(path, "the film") as temporary,
        closing(
            write_frames(
                str(temporary),
                (width, height),
                fps=rate,
                codec="libx264",
                pix_fmt_out="yuv420p",
                macro_block_size=2,
                quality=None,
                output_params=["-crf", "24", "-preset", "slow", "-movflags", "+faststart", "-threads", "1"],
            )
        ) as writer,
    ):
        writer.send(None)
        for image in images:
            writer.send(image)
    return path
