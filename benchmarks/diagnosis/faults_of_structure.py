"""Faults of structure: outputs, losses, widths, branches, layers that stand still.

In: a setup. Out: the case with the fault, or its sound twin.
"""

import torch
from benchmarks.diagnosis import networks
from benchmarks.diagnosis.fault import (
    DEAD,
    EXPLODE,
    HEAD,
    LOST,
    OVER,
    SATURATED,
    UNDER,
    UNTRAINED,
    VANISH,
    case,
    fault,
)
from benchmarks.diagnosis.networks import chain, conv, mlp, tcn
from torch import nn
from torch.nn import functional as F

OUT = r"output|last|final|head|\bend\b"
SGD = torch.optim.SGD


def swap(net, old, new):
    """Every module of one class replaced, branches included."""
    for name, part in net.named_children():
        if isinstance(part, old):
            setattr(net, name, new())
        else:
            swap(part, old, new)
    return net


@fault("affine layers with nothing between", "series mlp, tcn, one logit, regression",
       causes=[[r"affine|linear|dense|convolution", r"nothing between|no (activation|non-?linear\w*)|without (an? )?(activation|non-?linear\w*)|one (map|affine|linear)|(single|same) (map|affine|linear)|activation.{0,20}missing|missing.{0,20}activation"]],
       symptoms=[UNDER, LOST, [r"no hidden layer|linear (model|map)|not linearly"]],
       examples=["Layers fc1 and fc2 are affine with nothing between: together they are one map.", "There is no activation between the linear layers fc1, fc2 and head.",
                 "The whole network is one linear map."])  # fmt: skip
def affine(setup):
    net = setup.kind.build()
    places = [n for n, m in net.named_modules() if isinstance(m, (nn.Linear, nn.Conv1d, networks.Dilated))]
    places += [n for n, m in net.named_modules() if isinstance(m, nn.ReLU)]
    if setup.is_faulty:
        swap(net, nn.ReLU, nn.Identity)
        swap(net, nn.MaxPool1d, lambda: nn.AvgPool1d(4))
    return case(setup, setup.train(net), places=places)


ENDS = ("last", "head", "end", "end.head", "output")


def ended(setup, last, **how):
    """The network with one module behind its head."""
    net = setup.kind.build()
    if setup.is_faulty:
        net = chain(**dict(net.named_children()), last=last)
    return case(setup, setup.train(net, **how), places=ENDS)


@fault("softmax twice", "mlp, conv, tcn, vit",
       causes=[[r"softmax", r"loss|cross.?entropy|twice|double|logits|again|already"], [OUT, r"already.{0,20}probabilit|sum to (1|one)"]],
       symptoms=[UNDER, VANISH, SATURATED],
       examples=["Softmax is applied twice: the output is one already, and the loss takes logits.", "The outputs are already probabilities, but the loss expects logits."])  # fmt: skip
def softmax_twice(setup):
    return ended(setup, nn.Softmax(1), optimiser=SGD, rate=0.2)


@fault("sigmoid twice", "one logit, shirts, series mlp",
       causes=[[r"sigmoid", r"loss|twice|double|logits|again|already|cross.?entropy"], [OUT, r"already.{0,20}probabilit"]],
       symptoms=[UNDER, VANISH, SATURATED],
       examples=["A sigmoid twice: the output is a sigmoid and the loss takes logits.", "The last layer's output is already a probability, and the loss puts a sigmoid on it again."])  # fmt: skip
def sigmoid_twice(setup):
    return ended(setup, nn.Sigmoid())


@fault("ReLU as output", "regression, smooth regression, mlp",
       causes=[[OUT, r"relu|rectif|negative|clipped|cannot (go|be) below|never below"]],
       symptoms=[DEAD, HEAD, [r"range|target"]],
       examples=["The output passes a ReLU, but half of the targets are negative.", "The final ReLU clips the output: no score can be negative."])  # fmt: skip
def relu_end(setup):
    return ended(setup, nn.ReLU())


@fault("tanh as output of wide targets", "regression, smooth regression",
       causes=[[OUT + r"|targets?", r"tanh|range|bounded|between -?\d|beyond|outside|cannot reach|out of reach"]],
       symptoms=[SATURATED, HEAD, VANISH],
       examples=["The output is a tanh, which stays between -1 and 1, but targets run to 14.", "Targets lie outside the range of the last activation.", "61 % of the targets are out of reach of the output."])  # fmt: skip
