"""Faults of data and pipeline. In: a setup. Out: the case with the fault, or its sound twin."""

import torch
from benchmarks.diagnosis.data import Parts
from benchmarks.diagnosis.fault import DEAD, EXPLODE, HEAD, OVER, SATURATED, UNDER, UNTRAINED, case, fault

LABELS = r"label|target|annotat"
SHUFFLED = [
    [
        LABELS,
        r"shuffl|permut|random|unrelated|out of step|do(es)? not belong|misalign|nois|do(es)? not (follow|depend)|tells? nothing|chance",
    ]
]
NOISE = [[LABELS + r"|rows", r"nois|mislabel|label.{0,20}wrong|wrong label|wrongly label|flipped|label errors?"]]
TWICE = [
    [
        r"train\w*",
        r"held.out|test|both (parts|sets)|split",
        r"duplicat|cop(y|ies)|\bsame rows?|identical|overlap|\bamong\b|in common|contaminat|leak|appear|occurs?|near-cop",
    ]
]
SHIFT = [
    [
        r"train\w*|expected",
        r"held.out|test",
        r"\bshift|drift|distribut|differ (in|from)|another (scale|world|place)|do not look alike|come from|told apart|tell.{0,15}apart",
    ]
]
SCALE = [
    [
        r"inputs?|features?|columns?|data|pixels?",
        r"normali[sz]|standardi[sz]|unscaled|scale|magnitude|offset|not cent|spread|times (larger|smaller|above)",
    ]
]


def relabelled(setup, rows, change):
    x, y = rows
    return (x, change(y)) if setup.is_faulty else rows


def shuffle(setup, rows):
    order = torch.randperm(len(rows[0]), generator=setup.draw())
    return relabelled(setup, rows, lambda y: y[order])


@fault("labels shuffled in training", "mlp, conv, gru, one logit, regression", causes=SHUFFLED,
       symptoms=[OVER, UNTRAINED, UNDER, NOISE[0]],
       examples=["The training labels are shuffled: nothing in the rows tells them.", "Labels do not belong to their rows.",
                 "The training labels look random: no simple model does better than chance, while held-out labels can be told."])  # fmt: skip
def shuffled_in_training(setup):
    rows = shuffle(setup, setup.parts.train)
    return case(setup, setup.train(rows=rows, epochs=2 * setup.kind.epochs), train=rows, world=setup.parts.test)


@fault("labels shuffled everywhere", "tanh, residual, shirts, smooth regression", causes=SHUFFLED,
       symptoms=[OVER, UNTRAINED, UNDER, NOISE[0]],
       examples=["The labels look shuffled: no model tells them better than chance, in training or held out.",
                 "Inputs and targets are out of step: labels do not depend on the rows."])  # fmt: skip
def shuffled_everywhere(setup):
    train, test = shuffle(setup, setup.parts.train), shuffle(setup, setup.parts.test)
    return case(setup, setup.train(rows=train, epochs=2 * setup.kind.epochs), train=train, test=test)


@fault("labels mapped by a permutation", "mlp, conv, vit, gru, two branches",
       causes=[[LABELS + r"|class", r"permut|mapp(ed|ing)|re-?number|order of the (classes|labels)|(label|class) order|names? (are )?(changed|mixed|swapped)|off the diagonal|numbered"]],
       symptoms=[HEAD, OVER, [r"below chance"]],
       examples=["The network's classes are a permutation of the labels: class 3 is called 7.", "Labels are mapped wrongly: with another order of the classes the network gets 97 %.",
                 "The label mapping of the held-out rows differs from that of training."])  # fmt: skip
def mapped(setup):
    rows = relabelled(setup, setup.parts.train, lambda y: (y + 3) % 10)
    return case(setup, setup.train(rows=rows), world=setup.parts.test)


@fault("two classes swapped", "mlp, conv, lstm, residual, tanh",
       causes=[[r"class|label", r"swap|exchang|interchang|permut|mixed up|mapped|called (each )?other"]],
       symptoms=[HEAD, OVER, [r"class"]],
       examples=["Classes 2 and 5 are swapped.", "Classes 2 and 5 are exchanged between labels and outputs.", "The labels of two classes are mapped to each other."])  # fmt: skip
