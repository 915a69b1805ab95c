"""Linear regions as one self-contained, interactive page; with several snapshots, a film of them.

In: `Cells`, boundaries, samples on the plane. Out: the text of an HTML page that opens offline. Must not know models.
The page shows faces, kinks, boundary; pointing at a region shows its affine map and its activation pattern.
"""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from unbend._typing import Array
from unbend.chart.cells import pattern_level, pattern_ramp, pixels
from unbend.chart.images import as_images, grey
from unbend.numerics.cells.boundary import Boundary
from unbend.numerics.cells.complex import Cells
from unbend.report.html import as_json, fill, looks, template
from unbend.study.window import PlaneSamples

_MOST_BYTES = 3_600_000
"""Of arrays in one page of at most 5 MB. Maps and patterns that do not fit are left out; outlines that do not are drawn
as pixels; the page says so."""
_MOST_SIDE, _LEAST_SIDE = 700, 64
"""Pixels of the longer side of such a picture."""
_PIXEL = 8
"""Bytes of a pixel, half of them room for the boundary."""
_MOST_MAPS = 10


def regions_page(
    frames: Sequence[Cells],
    *,
    boundaries: Sequence[Boundary] | None = None,
    samples: PlaneSamples | None = None,
    titles: Sequence[str] | None = None,
    title: str = "Linear regions",
) -> str:
    """The page, for one `Cells` or for the snapshots of a training run on one plane.

    Args:
        frames: the cells, one per snapshot.
        boundaries: the decision boundary of every frame.
        samples: samples near the plane, drawn on top.
        titles: what each frame is, such as its training step.
        title: the heading.
    """
    last = frames[-1]
    n_classes = 0 if boundaries is None else len(boundaries[-1].class_areas)
    names = () if samples is None else samples.class_names
    n_maps = min(_MOST_MAPS, last.network.n_outputs)
    low, high = last.plane.corners.min(axis=0), last.plane.corners.max(axis=0)
    budget = _MOST_BYTES // len(frames)
    labels = titles or [f"{index + 1} of {len(frames)}" for index in range(len(frames))]
    data = {
        "window": [*low.tolist(), *high.tolist()],
        "axes": ["x", "y"] if _is_input_plane(last) else ["s", "t"],
        "layers": _layers(last),
        "n_maps": n_maps,
        "n_bytes": -(-last.network.n_hinges // 8),
        "ramp": pattern_ramp(17),
        "class_names": [names[k] if k < len(names) else f"class {k}" for k in range(n_classes)],
        "points": None if samples is None else _points(samples),
        "images": [] if samples is None else _images(samples),
        "frames": [
            _frame(cells, None if boundaries is None else boundaries[index], n_maps, budget, labels[index])
            for index, cells in enumerate(frames)
        ],
    }
    return fill(
        template("unbend.report", "regions.html"),
        "regions",
        looks("regions"),
        title=title,
        lead=_lead(last, len(frames)),
        warning="" if all(cells.is_complete for cells in frames) else _warning(last),
        pictured=sum("picture" in frame for frame in data["frames"]),
        facts=data["frames"][0]["facts"],
        data=as_json(data),
    )


def _lead(cells: Cells, n_frames: int) -> str:
    unit = "Each face is one activation region cut by this plane; on it the network is a single affine map."
    count = f"{cells.n_faces:,} regions from {cells.network.n_units:,} units."
    return f"{count} {unit}" + (f" {n_frames} snapshots." if n_frames > 1 else "")


def _warning(cells: Cells) -> str:
    kept = len(cells.network.stages)
    return (
        f"Not complete: the limit on regions was met, so only the kinks of the first {kept} stages are shown. "
        "Raise --max-cells or look at a smaller window."
    )


def _is_input_plane(cells: Cells) -> bool:
    return len(cells.plane.origin) == 2


def _layers(cells: Cells) -> list[dict[str, Any]]:
    return [
        {"name": layer.name, "n_units": layer.n_units, "first": layer.first,
         "n_rows": layer.n_hinges // max(1, layer.n_units)}
        for layer in cells.network.groups
    ]  # fmt: skip


def _points(samples: PlaneSamples) -> list[list[float | int]]:
    labels = np.full(len(samples.points), -1) if samples.labels is None else samples.labels
    return [[*point, int(k)] for point, k in zip(samples.points.tolist(), labels.tolist(), strict=True)]


def _frame(cells: Cells, boundary: Boundary | None, n_maps: int, budget: int, title: str) -> dict[str, Any]:
    inner = cells.hinges >= 0
    areas = cells.areas()
    layer = cells.network.hinge_units()[0]
    frame: dict[str, Any] = {
        "title": title,
        "n_faces": cells.n_faces,
        "xy": _blob(cells.vertices, "f4"),
        "ptr": _blob(cells.face_ptr, "u4"),
        "corner": _blob(cells.corner_ids, "u4"),
        "edge": _blob(cells.edges[inner], "u4"),
        "edge_layer": _blob(layer[cells.hinges[inner]], "i2"),
        "level": _blob(np.clip(255 * pattern_level(cells), 0, 255), "u1"),
        "area": _blob(areas, "f4"),
        "facts": _facts(cells, boundary),
        **_of_boundary(boundary),
    }
    if _n_bytes(frame) > budget:
        return _as_pixels(cells, boundary, budget, title)
    size = cells.n_faces * (12 * n_maps + cells.network.n_hinges / 8)
    if _n_bytes(frame) + size <= budget:
        weight, bias = cells.affine()
        maps = np.concatenate([weight[:, :n_maps], bias[:, :n_maps, None]], axis=2)
        frame["maps"] = _blob(maps, "f4")
        frame["bits"] = _blob(np.packbits(cells.bits(), axis=1), "u1")
    return frame


def _as_pixels(cells: Cells, boundary: Boundary | None, budget: int, title: str) -> dict[str, Any]:
    """A frame whose outlines are too many for its share of the page: the same as pixels, with no region to point at."""
    shown = pixels(cells, boundary, max(_LEAST_SIDE, min(_MOST_SIDE, int((budget / _PIXEL) ** 0.5))))
    picture = {
        "size": [*shown.level.shape],
        "level": _blob(255 * shown.level, "u1"),
        "kink": _blob(shown.is_kink, "u1"),
    }
    if shown.kind is not None:
        picture["kind"] = _blob(shown.kind, "i2")
    nothing = {"xy": "f4", "ptr": "u4", "corner": "u4", "edge": "u4", "edge_layer": "i2", "level": "u1", "area": "f4"}
    frame = {name: _blob(np.zeros(0), kind) for name, kind in nothing.items()}
    frame |= {"title": title, "n_faces": 0, "facts": _facts(cells, boundary), "picture": picture}
    if boundary is not None:
        frame["class_areas"] = (boundary.class_areas / boundary.class_areas.sum()).tolist()
        if boundary.segments.size * 4 <= budget:
            frame["segments"] = _blob(boundary.segments, "f4")
    return frame


def _of_boundary(boundary: Boundary | None) -> dict[str, Any]:
    """The decision boundary, and the faces by class."""
    if boundary is None:
        return {}
    return {
        "kind": _blob(boundary.face_class, "i2"),
        "segments": _blob(boundary.segments, "f4"),
        "part_xy": _blob(boundary.part_points, "f4"),
        "part_ptr": _blob(boundary.part_ptr, "u4"),
        "part_kind": _blob(boundary.part_class, "i2"),
        "part_face": _blob(boundary.part_face, "u4"),
        "class_areas": (boundary.class_areas / boundary.class_areas.sum()).tolist(),
    }


def _n_bytes(frame: dict[str, Any]) -> float:
    """Bytes of the arrays of a frame, before base64."""
    return 0.75 * sum(len(value["data"]) for value in frame.values() if isinstance(value, dict))


def _images(samples: PlaneSamples) -> list[dict[str, Any]]:
    """The samples as small pictures, each at its place; none where they are no images, or many."""
    images = None if samples.inputs is None else as_images(samples.inputs, samples.shape)
    if images is None:
        return []
    return [
        {"at": at, "size": [*image.shape], "grey": _blob(np.round(255 * grey(image)), "u1")}
        for at, image in zip(samples.points.tolist(), images, strict=True)
    ]


def _facts(cells: Cells, boundary: Boundary | None) -> list[list[str]]:
    facts = [
        ["regions", f"{cells.n_faces:,}"],
        ["vertices", f"{len(cells.vertices):,}"],
        ["edges", f"{len(cells.edges):,}"],
        ["area", f"{cells.plane.area:.6g}"],
        ["decided in", "rational arithmetic" if cells.is_proved else "float64, no ties"],
    ]
    if boundary is not None:
        facts += [["boundary length", f"{boundary.length:.4g}"], ["kinks it crosses", f"{len(boundary.hinges):,}"]]
    return facts


def _blob(values: Array, kind: str) -> dict[str, str]:
    raw = np.ascontiguousarray(values).astype(f"<{kind}").tobytes()
    return {"type": kind, "data": base64.b64encode(raw).decode("ascii")}
