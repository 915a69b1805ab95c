"""The page of shapes: dimensions, affine-ness, pieces and holes, likeness of layers."""

from functools import partial

import numpy as np

from unbend._names import first_few, number_of
from unbend.explain.shape import ClassTopology, LayerShapes
from unbend.plot.shape import affineness, alike, dimensions, scales
from unbend.plot.vector import vector
from unbend.report.sheet import SheetPart, SheetPicture, drawing, sheet

_NEARLY = 0.99
_SCALES = (
    "The dimension at every scale. Where a curve falls to the left, the fine scale is noise; by a fifth it falls for "
    "even clouds of 5 to 8 dimensions too, by a third for 16, since few rows are dense nowhere. Where it rises, the "
    "cloud is bent."
)


def shape_page(result: LayerShapes, *, title: str) -> str:
    """The page.

    Args:
        result: the shapes.
        title: of the page.
    """
    pictures = [
        _picture(partial(dimensions, result=result), "Intrinsic dimension (TwoNN), with its 95 % interval."),
        _picture(partial(scales, result=result), _SCALES),
        _picture(partial(affineness, result=result), "How much of a matrix each layer is, on held-out rows."),
        _picture(partial(alike, result=result), "Likeness of layers: debiased linear CKA."),
    ]
    if result.others:
        caption = "Likeness with the layers of the other model."
        pictures.append(_picture(partial(alike, result=result, between=True), caption))
    columns = ["layer", "dimension", "95 % interval", "coarser", "matrix R²"]
    rows = [_row(result, i) for i in range(len(result.layers))]
    parts = [SheetPart("", (), pictures), SheetPart("The numbers", (), (), columns, rows)]
    parts += [] if result.topology is None else [_counts(result, result.topology)]
    return sheet(title, shape_sentences(result), parts)


def _counts(result: LayerShapes, found: ClassTopology) -> SheetPart:
    """Pieces and holes, a row for each layer."""
    told = "Of all classes together, and of each, as pieces · holes: a class in two pieces, one with a hole, is 2 · 1."
    columns = ["layer", "pieces", "holes", *found.classes]
    rows = [
        [f"`{name}`", str(pieces.sum()), str(holes.sum()),
         *(f"{p} · {h}" for p, h in zip(pieces, holes, strict=True))]
        for name, pieces, holes in zip(result.layers, found.pieces, found.holes, strict=True)
    ]  # fmt: skip
    return SheetPart("Pieces and holes", (told,), (), columns, rows)


def _picture(draw: partial[None], caption: str) -> SheetPicture:
    return drawing(vector(draw, caption, size=(4.4, 2.9), margins=None), caption)


def _row(result: LayerShapes, i: int) -> list[str]:
    one = result.dimensions[i]
    told = ["—"] * 3
    if one is not None:
        told = [f"{one.value:.1f}", f"{one.low:.1f} to {one.high:.1f}", f"{one.curve[min(2, len(one.curve) - 1)]:.1f}"]
    r2 = result.affine_r2[i]
    return [f"`{result.layers[i]}`", *told, f"{r2:.4f}" if np.isfinite(r2) else "—"]


def shape_sentences(result: LayerShapes) -> tuple[str, ...]:
    """How the dimension goes through the network, and which layers are nearly matrices."""
    found = [(name, one) for name, one in zip(result.layers, result.dimensions, strict=True) if one is not None]
    told = [f"Over the same {result.n:,} training rows in every layer."]
    if found:
        (first, start), (last, end) = found[0], found[-1]
        top, most = max(found, key=lambda pair: pair[1].value)
        told.append(
            f"The rows lie on some {start.value:.1f} dimensions in `{first}`, at most {most.value:.1f} (`{top}`), and "
            f"{end.value:.1f} in `{last}`."
        )
    near = [name for name, r2 in zip(result.layers, result.affine_r2, strict=True) if _NEARLY <= r2 < 1 - 1e-6]
    if near:
        names = ", ".join(f"`{name}`" for name in near[:8]) + (" and others" if len(near) > 8 else "")
        told.append(f"Nearly a matrix on these data, though not affine by build: {names}.")
    if result.topology is not None:
        told.append(_topology(result, result.topology))
    if result.others:
        best = int(np.nanargmax(result.cka_between))
        i, j = np.unravel_index(best, result.cka_between.shape)
        told.append(f"Most alike of both models: `{result.layers[i]}` and `{result.others[j]}` "
                    f"(CKA {result.cka_between[i, j]:.2f}).")  # fmt: skip
    return tuple(told)


def _topology(result: LayerShapes, found: ClassTopology) -> str:
    """In how many pieces, and with how many holes, the classes begin and end."""
    n = len(found.classes)
    whose = f"`{found.classes[0]}`" if n == 1 else f"{n} classes together"
    counts = [f"{number_of(int(p.sum()), 'piece')} and {number_of(int(h.sum()), 'hole')}"
              for p, h in ((found.pieces[0], found.holes[0]), (found.pieces[-1], found.holes[-1]))]  # fmt: skip
    told = (
        f"Of up to {int(found.n.max())} rows each, {whose} make {counts[0]} in `{result.layers[0]}`, and {counts[1]} "
        f"in `{result.layers[-1]}`."
    )
    if found.left_out:
        names = first_few([f"`{name}`" for name in found.left_out], 6)
        told += f" Left out, for want of time or of rows: {names}; --budget (budget=) gives more time."
    return told