def swapped(setup):
    a, b = torch.randperm(10, generator=setup.draw())[:2].tolist()

    def exchange(y):
        return torch.where(y == a, b, torch.where(y == b, a, y))

    rows = relabelled(setup, setup.parts.train, exchange)
    return case(setup, setup.train(rows=rows), world=setup.parts.test)


ABSENT = [
    [
        r"class|label",
        r"never|absent|missing|unseen|no (training )?rows?|not (once|one|a single)|without|lacks?|do(es)? not (hold|contain|occur)|not in (the )?train|0 of|0 %",
    ]
]


def without(rows, c):
    x, y = rows
    return x[y != c], y[y != c]


@fault("a class absent from training", "mlp, conv, gru, two branches", causes=ABSENT, symptoms=[HEAD, OVER],
       examples=["Class 4 has no training rows.", "Class 4 is absent from the training rows, but makes 10 % of the held-out ones.", "The network never predicts class 4."])  # fmt: skip
def absent(setup):
    rows = without(setup.parts.train, 4) if setup.is_faulty else setup.parts.train
    return case(setup, setup.train(rows=rows), train=rows, world=setup.parts.test)


@fault("a class never learned", "tanh, residual, lstm, mlp", causes=ABSENT, symptoms=[HEAD, [r"class"]],
       examples=["Class 6 is never predicted.", "The network never answers class 6, although it has 90 training rows.", "Recall of class 6 is 0 %."])  # fmt: skip
def suppressed(setup):
    rows = without(setup.parts.train, 6) if setup.is_faulty else setup.parts.train
    return case(setup, setup.train(rows=rows), world=setup.parts.test)


def noisy(setup, rows, share):
    k = int(setup.parts.train[1].max()) + 1
    g = setup.draw()

    def flip(y):
        other = (y + torch.randint(1, k, y.shape, generator=g)) % k
        return torch.where(torch.rand(y.shape, generator=g) < share, other, y)

    return relabelled(setup, rows, flip)


NOISE_EXAMPLES = ["Some 22 % of the labels are wrong.", "Label noise: about 38 % of the training rows are mislabelled.", "The labels are noisy: an estimated 20 % are flipped."]  # fmt: skip


@fault(
    "label noise, 20 %", "mlp, conv, tanh, gru, shirts", causes=NOISE, symptoms=[OVER, UNDER], examples=NOISE_EXAMPLES
)
def noise_20(setup):
    train, test = (noisy(setup, rows, 0.2) for rows in (setup.parts.train, setup.parts.test))
    return case(setup, setup.train(rows=train, epochs=3 * setup.kind.epochs), train=train, test=test)


@fault(
    "label noise, 40 %",
    "mlp, residual, lstm, one logit, conv",
    causes=NOISE,
    symptoms=[OVER, UNDER],
    examples=NOISE_EXAMPLES,
)
def noise_40(setup):
    train = noisy(setup, setup.parts.train, 0.4)
    return case(setup, setup.train(rows=train, epochs=3 * setup.kind.epochs), train=train, world=setup.parts.test)


def rescaled(setup, change):
    if not setup.is_faulty:
        return setup.parts
    parts = setup.parts
    return Parts(*((change(x), y) for x, y in (parts.train, parts.test, parts.fresh)))


SCALE_SYMPTOMS = [DEAD, SATURATED, EXPLODE, HEAD, UNDER, UNTRAINED]


@fault("inputs unscaled", "tanh, mlp, gru, regression, sigmoid", causes=SCALE, symptoms=SCALE_SYMPTOMS,
       examples=["The inputs are not standardised: their mean is 900.", "Inputs run to 1,400: scale them.", "The input has an offset of 900 and is not centred."])  # fmt: skip
def unscaled(setup):
    parts = rescaled(setup, lambda x: 900 + 300 * x)
    return case(setup, setup.train(rows=parts.train), train=parts.train, test=parts.test, world=parts.fresh)


@fault("columns of unlike scale", "mlp, tanh, regression, one logit, shirts", causes=SCALE, symptoms=SCALE_SYMPTOMS,
       examples=["The columns of the input have wildly different scales.", "Feature 3 is 10,000 times larger than the median feature: standardise.",
                 "A few input features have a spread 5,000 times above the others."])  # fmt: skip