def tanh_end(setup):
    parts = setup.parts
    wide = [(x, 5 * y) for x, y in (parts.train, parts.test, parts.fresh)]
    net = setup.kind.build()
    if setup.is_faulty:
        net = chain(**dict(net.named_children()), last=nn.Tanh())
    net = setup.train(net, rows=wide[0])
    return case(setup, net, train=wide[0], test=wide[1], world=wide[2], places=ENDS)


@fault("sigmoid as output of a regression", "regression, smooth regression",
       causes=[[OUT + r"|targets?", r"sigmoid|range|bounded|between 0|negative|outside|beyond|cannot reach|out of reach"]],
       symptoms=[SATURATED, HEAD, VANISH],
       examples=["The output is a sigmoid, between 0 and 1, but targets run from -2 to 3.", "Half of the targets are outside the range of the last activation."])  # fmt: skip
def sigmoid_end(setup):
    return ended(setup, nn.Sigmoid())


@fault("negative log-likelihood of raw scores", "mlp, conv, gru, vit",
       causes=[[r"loss|likelihood|nll", r"log.?(softmax|prob)|logits|raw|negative|unbounded|without (a )?bound|expects|wrong|mismatch|does not (fit|suit|match)|below 0"]],
       symptoms=[EXPLODE, DEAD, HEAD, [r"large|not finite|nan"]],
       examples=["The loss expects log-probabilities and gets raw scores.", "The loss is negative and unbounded: a log-softmax is missing.", "The loss does not suit the output."])  # fmt: skip
def raw_scores(setup):
    if setup.is_faulty:
        net = setup.train(loss=F.nll_loss)
        return case(setup, net, loss=F.nll_loss)
    return case(setup, setup.train())


def brier(out, y):
    return (out.softmax(1) - F.one_hot(y, out.shape[1])).square().mean()


@fault("squared error on class probabilities", "conv, tcn, series mlp",
       causes=[[r"\bloss\b|squared error|mse", r"class|probab|does not (fit|suit|match)|wrong|cross.?entropy|unsuit|mismatch"]],
       symptoms=[UNDER, VANISH, HEAD],
       examples=["The loss does not suit the task: squared error on class probabilities.", "Squared error where cross-entropy belongs: the classes are hardly learned."])  # fmt: skip
def squared_error(setup):
    loss = brier if setup.is_faulty else F.cross_entropy
    return case(setup, setup.train(loss=loss, optimiser=SGD, rate=0.1), loss=loss)


def clamped(out, y):
    return F.cross_entropy(out, y.clamp(max=out.shape[1] - 1))


@fault("too few outputs", "mlp, conv, gru, two branches",
       causes=[[r"output|logit|head|column|unit", r"class", r"too few|only|fewer|(has|puts out) \d+|but|missing|lacks|cannot|number of|more classes"]],
       symptoms=[[r"class.{0,20}(never|absent)"], HEAD],
       examples=["The output has 6 units, too few for 10 classes.", "10 classes, but only 6 outputs: the head cannot name the others.", "The number of outputs does not match the classes: 6 for 10."])  # fmt: skip
def few_outputs(setup):
    net = setup.kind.build()
    if setup.is_faulty:
        net.head = nn.Linear(net.head.in_features, 6)
    return case(setup, setup.train(net, loss=clamped), loss=clamped, places=("head", "output"))


NARROW = [[r"narrow|too few (units|channels)|bottleneck|wider|width (of )?\d"]]


def narrow(setup, name):
    if name == "mlp":
        return mlp(64, 48, 2, 10), ("fc2", "act2")
    if name == "conv":
        return conv(1), ("conv2", "act2")
    if name == "tcn":
        return tcn(1), ("layer2", "layer2.conv", "layer2.act")
    return networks.Recurrent(setup, 2), ("cell",)


def kind_of(setup):
    return next(n for n, k in networks.KINDS.items() if k is setup.kind)


@fault("too narrow", "mlp, conv, tcn, gru, lstm", causes=NARROW, symptoms=[LOST, UNDER, DEAD],
       examples=["Layer fc2 is too narrow.", "Two units at fc2 are a bottleneck: make it wider.", "fc2 has too few units for ten classes."])  # fmt: skip
def too_narrow(setup):
    name = kind_of(setup)
    net, places = narrow({"gru": nn.GRU, "lstm": nn.LSTM}.get(name), name) if setup.is_faulty else (None, ())
    return case(setup, setup.train(net), places=places)


@fault("a branch that does nothing", "residual, vit, two branches",
       causes=[[r"branch|block|residual|shortcut|norm|attend|mlp|fc|conv|upper|weights?|gain|scale", r"does nothing|do nothing|changes? (next to )?nothing|zero|no effect|idle|adds nothing|contributes? nothing|passes (its|the) input|identity"]],
       symptoms=[DEAD, HEAD, LOST, OVER],
       examples=["The residual branch of block2 does nothing: its last norm has a gain of zero.", "The branch of block2 adds nothing to the shortcut.", "All weights of block2.norm2 are zero."])  # fmt: skip
