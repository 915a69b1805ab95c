"""The output layer of a classifier is a logistic regression on the last hidden layer, once training has converged.

With softmax (or one sigmoid) and cross entropy, the loss is convex in the output weights alone. With weight decay it
has one minimum, so a logistic regression refitted on the last hidden layer says how far the net's own head is from
it. Early in training it is far: the head, not the layer, is what is missing. Without weight decay a separable layer
has no minimum at all, and the weights grow for as long as one trains.
"""

import numpy as np
import torch
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure
from scipy.optimize import minimize
from scipy.special import log_softmax
from torch import nn

import unbend
from unbend import zoo
from unbend.lab.claim import Budget, Check, Claim, Verdict, percent
from unbend.lab.draw import BLUE, GREY, VERMILION, legend
from unbend.numerics.result import result
from unbend.numerics.separable import JointSeparation

PENALTY = 1e-3
HIDDEN = "1"
"""Path of the last hidden layer."""


@result
class LogisticHead:
    """The head of a 64-32-10 net on handwritten digits against a refitted one, along the training.

    Weights stand with the bias as the last column. Loss is cross entropy per sample plus the weight decay of the head,
    in nats.

    Attributes:
        n_train: training samples.
        step: after how many steps.
        loss: of the net's own head, on the training samples.
        best_loss: of a logistic regression on the last hidden layer with the same weight decay.
        cosine: between the two heads' weights.
        train: training accuracy of the net.
        train_refitted: that of the refitted head.
        held_out: held-out accuracy of the net.
        held_out_refitted: that of the refitted head.
        weight: of the head at the end.
        weight_refitted: of the refitted head at the end.
        is_separable: whether a proof was accepted that the last hidden layer separates the classes at the end.
        free_loss: cross entropy, without weight decay, of the separating read-out scaled by 1, 10, 100, ...
    """

    n_train: int
    step: Int64[np.ndarray, " s"]
    loss: Float64[np.ndarray, " s"]
    best_loss: Float64[np.ndarray, " s"]
    cosine: Float64[np.ndarray, " s"]
    train: Float64[np.ndarray, " s"]
    train_refitted: Float64[np.ndarray, " s"]
    held_out: Float64[np.ndarray, " s"]
    held_out_refitted: Float64[np.ndarray, " s"]
    weight: Float64[np.ndarray, "k d1"]
    weight_refitted: Float64[np.ndarray, "k d1"]
    is_separable: bool
    free_loss: Float64[np.ndarray, " f"]


def run(seed: int = 0, budget: Budget = "full") -> LogisticHead:
    """Train a net, and refit its head at several moments."""
    data = zoo.data("digits", seed=seed).flat()
    n_steps = 600 if budget == "quick" else 3000
    steps = [step for step in (0, 3, 10, 30, 100, 300, 600, 1000, 3000) if step <= n_steps]
    net = zoo.mlp([64, 32, 10], activation="tanh", seed=seed)
    history = train_net(net, data, n_steps, steps, seed)
    heads, rows = [], []
    for i in range(len(steps)):
        zoo.restore(net, history, i)
        h, h_test = hidden_layer(net, data.x_train), hidden_layer(net, data.x_test)
        own = np.concatenate([p.detach().double().numpy().reshape(10, -1) for p in net[-1].parameters()], axis=1)
        best = refit(h, data.y_train.numpy())
        heads.append((own, best))
        rows.append(
            [objective(own, h, data.y_train.numpy())[0], objective(best, h, data.y_train.numpy())[0], cosine(own, best)]
            + [right(w, a, b) for a, b in ((h, data.y_train), (h_test, data.y_test)) for w in (own, best)]
        )
    loss, best_loss, alike, train, train_refitted, held_out, held_out_refitted = np.array(rows).T
    is_separable, free_loss = without_penalty(h, data.y_train.numpy())
    return LogisticHead(
        n_train=len(data.x_train),
        step=np.array(steps),
        loss=loss,
        best_loss=best_loss,
        cosine=alike,
        train=train,
        train_refitted=train_refitted,
        held_out=held_out,
        held_out_refitted=held_out_refitted,
        weight=heads[-1][0],
        weight_refitted=heads[-1][1],
        is_separable=is_separable,
        free_loss=free_loss,
    )


