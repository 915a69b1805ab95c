"""Initial weights: the rules of the field, drawn from a seed.

In: a module, or a weight with its bias. Out: the same, filled. This module must not know what a
network is for.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from unbend.errors import ModelError

Rule: TypeAlias = Literal["torch", "xavier", "he", "lecun", "normal", "orthogonal"]
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Initial:
    """A rule for initial weights.

    Attributes:
        rule: "torch" is what `nn.Linear` does by itself, U(-1/√fan_in, 1/√fan_in); "xavier" is uniform with
            variance 2/(fan_in + fan_out) (Glorot & Bengio 2010); "he" is normal with variance 2/fan_in (He et
            al. 2015); "lecun" is normal with variance 1/fan_in; "normal" is N(0, 1); "orthogonal" is an
            orthogonal matrix (Saxe et al. 2014).
        gain: what the weights are multiplied by; `Initial("normal", gain=0.01)` is N(0, 0.01²).
        bias: a constant; or "torch" for U(-1/√fan_in, 1/√fan_in); or "centred" for minus half the sum of the
            incoming weights, which puts the pre-activations of a unit behind sigmoids around 0. None takes
            "torch" with the rule "torch", and 0 with the others.
    """

    rule: Rule = "torch"
    gain: float = 1.0
    bias: float | Literal["torch", "centred"] | None = None

    def fill(self, weight: Tensor, bias: Tensor | None, generator: torch.Generator) -> None:
        """Draw `weight` and then `bias` in place."""
        with torch.no_grad():
            _draw(self.rule, weight, generator)
            if self.gain != 1.0:
                weight.mul_(self.gain)
            if bias is not None:
                self._fill_bias(weight, bias, generator)

    def _fill_bias(self, weight: Tensor, bias: Tensor, generator: torch.Generator) -> None:
        how = ("torch" if self.rule == "torch" else 0.0) if self.bias is None else self.bias
        if how == "centred":
            bias.copy_(-0.5 * weight.flatten(1).sum(1))
        elif how == "torch":
            bound = weight[0].numel() ** -0.5
            bias.uniform_(-bound, bound, generator=generator)
        else:
            bias.fill_(float(how))


def initialise(model: M, initial: Initial | Rule = "torch", *, seed: int) -> M:
    """`model`, the weights of its Linear and convolution layers drawn anew from `seed`, in place.

    With the rule "torch" and a seed it gives the very weights of `mlp(..., seed=seed)`.

    Args:
        model: any module; other layers, such as batch normalisation, stay as they are.
        initial: an `Initial`, or the name of its rule.
        seed: of the draw.

    Raises:
        ModelError: a rule that is not there.

    Example:
        >>> from unbend.zoo import mlp
        >>> deep = initialise(mlp([10] * 20), "he", seed=3)
    """
    initial = as_initial(initial)
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            initial.fill(module.weight, module.bias, generator)
    return model


def as_initial(initial: Initial | str) -> Initial:
    """The `Initial` that a name stands for."""
    chosen = initial if isinstance(initial, Initial) else Initial(initial)  # type: ignore[arg-type]
    if chosen.rule not in _RULES:
        message = f"initial: no rule named {chosen.rule!r}. There are: {', '.join(_RULES)}."
        raise ModelError(message)
    return chosen


def _draw(rule: Rule, weight: Tensor, generator: torch.Generator) -> None:
    _RULES[rule](weight, generator)


_RULES = {
    "torch": lambda weight, g: nn.init.kaiming_uniform_(weight, a=5**0.5, generator=g),
    "xavier": lambda weight, g: nn.init.xavier_uniform_(weight, generator=g),
    "he": lambda weight, g: nn.init.kaiming_normal_(weight, generator=g),
    "lecun": lambda weight, g: nn.init.kaiming_normal_(weight, nonlinearity="linear", generator=g),
    "normal": lambda weight, g: nn.init.normal_(weight, generator=g),
    "orthogonal": lambda weight, g: nn.init.orthogonal_(weight, generator=g),
}
