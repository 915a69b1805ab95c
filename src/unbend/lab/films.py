"""A claim's film, as GIF and MP4.

Comes in: a claim with frames, and a result. Goes out: files. It must not know pages or the terminal.
"""

from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unbend.errors import MissingExtraError
from unbend.files import whole
from unbend.lab.claim import Budget, Claim, Number
from unbend.lab.pictures import SIZE, look
from unbend.plot.style import PAPER

FRAMES_PER_SECOND = 12
MOST_FRAMES: dict[Budget, int] = {"quick": 24, "full": 160}
"""Of a longer film, frames are left out evenly; it still takes its time."""
SHORTEST = 4.0
"""Seconds that a film takes at least: one of few frames stays longer on each."""
_DPI = 110
_ROOM = {"left": 0.75, "right": 0.2, "bottom": 0.6, "top": 0.4}
"""Inches around the axes, for their labels."""
_BETWEEN = {"wspace": 0.3, "hspace": 0.35}
_COLOURS = 255


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
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            image = np.asarray(canvas.buffer_rgba())[..., :3]
            # Films compress colour in blocks of two by two, so both sides are even.
            yield np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])


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


def gif(images: list[UInt8[np.ndarray, "h w 3"]], path: Path, *, rate: Number = FRAMES_PER_SECOND) -> Path:
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


def mp4(images: list[UInt8[np.ndarray, "h w 3"]], path: Path, *, rate: Number = FRAMES_PER_SECOND) -> Path:
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