def train_net(net: nn.Sequential, data: zoo.DataSet, n_steps: int, steps: list[int], seed: int) -> zoo.History:
    """Adam on all samples, the rate lowered three times, with weight decay."""
    recipe = zoo.Recipe(epochs=n_steps, rate=0.01, weight_decay=PENALTY, decay_at=(0.5, 0.75, 0.9))
    return zoo.train(net, *data.train, recipe, seed=seed, snapshot_at=steps)


def hidden_layer(net: nn.Sequential, x: torch.Tensor) -> Float64[np.ndarray, "n d1"]:
    """The last hidden layer, and a column of ones for the bias."""
    h = unbend.representations(net, x, layers=[HIDDEN])[HIDDEN].double().numpy()
    return np.hstack([h, np.ones((len(h), 1))])


def objective(
    weight: Float64[np.ndarray, "k d1"], h: Float64[np.ndarray, "n d1"], y: Int64[np.ndarray, " n"]
) -> tuple[float, Float64[np.ndarray, "k d1"]]:
    """Cross entropy per sample plus the decay of these weights, as the net was trained with it; and its gradient."""
    log_p = log_softmax(h @ weight.T, axis=1)
    loss = -log_p[np.arange(len(y)), y].mean() + PENALTY / 2 * (weight**2).sum()
    return float(loss), (np.exp(log_p) - np.eye(len(weight))[y]).T @ h / len(y) + PENALTY * weight


def refit(h: Float64[np.ndarray, "n d1"], y: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, "k d1"]:
    """The logistic regression: the one minimum of the objective."""
    shape = (10, h.shape[1])

    def flat(w: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = objective(w.reshape(shape), h, y)
        return loss, gradient.ravel()

    options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9}
    return minimize(flat, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options=options).x.reshape(shape)


def cosine(a: Float64[np.ndarray, "k d1"], b: Float64[np.ndarray, "k d1"]) -> float:
    """Between two heads; 1 if they are the same up to a factor."""
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def right(weight: Float64[np.ndarray, "k d1"], h: Float64[np.ndarray, "n d1"], y: torch.Tensor) -> float:
    """The accuracy of a head."""
    return float(np.mean((h @ weight.T).argmax(1) == y.numpy()))


def without_penalty(h: Float64[np.ndarray, "n d1"], y: Int64[np.ndarray, " n"]) -> tuple[bool, np.ndarray]:
    """Whether the layer is proved separable, and the plain cross entropy of the separating read-out as it is scaled."""
    verdict = unbend.separate(h[:, :-1], y)
    if not isinstance(verdict, JointSeparation) or not verdict.verify(h[:, :-1], y):
        return False, np.zeros(0)
    scores = h[:, :-1] @ verdict.weight.T + verdict.bias
    own = scores[np.arange(len(y)), y]
    others = np.where(np.eye(10, dtype=bool)[y], -np.inf, scores).max(axis=1)
    scores /= (own - others).min()  # the closest call is won by 1
    losses = [-log_softmax(10.0**k * scores, axis=1)[np.arange(len(y)), y].mean() for k in range(4)]
    return True, np.array(losses)


