"""The page of shapes: dimensions, affine-ness, pieces and holes, likeness of layers."""

from functools import partial

import numpy as np

from unbend.explain.shape import LayerShapes
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
    has_topology = bool((result.pieces >= 0).all())
    columns += ["pieces", "holes"] if has_topology else []
    rows = [_row(result, i, has_topology=has_topology) for i in range(len(result.layers))]
    return sheet(
        title, shape_sentences(result), [SheetPart("", (), pictures), SheetPart("The numbers", (), (), columns, rows)]
    )


def _picture(draw: partial[None], caption: str) -> SheetPicture:
    return drawing(vector(draw, caption, size=(4.4, 2.9), margins=None), caption)


def _row(result: LayerShapes, i: int, *, has_topology: bool) -> list[str]:
    one = result.dimensions[i]
    told = ["—"] * 3
    if one is not None:
        told = [f"{one.value:.1f}", f"{one.low:.1f} to {one.high:.1f}", f"{one.curve[min(2, len(one.curve) - 1)]:.1f}"]
    r2 = result.affine_r2[i]
    more = [str(result.pieces[i]), str(result.holes[i])] if has_topology else []
    return [f"`{result.layers[i]}`", *told, f"{r2:.4f}" if np.isfinite(r2) else "—", *more]


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
    if result.others:
        best = int(np.nanargmax(result.cka_between))
        i, j = np.unravel_index(best, result.cka_between.shape)
        told.append(f"Most alike of both models: `{result.layers[i]}` and `{result.others[j]}` "
                    f"(CKA {result.cka_between[i, j]:.2f}).")  # fmt: skip
    return tuple(told)
