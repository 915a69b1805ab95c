"""The axes of what a torch function puts out: a table of rules by name, and what is assumed where there is none.

In: a step and one of the tensors it put out. Out: the layout of that tensor, and whether a rule knew it.
"""

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

from unbend.capture.flow import moves, weights
from unbend.capture.flow.axes import Layout, fresh
from unbend.capture.flow.operations import MOVES, REDUCTIONS, RESHAPES
from unbend.capture.flow.steps import TorchCall

Rule: TypeAlias = Callable[[TorchCall, Tensor, int], Layout | None]
"""Of a step, a tensor it put out and the number of that tensor; None where the rule does not apply."""

_CONVOLUTIONS = [f"conv{turned}{k}d" for turned in ("", "_transpose") for k in (1, 2, 3)]
_POOLS = [
    f"{adaptive}{kind}_pool{k}d{indices}"
    for adaptive in ("", "adaptive_", "fractional_")
    for kind in ("avg", "max", "lp")
    for k in (1, 2, 3)
    for indices in ("", "_with_indices")
]
_NAMES: dict[Rule, tuple[str, ...]] = {
    weights.linear: ("linear", "bilinear", "addmm"),
    weights.convolution: (*_CONVOLUTIONS, "convolution"),
    weights.embedding: ("embedding", "embedding_bag"),
    weights.matmul: ("matmul", "__matmul__", "__rmatmul__", "bmm", "mm"),
    weights.einsum: ("einsum",),
    weights.attention: ("scaled_dot_product_attention",),
    weights.module_attention: ("multi_head_attention_forward",),
    weights.recurrent: ("lstm", "gru", "rnn_tanh", "rnn_relu"),
    weights.cell: ("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
    weights.pack: ("_pack_padded_sequence",),
    weights.unpack: ("_pad_packed_sequence",),
    weights.norm: ("batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"),
    weights.pooling: (*_POOLS, "interpolate", "upsample", "grid_sample"),
    weights.shuffle: ("pixel_shuffle", "pixel_unshuffle"),
    weights.one_hot: ("one_hot",),
    moves.cat: ("cat", "concat", "concatenate"),
    moves.stack: ("stack",),
    moves.reshape: tuple(RESHAPES),
    moves.move: tuple(MOVES),
    moves.reduction: tuple(REDUCTIONS),
}
RULES: dict[str, Rule] = {name: rule for rule, names in _NAMES.items() for name in names}
"""By the plain name of the function. Where a rule does not apply, and for all other names, `FALLBACKS` in turn."""
FALLBACKS: tuple[Rule, ...] = (moves.elementwise, moves.same_axes)


def layout_of(step: TorchCall, out: Tensor, index: int) -> tuple[Layout, bool]:
    """The axes of a tensor that was put out; unknown ones, and false, where no rule applies.

    Never raises: an operation that is called in a way its rule does not foresee costs the layout only.
    """
    rules = (RULES[step.name], *FALLBACKS) if step.name in RULES else FALLBACKS
    for rule in rules:
        try:
            found = rule(step, out, index)
        except Exception:  # noqa: BLE001, S112  a user's operation may have any form; the next rule knows less and fits more
            continue
        if found is not None and len(found.axes) == out.ndim:
            return found, True
    return Layout(fresh(out.shape)), False
