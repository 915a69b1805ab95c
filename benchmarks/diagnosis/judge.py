"""The rule of judging, on purpose strict and blind to wording tricks.

In: findings and what was planted. Out: which of them name the cause, which a true symptom, which are false.

1. Only findings of severity `problem` or `warning` count: they are loud.
2. Of a finding only the title, the evidence and the first clause of the advice are read.
3. A sentence that holds the causes of more than `CATCH_ALL` faults of different families names none of them.
4. A cause: all regular expressions of one alternative hold, and the place is right: for a fault with places the layer
   is one of them, or there is no layer and the words name one of the places.
5. A symptom: the same without the place. Everything else is wrong.
6. A study that ends in an error says that error, which counts as a symptom at most.
7. On a healthy network every loud finding is false, but for two that are measured here: units silent on all training
   rows, counted within a fifth; and over-fitting, where the network is worse by .1 on held-out rows.
"""

import re

import torch
from benchmarks.diagnosis.fault import FAULTS
from benchmarks.diagnosis.networks import score
from torch import nn

LOUD = ("problem", "warning")
CATCH_ALL = 5
"""Families of causes one title may touch: the fullest of the examples touches four."""


def words(finding):
    clause = re.split(r"[,;.:]| or ", finding.advice, maxsplit=1)[0]
    return f"{finding.title} | {finding.evidence} | {clause}"


def holds(text, alternatives):
    return any(all(re.search(p, text, re.IGNORECASE) for p in patterns) for patterns in alternatives)


def breadth(text):
    """How many different causes a text would name."""
    return len({str(f.causes) for f in FAULTS.values() if holds(text, f.causes)})


def is_at(finding, places):
    if not places or finding.layer in places:
        return True
    named = [p for p in places if re.search(rf"(?<![\w.]){re.escape(p)}(?![\w])", words(finding))]
    return finding.layer is None and bool(named)


def judge(findings, fault, places):
    """(loud, naming the cause, naming a symptom)."""
    loud = [f for f in findings if f.severity in LOUD]
    right = [f for f in loud if holds(words(f), fault.causes) and is_at(f, places) and breadth(f.title) <= CATCH_ALL]
    near = [f for f in loud if f not in right and holds(words(f), [*fault.symptoms, *fault.causes])]
    return loud, right, near


def _silent(net, name, x):
    """Units of a layer that are 0 on all rows, or None where the layer cannot be heard."""
    module, heard = dict(net.named_modules()).get(name), []
    if module is None:
        return None
    hook = module.register_forward_hook(lambda _module, _inputs, out: heard.append(out))
    with torch.no_grad():
        net(x)
    hook.remove()
    if not isinstance(heard[0], torch.Tensor):
        return None
    out, axis = heard[0], 1 if heard[0].ndim == 4 or isinstance(module, nn.Conv1d) else -1
    return int((out.movedim(axis, -1).flatten(0, -2) == 0).all(0).sum())


def is_true(finding, made):
    """Whether a loud finding about a healthy network can be measured to be so."""
    if re.search(r"over-?fit", finding.title, re.IGNORECASE):
        return score(made.net, made.train, made.task) - score(made.net, made.test, made.task) > 0.1
    said = re.match(r"(\d+) ", finding.title)
    if said and re.search(r"silent|dead", finding.title):
        counted = _silent(made.net, finding.layer, made.train[0])
        return counted is not None and abs(counted - int(said[1])) <= max(1, 0.2 * counted)
    return False
