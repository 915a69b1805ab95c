"""The untrained twin of a study.

In: a model, its data, what was prepared. Out: the twin, its batch norms calibrated on training rows, or the note on
why there is none.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from unbend.capture.twin import calibrate, twin
from unbend.errors import ModelError
from unbend.numerics.hashing import hashes
from unbend.numerics.readout import readout
from unbend.study.finish import BASELINE
from unbend.study.prepare import Preparation
from unbend.study.ranks import Share
from unbend.study.settings import Settings
from unbend.study.source import Source

_CALIBRATION = 4096
"""Rows behind the statistics of the twin's batch norms: a standard deviation of 4,096 rows is off by about 1 %."""
_SALT = 5


def untrained_twin(
    model: nn.Module, rows: Source, work: Preparation, how: Settings
) -> tuple[nn.Module | None, tuple[str, ...]]:
    """The untrained twin, where it is wanted and can be made, and what a reader of the study should know of it.

    A model that cannot be drawn again costs the twin, not the study; what the caller gave has to be right.

    Raises:
        ModelError: `untrained` raised, or gives another network.

    Cost:
        A second copy of the parameters; with batch norms, a forward pass over 4,096 rows.
    """
    is_read = any(m.name == readout.__name__ and m.name in BASELINE for m in work.measures)
    if not (how.twin and is_read and any(True for _ in model.parameters())):
        return None, ()
    try:
        fresh = twin(model, seed=how.seed, untrained=how.untrained)
        calibrate(fresh, _some_inputs(rows, work))
    except ModelError as error:
        if how.untrained is not None:
            raise
        said = str(error).removeprefix("model: ")
        return None, (said[0].upper() + said[1:],)
    given = "The untrained twin is the network that was given for it, not a fresh draw of the model's weights."
    return fresh, () if how.untrained is None else (given,)


def _some_inputs(rows: Source, work: Preparation) -> Iterator[Any]:
    """Inputs of training rows chosen by hash, so that data sorted by class give mixed batches; the same on every rank.

    Of a stream, the first rows.
    """
    piece = rows.pieces["train"]
    if piece.n is None:
        batches = rows.batches("train", most=_CALIBRATION)
    else:
        ids = np.arange(piece.n) if piece.rows is None else piece.rows
        batches = replace(piece, rows=ids[np.argsort(hashes(ids, _SALT))[:_CALIBRATION]]).batches(None, Share())
    return (work.plan.protect(work.fit(minibatch.inputs)) for minibatch in batches)