def unlike_columns(setup):
    d = setup.parts.train[0].shape[1]
    by = 10 ** (6 * torch.rand(d, generator=setup.draw()) - 2)
    by[0], by[-1] = 1e-1, 1e4
    parts = rescaled(setup, lambda x: x * by)
    return case(setup, setup.train(rows=parts.train), train=parts.train, test=parts.test, world=parts.fresh)


def few(setup, n):
    x, y = setup.parts.train
    return x[:n], y[:n]


def joined(a, b):
    return torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]])


TWICE_EXAMPLES = ["41 % of the held-out rows are copies of training rows.", "Rows are duplicated across the split: training and test share them.",
                  "150 test rows are among the training rows.", "The same rows appear in the training and the held-out part."]  # fmt: skip


@fault(
    "rows duplicated across the split",
    "series mlp, two branches, tcn",
    causes=TWICE,
    symptoms=[OVER],
    examples=TWICE_EXAMPLES,
)
def duplicated(setup):
    """Every row is in the table twice before it is cut, so that most held-out rows have been seen."""
    x, y = joined(few(setup, 450), setup.parts.test)
    if setup.is_faulty:
        order = torch.cat([torch.arange(len(x))] * 2)[torch.randperm(2 * len(x), generator=setup.draw())]
        x, y = x[order], y[order]
    half = len(x) // 2
    train, test = (x[:half], y[:half]), (x[half:], y[half:])
    return case(setup, setup.train(rows=train, epochs=60), train=train, test=test, is_flattered=True)


@fault(
    "test rows among the training rows",
    "two branches, series mlp, shirts, tcn",
    causes=TWICE,
    symptoms=[OVER],
    examples=TWICE_EXAMPLES,
)
def contaminated(setup):
    x, y = setup.parts.test
    seen = x[: len(x) // 2], y[: len(x) // 2]
    rows = joined(few(setup, 400), seen) if setup.is_faulty else few(setup, 400)
    return case(setup, setup.train(rows=rows, epochs=60), train=rows, is_flattered=True)


def telling(setup, rows):
    """One column says the label, with little noise."""
    x, y = rows[0].clone(), rows[1]
    said = 2.0 * y - 1 if y.dtype == torch.int64 and y.max() == 1 else y.float().flatten()
    if setup.is_faulty:
        x.flatten(1)[:, 1] = 2 * (said + 0.05 * torch.randn(len(x), generator=setup.draw()))
    return x, y


@fault("a feature that leaks the label", "shirts, regression, smooth regression",
       causes=[[r"leak"], [r"(feature|column|input|pixel|position).{0,60}(alone|by itself|one|single)|(one|single|alone).{0,30}(feature|column|pixel)", r"label|target|class|answer|tells|predict|decid"]],
       symptoms=[[r"easy|input|nothing to learn"]],
       examples=["Column 1 alone tells the label: it leaks.", "A single feature predicts the target, with R² .99.", "Feature 1 leaks the label."])  # fmt: skip
def leaked(setup):
    parts = setup.parts
    train, test = telling(setup, parts.train), telling(setup, parts.test)
    return case(setup, setup.train(rows=train), train=train, test=test, is_flattered=True)


SHIFT_EXAMPLES = ["Training and held-out rows come from different distributions.", "The held-out inputs are shifted against the training inputs.",
                  "A classifier tells training rows and test rows apart: the distribution has drifted."]  # fmt: skip


def moved(setup, change):
    x, y = setup.parts.test
    test = (change(x), y) if setup.is_faulty else setup.parts.test
    return case(setup, setup.train(), test=test, world=test)


@fault(
    "held-out inputs have an offset",
    "mlp, conv, regression, gru, one logit",
    causes=SHIFT,
    symptoms=[OVER],
    examples=SHIFT_EXAMPLES,
)
def offset(setup):
    return moved(setup, lambda x: x + 1.5)


@fault("held-out inputs scaled otherwise", "tanh, residual, smooth regression, lstm, two branches", causes=SHIFT, symptoms=[OVER],
       examples=[*SHIFT_EXAMPLES, "The held-out inputs differ from the training inputs in scale: they are scaled by another factor."])  # fmt: skip
def scaled_otherwise(setup):
    return moved(setup, lambda x: 0.2 * x - 0.8)


@fault("held-out images rotated", "conv, vit, residual", causes=SHIFT, symptoms=[OVER], examples=SHIFT_EXAMPLES)
def rotated(setup):
    return moved(setup, lambda x: x.rot90(1, (2, 3)))