def holds(result: LogisticHead) -> Verdict:
    """At the end both heads are one; at the start they are not; without weight decay there is no best one."""
    gap = result.loss - result.best_loss
    late = 0.03 if result.step[-1] < 1000 else 0.003
    early = int(np.flatnonzero(result.step == 10)[0])
    checks = (
        Check("least gap of the losses (nats)", float(gap.min()), 0.0, reason="the refitted head is the minimum"),
        Check("gap at the end (share of the loss)", float(gap[-1] / result.loss[-1]), 0.0, late, "converged"),
        Check("cosine of the two heads at the end", float(result.cosine[-1]), 0.98, 1.0 + 1e-9, "the minimum is one"),
        Check(
            "difference of the held-out accuracies at the end",
            float(abs(result.held_out_refitted[-1] - result.held_out[-1])),
            0.0,
            0.012,
            "up to 4 of 359 digits",
        ),
        Check("gap after 10 steps (nats)", float(gap[early]), 0.2, reason="the head is under-trained"),
        Check(
            "held-out accuracy gained by refitting after 10 steps",
            float(result.held_out_refitted[early] - result.held_out[early]),
            0.03,
            reason="the layer holds more than the head reads",
        ),
        Check(
            "the layer is separable at the end (1 = proved)", float(result.is_separable), 1.0, 1.0, "exact arithmetic"
        ),
        Check(
            "cross entropy without decay, separating weights times 1,000",
            float(result.free_loss[-1]) if result.is_separable else np.inf,
            0.0,
            1e-12,
            "it falls to 0 and has no minimum",
        ),
    )
    return Verdict(
        "holds with a condition",
        "Once training with weight decay has converged, the head is the logistic regression on its layer; before that "
        "it is under-trained, and without decay a separable layer has none.",
        checks,
    )


def finding(result: LogisticHead) -> str:
    """The gap early and late."""
    gap, early = result.loss - result.best_loss, int(np.flatnonzero(result.step == 10)[0])
    return (
        f"After {result.step[early]} steps refitting the head gains {gap[early]:.2f} nats and lifts held-out accuracy "
        f"from {percent(result.held_out[early])} to {percent(result.held_out_refitted[early])}; after "
        f"{result.step[-1]:,} it "
        f"gains {gap[-1]:.1g} nats, and the two heads point the same way (cosine {result.cosine[-1]:.4f})."
    )


def draw(result: LogisticHead, figure: Figure) -> None:
    """Loss and held-out accuracy of both heads over training, and their weights at the end."""
    figure.set_size_inches(7.2, 2.9)
    loss, accuracy, weights = figure.subplots(1, 3)
    at = np.maximum(result.step, 1)  # "before training" stands at 1
    loss.loglog(at, result.loss, "o-", color=BLUE, markersize=3.5)
    loss.loglog(at, result.best_loss, "s--", color=VERMILION, markersize=3.5)
    loss.set(xlabel="training steps (0 at 1)", ylabel="loss (nats)")
    loss.set_title("training loss", loc="left")
    accuracy.semilogx(at, 100 * result.held_out, "o-", color=BLUE, markersize=3.5, label="the net's own head")
    accuracy.semilogx(at, 100 * result.held_out_refitted, "s--", color=VERMILION, markersize=3.5, label="refitted")
    legend(accuracy, loc="lower right")
    accuracy.set(xlabel="training steps (0 at 1)", ylabel="held-out accuracy (%)", ylim=(0, 102))
    accuracy.set_title("held-out accuracy", loc="left")
    weights.plot(result.weight_refitted.ravel(), result.weight.ravel(), ".", color=BLUE, markersize=3.5, alpha=0.7)
    reach = float(np.abs(result.weight_refitted).max())
    weights.plot([-reach, reach], [-reach, reach], color=GREY, linewidth=0.7)
    weights.set(xlabel="refitted weights", ylabel="the net's weights", aspect="equal")
    weights.set_title(f"after {result.step[-1]:,} steps", loc="left")


CLAIM = Claim(
    name="logistic_head",
    section="Seeing separability arise",
    told="The output layer is a logistic regression on the last hidden layer.",
    told_by="articles and lecture notes",
    run=run,
    holds=holds,
    finding=finding,
    draw=draw,
    source="Soudry et al. 2018, for the case without weight decay",
)
