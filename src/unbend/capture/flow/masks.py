"""Padding masks: which inputs they are, which tokens they belong to, and which of their values means padding.

In: inputs by name, and the masks that attention was given. Out: a `Mask` per input. Its tokens are an axis variable, so
that it belongs to every tensor that has the axis; attention joins the axis of its keys with that of its mask. What is
padding is read off what attention leaves out, else off the edge at which every sequence has a token, else off the name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from unbend.capture.flow.axes import Axis, Layout
from unbend.capture.flow.operations import COMPARING
from unbend.capture.flow.steps import TorchCall
from unbend.capture.inputs import copy_of, named_tensors

Meaning: TypeAlias = Literal["tokens", "padding", "lengths"]
"""What a nonzero value says: a token, no token; or how many tokens the sequence has, from the first."""

_MASK = re.compile(r"(^|_|\b)masks?\b|(^|_)masks?$")
_NO_PADDING = re.compile(r"head|causal|global|special|pos\b|pixel|loss|label|image")
_LENGTHS = re.compile(r"(^|_|\b)(lengths?|lens?|seq_?lens?|n_tokens)\b")
_OUT = -1e3
"""Added to a score, this leaves the key out, in every floating-point type."""


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A padding mask among the inputs.

    Attributes:
        name: of the input.
        meaning: what a nonzero value says.
    """

    name: str
    meaning: Meaning


@dataclass(slots=True, eq=False)
class MaskCandidate:
    """An input that may be a padding mask.

    Attributes:
        name: of the input.
        word: its own word: the key, the field or the parameter of forward.
        values: true where it is not zero [n, t], or the lengths [n].
        tokens: the axis of the tokens.
        is_named: whether its word says that it is a mask; else only attention can tell.
        meaning: as far as it is known.
    """

    name: str
    word: str
    values: Tensor
    tokens: Axis
    is_named: bool
    meaning: Meaning | None = None

    def mask(self) -> Mask | None:
        """What it is in the end; None for an input that nothing used as a mask."""
        if self.meaning is None and not self.is_named:
            return None
        return Mask(self.name, self.meaning or _by_edge(self.values) or _by_name(self.word))


def candidate(name: str, word: str, tensor: Tensor, layout: Layout, n: int) -> MaskCandidate | None:
    """An input as a possible mask; None if its form or its word speaks against it."""
    if tensor.is_complex() or not tensor.ndim or tensor.shape[0] != n or tensor.layout != torch.strided:
        return None
    if tensor.ndim == 1:
        is_count = not tensor.is_floating_point() and tensor.dtype != torch.bool and bool((tensor >= 0).all())
        found = is_count and _LENGTHS.search(word.lower()) is not None
        return MaskCandidate(name, word, tensor, (), is_named=True, meaning="lengths") if found else None
    if any(size != 1 for size in tensor.shape[1:-1]) or tensor.shape[-1] < 2:
        return None
    if not bool(((tensor == 0) | (tensor == 1) | (tensor <= _OUT)).all()):
        return None
    named = _MASK.search(word.lower()) is not None and _NO_PADDING.search(word.lower()) is None
    values = (tensor != 0).reshape(n, -1)
    return MaskCandidate(name, word, values, layout.axes[-1], named)


def hear_lengths(step: TorchCall, made: Layout, candidates: Sequence[MaskCandidate]) -> None:
    """Learn which tokens lengths count: those that are packed by them, or numbered and compared with them."""
    for one in candidates:
        read = [o for o in step.operands.values() if o.note is not None and o.note.feeds == {one.name}]
        if one.meaning != "lengths" or one.tokens or not read:
            continue
        if step.name == "_pack_padded_sequence":
            one.tokens = step.layout(step.args[0]).axes[1 if step.arg(2, "batch_first") else 0]
        elif step.name in COMPARING and len(made.axes) > 1:
            one.tokens = made.axes[-1]


def hear_attention(step: TorchCall, candidates: Sequence[MaskCandidate]) -> MaskCandidate | None:
    """Learn from a call of attention what is padding; the input that its mask is, if only one can be.

    Two inputs of equal values cannot be told apart so; then only the axes tell.
    """
    if step.name == "scaled_dot_product_attention":
        given = step.arg(3, "attn_mask")
        out = None if not isinstance(given, Tensor) else ~given if given.dtype == torch.bool else given <= _OUT
    elif step.name == "multi_head_attention_forward":
        given = step.kwargs.get("key_padding_mask")
        out = None if not isinstance(given, Tensor) else given if given.dtype == torch.bool else given <= _OUT
    elif step.name in {"softmax", "log_softmax"} and step.first is not None and candidates:
        out = step.first.tensor <= _OUT
    else:
        return None
    found = [] if out is None else [(one, meaning) for one in candidates if (meaning := _meaning(one, out)) is not None]
    for one, meaning in found:
        one.meaning = meaning
    return found[0][0] if len(found) == 1 else None


def _meaning(one: MaskCandidate, out: Tensor) -> Meaning | None:
    """What a mask says if these are the keys it leaves out for every query; None if it leaves out others."""
    n, t = one.values.shape[0], one.values.shape[-1]
    if one.values.ndim != 2 or out.ndim < 2 or out.shape[0] != n or out.shape[-1] != t or not out.any():
        return None
    unseen = out.reshape(n, -1, t).all(1)
    if not unseen.any():
        return None
    return "tokens" if torch.equal(unseen, ~one.values) else "padding" if torch.equal(unseen, one.values) else None


def _by_edge(values: Tensor) -> Meaning | None:
    """Sequences are padded at one end: at the other every row has a token. None if both ends speak, differently."""
    first, last = values[:, 0], values[:, -1]
    said = {bool(edge[0]) for edge in (first, last) if bool((edge == edge[0]).all())}
    return None if len(said) != 1 else "tokens" if said.pop() else "padding"


def _by_name(word: str) -> Meaning:
    return "padding" if "pad" in word.lower() else "tokens"


def with_padding(inputs: Any, masks: Sequence[Mask]) -> Any:
    """A copy of the inputs in which masks that call nothing padding call the last position of the first row so.

    None where there is no such mask.

    Args:
        inputs: one batch, as the model takes it.
        masks: among them.
    """
    padded = copy_of(inputs)
    given = dict(named_tensors(padded))
    n_padded = 0
    for tensor, meaning in [(given[mask.name], mask.meaning) for mask in masks if mask.meaning != "lengths"]:
        if bool((tensor == 0 if meaning == "tokens" else tensor != 0).any()):
            continue
        tensor[0, ..., -1] = 0 if meaning == "tokens" else 10 * _OUT if tensor.is_floating_point() else 1
        n_padded += 1
    return padded if n_padded else None


def words_of(names: Mapping[str, str]) -> dict[str, str]:
    """The own word of every input, by its name: what forward calls it, else the last key or field."""
    return {name: known or re.sub(r"[\]'\"]", "", re.split(r"[\[.]", name)[-1]) for name, known in names.items()}
