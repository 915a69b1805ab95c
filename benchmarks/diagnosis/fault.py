"""What a planted fault is.

In: nothing. Out: `FAULTS`, filled by the modules whose functions are marked with `@fault`, and words that several
faults share. The regular expressions were written from the definitions of the faults, without a look at any rule.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from benchmarks.diagnosis.data import Part, Parts
from benchmarks.diagnosis.networks import KINDS, Kind, train
from torch import Tensor, nn

Words = list[list[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """What a fault is planted in.

    Attributes:
        kind: the network and its training.
        parts: the rows, still sound.
        seed: of everything that is drawn.
        is_faulty: whether the fault is planted; otherwise the twin without it is made.
    """

    kind: Kind
    parts: Parts
    seed: int
    is_faulty: bool

    def train(self, net=None, rows=None, **how):
        return train(net or self.kind.build(), rows or self.parts.train, self.kind, **how)

    def draw(self):
        return torch.Generator().manual_seed(1000 + self.seed)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A trained network with the rows and the loss that a user would show.

    Attributes:
        net: in evaluation mode.
        train: the rows said to be the training rows.
        test: the rows said to be held out.
        loss: of an output and its labels.
        task: classification or regression.
        world: the rows on which the network is meant to work.
        places: the layers at which the fault may be found; none for a fault of the whole.
        is_flattered: whether the harm is that `test` promises more than `world` keeps.
    """

    net: nn.Module
    train: Part
    test: Part
    loss: Callable[[Tensor, Tensor], Tensor]
    task: str
    world: Part
    places: tuple[str, ...] = ()
    is_flattered: bool = False


def case(setup, net, *, train=None, test=None, world=None, places=(), is_flattered=False, loss=None):
    """The case of a setup, where what is not named is as it was."""
    parts, kind = setup.parts, setup.kind
    shown = train or parts.train, test or parts.test
    return Case(net, *shown, loss or kind.loss, kind.task, world or parts.fresh, tuple(places), is_flattered)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and the sentences that name it.

    Attributes:
        name: in a few words.
        group: data, structure or training.
        kinds: the networks it is planted in.
        make: a setup to the case.
        causes: alternatives; each is a list of regular expressions that one finding must hold all.
        symptoms: the same for true consequences that are not yet the cause.
        examples: sentences that must count as naming it.
    """

    name: str
    group: str
    kinds: tuple[str, ...]
    make: Callable[[Setup], Case]
    causes: Words
    symptoms: Words
    examples: list[str] = field(default_factory=list)

    def plant(self, kind, seed, *, is_faulty=True):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  scikit-learn's and torch's users share it
        setup = Setup(KINDS[kind], KINDS[kind].data(seed), seed, is_faulty)
        return self.make(setup)


FAULTS: dict[str, Fault] = {}


def fault(name, kinds, *, causes, examples, symptoms=()):
    def keep(make):
        group = make.__module__.rpartition(".")[2].removeprefix("faults_of_")
        FAULTS[name] = Fault(name, group, tuple(kinds.split(", ")), make, causes, list(symptoms), examples)
        return make

    return keep


OVER = [r"over-?fit|memori[sz]|carry over|generali[sz]"]
UNTRAINED = [
    r"untrained|never trained|not (been )?trained|fresh(ly)? (draw|drawn|initial)|(equal|close) to (a|its|their) (fresh|initial)|initial (weights|values|draw)|as (it was|they were) drawn"
]
UNDER = [
    r"under-?fit|under-?trained|train (it |for )?longer|more epochs|too few (epochs|steps)|not (yet )?converged|still (falling|falls|improv)|(learning )?rate.{0,25}too (low|small)|stopped (too )?early|has not learn"
]
HIGH = [
    r"diverg|(learning )?rate.{0,30}too (high|large|big)|(lower|smaller|reduce|decrease|cut).{0,20}(learning )?rate|blew up|blown up"
]
DEAD = [r"\bdead\b|silent|dying|never (fire|active)"]
SATURATED = [r"saturat"]
VANISH = [r"vanish|gradients?.{0,40}(tiny|too small|fade|shrink|do not reach|die out)"]
EXPLODE = [r"explod|blow|grows? (by|from|with)"]
HEAD = [r"head|read-?out|last layer"]
LOST = [r"loses?|lost|separab|direction|rank|collaps|same for every|constant|hardly var"]
LARGE = [r"(weights?|initial\w*).{0,50}(too )?(large|big|above|times)|(too )?large.{0,25}(weights|initial)"]