def idle_branch(setup):
    net = setup.train()
    if not setup.is_faulty:
        return case(setup, net)
    name = kind_of(setup)
    if name == "residual":
        outs, places = [net.block1.norm2, net.block2.norm2], ["block1", "block2"]
    elif name == "vit":
        outs = [b for block in (net.block1, net.block2) for b in (block.attend.out_proj, block.mlp.fc2)]
        places = ["block1", "block2"]
    else:
        outs, places = [net.upper.head], ["upper"]
    for part in outs:
        nn.init.zeros_(part.weight)
        nn.init.zeros_(part.bias)
    names = [n for n, _ in net.named_modules() if n.split(".")[0] in places]
    return case(setup, net, places=names)


@fault("layers that were never trained", "mlp, series mlp, conv, residual, tcn",
       causes=[*[[w] for w in UNTRAINED], [r"frozen|unchanged|(never|not|hardly) (moved|updated|changed|learn\w*)|requires_grad|still (its|their|the) (initial|first)|as drawn|random weights"]],
       symptoms=[UNDER, LOST, NARROW[0]],
       examples=["Layers fc1 and fc2 were never trained: their weights equal a fresh draw.", "Layer fc1 is frozen: its weights are as they were drawn.", "The weights of fc1 are unchanged since their initialisation."])  # fmt: skip
def frozen(setup):
    name = kind_of(setup)
    net = {"mlp": lambda: mlp(64, 12, 12, 10), "series mlp": lambda: mlp(40, 40, 40, 10)}.get(name, setup.kind.build)()
    still = {"mlp": "fc1 fc2", "series mlp": "fc1 fc2", "conv": "conv1 conv2 conv3", "residual": "stem norm block1 block2",
             "tcn": "layer1 layer2 layer3"}[name].split()  # fmt: skip
    places = [n for n, m in net.named_modules() if n.split(".")[0] in still]
    if setup.is_faulty:
        for part in still:
            getattr(net, part).requires_grad_(False)
    return case(setup, setup.train(net), places=places)


@fault("duplicate units by constant weights", "mlp, conv, tanh, regression",
       causes=[[r"identical|duplicat|same (weights|output|value|as)|symmetr|constant(ly)? (init|weights)|equal (units|rows|weights)|(units|channels|rows|weights).{0,25}(are|all) (equal|the same|alike)|copies of one"]],
       symptoms=[NARROW[0], LOST, UNDER, HEAD, DEAD],
       examples=["All 48 units of fc1 are identical: constant weights.", "The rows of fc1's weight are equal, so that symmetry was never broken.", "32 units of fc2 are copies of one."])  # fmt: skip
def constant(setup):
    net = setup.kind.build()
    if setup.is_faulty:
        for part in net:
            if isinstance(part, (nn.Linear, nn.Conv2d)):
                nn.init.constant_(part.weight, 1.0 / part.weight[0].numel())
                nn.init.zeros_(part.bias)
    places = [n for n, m in net.named_children() if not isinstance(m, nn.Flatten)]
    return case(setup, setup.train(net), places=places)


@fault("pooled away", "conv, residual, tcn",
       causes=[[r"pool|resolution|positions?|spatial|averag\w+|downsampl|stride|pixel", r"lost|los[et]s?|away|too (much|early|strong|far|small)|throws|gone|one (pixel|position|value)|leaves|removes|collaps|coarse|destroy"]],
       symptoms=[NARROW[0], LOST, UNDER],
       examples=["Pooling at first leaves one pixel: resolution is lost.", "The pool at first throws the positions away.", "Layer first averages too early: the spatial resolution is gone."])  # fmt: skip
def pooled_away(setup):
    net = setup.kind.build()
    if not setup.is_faulty:
        return case(setup, setup.train(net))
    parts = dict(net.named_children())
    name = kind_of(setup)
    if name == "tcn":
        parts |= {"pool": nn.Identity(), "head": nn.Linear(24 * 4, 10)}
    if name == "conv":
        parts = {n: m for n, m in parts.items() if n not in ("conv3", "act3", "pool")}
        parts["conv2"] = nn.Conv2d(12, 24, 3, padding=1)
    net = chain(first=nn.AvgPool1d(10) if name == "tcn" else nn.AvgPool2d(4), **parts)
    return case(setup, setup.train(net), places=("first", next(iter(parts))))
