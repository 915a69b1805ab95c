"""One examination from end to end.

Contract probes of output and loss, references on the raw input, the weights as they are, and short trials on copies;
each is asked only where the answers before it leave room for it.

In: a bare model, a data set, a loss where there is one. Out: an `Examination`, plain values that rules judge later,
without the model.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from unbend.capture import quiet
from unbend.capture.kinds import kind_of
from unbend.capture.quiet import kept_random
from unbend.study.examine.output import output
from unbend.study.examine.passages import passages
from unbend.study.examine.reductions import reductions
from unbend.study.examine.references import scores
from unbend.study.examine.rows import rows
from unbend.study.examine.subject import Subject
from unbend.study.examine.trials import trial, with_biases, without_dropout
from unbend.study.examine.values import DataFacts, Examination, Scores, Trial, Weights, is_unscaled
from unbend.study.examine.weights import Ran, fresh_reach, is_affine, ran, weights
from unbend.study.values import Layer

_FLAT = (nn.Sigmoid, nn.Tanh, nn.Hardsigmoid, nn.Hardtanh, nn.Softsign)
_HEAVY_DROPOUT = 0.6
_IS_LOW = 0.97
"""Training score from which going on can bring no more than 3 points."""


def examine(
    subject: Subject,
    *,
    is_declared: bool,
    with_trials: bool,
    frames: Sequence[Layer] = (),
    tell: Callable[[str], None] = lambda _what: None,
) -> Examination | None:
    """Examine a network.

    Args:
        subject: the network with some rows of both parts.
        is_declared: whether the caller said which rows are held out.
        with_trials: make short trials on copies; needs the subject's loss.
        frames: the layers as the study reads them: those that are reduced over positions are read again.
        tell: called with what is done next.

    Returns:
        None where the network puts out no rows of numbers, or no row is held out.

    Cost:
        A second or two, and up to six seconds for each of at most five trials.
    """
    with kept_random(subject.model), quiet(subject.model, grad=True), torch.random.fork_rng([]):
        torch.manual_seed(0)
        if subject.held_out.n < 2 or subject.train.n < 2 or subject.out.ndim != 2:
            return None
        tell("Examining output and data")
        found = scores(subject)
        modules = ran(subject)
        end = output(subject)
        layers = weights(subject, modules)
        data = rows(subject, found, is_normalised=bool(modules) and kind_of(modules[0].module) == "norm")
        is_finite = math.isfinite(found.train) and all(w.is_finite for w in layers)
        affine = is_finite and is_affine(subject)
        made: tuple[Trial, ...] = ()
        if with_trials and subject.loss is not None and is_finite:
            tell("Short trials on copies")
            made = _trials(subject, found, layers, data)
        flats = _flats(modules, end.layer)
        dropout, dropout_layer = _dropout(subject.model)
        norm = next((p for p, m in subject.model.named_modules() if _has_statistics(m)), None)
        on_batch = (math.nan, math.nan) if norm is None else _on_batch_statistics(subject)
        last = layers[-1].layer if layers else None
        return Examination(
            n_train=subject.train.n,
            n_held_out=subject.held_out.n,
            is_declared=is_declared,
            scores=found,
            output=end,
            weights=layers,
            passages=passages(subject, modules, last) if found.is_ill and is_finite else (),
            rows=data,
            trials=made,
            is_affine=affine,
            flat_activations=flats,
            fresh_reach=fresh_reach(subject, [w.layer for w in layers]) if flats > 2 and found.is_ill else math.nan,
            dropout=dropout,
            dropout_layer=dropout_layer,
            on_batch_statistics=on_batch[1],
            norm_layer=norm,
            train_on_batch_statistics=on_batch[0],
            reductions=reductions(subject, frames) if is_finite else (),
            precision=next((str(p.dtype).removeprefix("torch.") for p in subject.model.parameters()), ""),
        )


def _trials(subject: Subject, found: Scores, layers: tuple[Weights, ...], data: DataFacts) -> tuple[Trial, ...]:
    """The trials that the answers so far leave room for."""
    asked: list[Trial | None] = []
    if found.train < _IS_LOW or found.is_ill:
        asked.append(trial(subject, "on", is_fresh=False))
    if found.is_ill:
        asked.append(trial(subject, "fresh", is_fresh=True))
        bare = [w.layer for w in layers if w.lacks_bias]
        if bare:
            asked.append(trial(subject, "fresh, biased", is_fresh=True, change=with_biases(bare)))
        if _dropout(subject.model)[0] >= _HEAVY_DROPOUT:
            asked.append(trial(subject, "on, no dropout", is_fresh=False, change=without_dropout))
            asked.append(trial(subject, "fresh, no dropout", is_fresh=True, change=without_dropout))
    elif is_unscaled(data):
        asked.append(trial(subject, "fresh, scaled", is_fresh=True, is_scaled=True))
    return tuple(each for each in asked if each is not None)


def _flats(modules: tuple[Ran, ...], last: str | None) -> int:
    """Hidden activations that are flat on both sides."""
    return sum(isinstance(each.module, _FLAT) and each.path != last for each in modules)


def _dropout(model: nn.Module) -> tuple[float, str | None]:
    """The greatest dropout rate and where it is."""
    found = [(m.p, path) for path, m in model.named_modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    return max(found, default=(0.0, None), key=lambda pair: pair[0])


def _has_statistics(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats


def _on_batch_statistics(subject: Subject) -> tuple[float, float]:
    """Scores of both parts with batch normalisation on the statistics of each batch."""
    net = subject.copy().eval()
    for module in net.modules():
        if _has_statistics(module):
            module.train()
    try:
        seen, unseen = (subject.outputs(net, part) for part in (subject.train, subject.held_out))
    except ValueError:  # one row a batch has no statistics
        return math.nan, math.nan
    return subject.score(seen, subject.train.y), subject.score(unseen, subject.held_out.y)
