"""The data of a page: a head in JSON that names every array, and one base64 block for each layer.

In: data of pictures, plain values and arrays. Out: texts for the page; `web/src/data.ts` reads them. An array that
stands there already is not written again: the layers of a study share their row numbers and labels.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from unbend._typing import Array

VERSION = 1
_MISSING = 0xFFFF
"""What stands for no value among coordinates of 16 bits."""
_ALIGNED = 8
_KINDS = {"b": "u1", "u": "u1", "i": "<i4"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture as data.

    Attributes:
        view: what draws it, a name in `web/src/views/index.ts`.
        layer: position of the layer it is about; -1 for one that spans layers.
        data: what it draws: numbers, texts, arrays, and lists of them.
    """

    view: str
    layer: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Packed:
    """The data of a page as it stands in the page.

    Attributes:
        head: JSON, with no `<` in it.
        blocks: base64, one a layer and a last one for what spans layers.
    """

    head: str
    blocks: tuple[str, ...]


def pack(figures: Sequence[Figure], n_layers: int, **head: Any) -> Packed:
    """The figures as one head and `n_layers + 1` blocks.

    Args:
        figures: in the order in which the page numbers them.
        n_layers: how many layers the page has.
        head: what else stands in the head, by name; arrays in it stand in the last block.
    """
    writer = _Writer([bytearray() for _ in range(n_layers + 1)], {})
    listed = [
        {"view": figure.view, "layer": figure.layer, "data": writer.value(figure.data, figure.layer % (n_layers + 1))}
        for figure in figures
    ]
    more = {name: writer.value(value, n_layers) for name, value in head.items()}
    text = json.dumps({"version": VERSION, **more, "figures": listed}, separators=(",", ":"), ensure_ascii=False)
    blocks = tuple(b64encode(block).decode("ascii") for block in writer.blocks)
    return Packed(text.replace("<", "\\u003c"), blocks)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Blocks as they grow, and where each array stands, by its bytes."""

    blocks: list[bytearray]
    known: dict[tuple[str, bytes], dict[str, Any]]

    def value(self, value: Any, block: int) -> Any:
        if isinstance(value, np.ndarray):
            return self._array(value, block)
        if isinstance(value, Mapping):
            return {name: self.value(part, block) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(part, block) for part in value]
        if isinstance(value, np.generic):
            return self.value(value.item(), block)
        return None if isinstance(value, float) and not np.isfinite(value) else value

    def _array(self, values: Array, block: int) -> dict[str, Any]:
        """Integers in 32 bits, truth and bytes in 8, coordinates (two columns) in 16, other numbers as float32."""
        if values.dtype.kind == "f" and values.ndim == 2 and values.shape[1] == 2:
            packed, more = _quantise(values)
        else:
            packed, more = values.astype(_KINDS.get(values.dtype.kind) or _float_kind(values)), {}
        raw = packed.tobytes()
        key = packed.dtype.str, blake2b(raw + repr(more).encode(), digest_size=16).digest()
        if key not in self.known:
            into = self.blocks[block]
            into.extend(bytes(-len(into) % _ALIGNED))
            self.known[key] = {"$": [block, packed.dtype.str.lstrip("<|"), len(into), packed.size], **more}
            into.extend(raw)
        return self.known[key]


def _float_kind(values: Array) -> str:
    """float32 where it holds every number, else float64: gradients of deep networks leave it at both ends."""
    size = np.abs(values[np.isfinite(values) & (values != 0)])
    single = np.finfo(np.float32)
    return "<f4" if not size.size or (size.max() <= single.max and size.min() >= single.tiny) else "<f8"


def _quantise(points: Array) -> tuple[Array, dict[str, Any]]:
    """Coordinates in 65,535 steps over the range of each column: a hundredth of a pixel."""
    good = np.isfinite(points)
    low = np.where(good, points, np.inf).min(0, initial=np.inf)
    high = np.where(good, points, -np.inf).max(0, initial=-np.inf)
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
    step = np.maximum(high - low, np.finfo(np.float32).tiny) / (_MISSING - 1)
    packed = np.where(good, np.round((np.where(good, points, low) - low) / step), _MISSING)
    return packed.astype("<u2"), {"low": low.tolist(), "step": step.tolist()}
