# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types
"""The compiled loops: one small network at a time, all its steps, everything in cache.

In: flat arrays. Out: the same arrays, advanced. Serial and without the interpreter's lock, so that
threads can each take some of the nets. This module must not know `Net` or torch.

Samples lie along the last axis, so that every inner loop runs over contiguous samples and becomes vector
code. The floating-point flags allow reordered sums and fused products but no assumption that values are
finite: a net that diverges shows it.
"""

import math
from functools import partial
from typing import no_type_check

import numpy as np
from numba import njit

from unbend.numerics.compiled.jit import entry

F = np.float32
CODES = {
    "identity": 0,
    "relu": 1,
    "tanh": 2,
    "sigmoid": 3,
    "leaky_relu": 4,
    "silu": 5,
    "swish": 5,
    "gelu": 6,
    "sine": 7,
    "cosine": 8,
    "hardtanh": 9,
    "abs": 10,
    "square": 11,
    "cube": 12,
    "elu": 13,
    "softplus": 14,
    "gaussian": 15,
}
LOSSES = {"mse": 0, "bce": 1, "cross_entropy": 2}

_FLAGS = {"contract", "reassoc", "nsz", "arcp"}
# What is inlined is compiled once, as a part of `advance`; the leaves are called from several places.
_inlined = partial(njit, fastmath=_FLAGS, error_model="numpy", inline="always")
_leaf = partial(njit, fastmath=_FLAGS, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
_HALF, _ONE, _TWO, _ZERO = F(0.5), F(1), F(2), F(0)
_SLOPE = F(0.01)
_PI, _HALF_PI, _PER_TURN = F(math.pi), F(math.pi / 2), F(0.5 / math.pi)
# 2π in two parts, the first exact in few bits, so that the reduction of an angle loses nothing.
_TURN, _TURN_REST = F(6.28125), F(2 * math.pi - 6.28125)
_ROOT_HALF, _BELL = F(math.sqrt(0.5)), F(1 / math.sqrt(2 * math.pi))
# ln 2 in two parts, the first exact in few bits.
_LOG2E, _LN2, _LN2_REST = F(math.log2(math.e)), F(0.693359375), F(math.log(2) - 0.693359375)


@_inlined()
@no_type_check
def _tanh(x):
    """Tanh to some units in the last place of float32: the rational approximation of Eigen."""
    # Beyond this tanh is 1 in float32.
    x = min(max(x, F(-7.9053111076)), F(7.9053111076))
    t = x * x
    p = t * F(-2.76076847742355e-16) + F(2.00018790482477e-13)
    p = t * p + F(-8.60467152213735e-11)
    p = t * p + F(5.12229709037114e-08)
    p = t * p + F(1.48572235717979e-05)
    p = t * p + F(6.37261928875436e-04)
    p = t * p + F(4.89352455891786e-03)
    q = t * F(1.19825839466702e-06) + F(1.18534705686654e-04)
    q = t * q + F(2.26843463243900e-03)
    q = t * q + F(4.89352518554385e-03)
    return x * p / q


@_inlined()
@no_type_check
def _sine(x):
    """Sine to 1e-7: the angle folded into a quarter turn, then the Taylor polynomial of degree 11."""
    turns = np.floor(x * _PER_TURN + _HALF)
    r = x - turns * _TURN - turns * _TURN_REST
    # sin(π - r) = sin r folds the half turn once more, where the polynomial is good.
    a = min(abs(r), _PI - abs(r))
    t = a * a
    p = F(1 / 362880) - t * F(1 / 39916800)
    p = F(1 / 120) + t * (F(-1 / 5040) + t * p)
    p = a * (_ONE + t * (F(-1 / 6) + t * p))
    return p if r >= _ZERO else -p


@_inlined()
@no_type_check
def _exp(x):
    """e^x to 2e-7 of itself: 2^n from its bits, times the Taylor polynomial of degree 6 on ±ln 2 / 2."""
    # Outside, the bits of the power would run into the sign.
    x = min(max(x, F(-87)), F(88))
    # Halves of ln 2 to both sides of a power of two: there six terms are enough.
    n = np.floor(x * _LOG2E + _HALF)
    r = x - n * _LN2 - n * _LN2_REST
    p = F(1 / 120) + r * F(1 / 720)
    p = _ONE + r * (_ONE + r * (_HALF + r * (F(1 / 6) + r * (F(1 / 24) + r * p))))
    return p * np.int32((np.int32(n) + np.int32(127)) << 23).view(np.float32)


@_inlined()
@no_type_check
def _sigmoid(x):
    return _ONE / (_ONE + _exp(-x))


@_inlined()
@no_type_check
def _normal(x):
    """The share of a standard normal below x, to 1e-7: 7.1.26 of Abramowitz & Stegun (1964)."""
    a = abs(x) * _ROOT_HALF
    t = _ONE / (_ONE + F(0.3275911) * a)
    p = F(-1.453152027) + t * F(1.061405429)
    p = F(0.254829592) + t * (F(-0.284496736) + t * (F(1.421413741) + t * p))
    tail = _HALF * p * t * _exp(-a * a)
    return _ONE - tail if x > _ZERO else tail


@_inlined()
@no_type_check
def _softplus(x):
    """log(1 + e^x), with log(1 + u) = 2 artanh(u / (2 + u)) as a series; u ≤ 1 leaves an error of 1e-8."""
    # Of the negative absolute value, which cannot overflow.
    u = _exp(-abs(x))
    s = u / (_TWO + u)
    t = s * s
    p = F(1 / 9) + t * (F(1 / 11) + t * F(1 / 13))
    p = _ONE + t * (F(1 / 3) + t * (F(1 / 5) + t * (F(1 / 7) + t * p)))
    return max(x, _ZERO) + _TWO * s * p


@_leaf()
@no_type_check
def _activation(code, z, h, n):  # noqa: C901, PLR0912  compiled: a branch for each activation
    """Put f(z) in h, for one unit over a block of samples."""
    if code == 1:
        for k in range(n):
            h[k] = max(z[k], _ZERO)
    elif code == 2:
        for k in range(n):
            h[k] = _tanh(z[k])
    elif code == 3:
        for k in range(n):
            h[k] = _sigmoid(z[k])
    elif code == 4:
        for k in range(n):
            h[k] = max(z[k], _SLOPE * z[k])
    elif code == 5:
        for k in range(n):
            h[k] = z[k] * _sigmoid(z[k])
    elif code == 6:
        for k in range(n):
            h[k] = z[k] * _normal(z[k])
    elif code == 7:
        for k in range(n):
            h[k] = _sine(z[k])
    elif code == 8:
        for k in range(n):
            h[k] = _sine(z[k] + _HALF_PI)
    elif code == 9:
        for k in range(n):
            h[k] = min(max(z[k], -_ONE), _ONE)
    elif code == 10:
        for k in range(n):
            h[k] = abs(z[k])
    elif code == 11:
        for k in range(n):
            h[k] = z[k] * z[k]
    elif code == 12:
        for k in range(n):
            h[k] = z[k] * z[k] * z[k]
    elif code == 13:
        for k in range(n):
            h[k] = max(z[k], _ZERO) + _exp(min(z[k], _ZERO)) - _ONE
    elif code == 14:
        for k in range(n):
            h[k] = _softplus(z[k])
    elif code == 15:
        for k in range(n):
            h[k] = _exp(-z[k] * z[k])
    else:
        for k in range(n):
            h[k] = z[k]


@_leaf()
@no_type_check
def _derivative(code, z, h, d, n):  # noqa: C901, PLR0912  compiled: a branch for each activation
    """Multiply d by f'(z), for one unit; the derivative at a kink is torch's."""
    if code == 1:
        for k in range(n):
            d[k] = d[k] if z[k] > _ZERO else _ZERO
    elif code == 2:
        for k in range(n):
            d[k] *= _ONE - h[k] * h[k]
    elif code == 3:
        for k in range(n):
            d[k] *= h[k] * (_ONE - h[k])
    elif code == 4:
        for k in range(n):
            d[k] = d[k] if z[k] > _ZERO else _SLOPE * d[k]
    elif code == 5:
        for k in range(n):
            s = _sigmoid(z[k])
            d[k] *= s + h[k] * (_ONE - s)
    elif code == 6:
        for k in range(n):
            d[k] *= _normal(z[k]) + z[k] * _BELL * _exp(-_HALF * z[k] * z[k])
    elif code == 7:
        for k in range(n):
            d[k] *= _sine(z[k] + _HALF_PI)
    elif code == 8:
        for k in range(n):
            d[k] *= -_sine(z[k])
    elif code == 9:
        for k in range(n):
            d[k] = d[k] if abs(z[k]) < _ONE else _ZERO
    elif code == 10:
        for k in range(n):
            d[k] = d[k] if z[k] > _ZERO else (-d[k] if z[k] < _ZERO else _ZERO)
    elif code == 11:
        for k in range(n):
            d[k] *= _TWO * z[k]
    elif code == 12:
        for k in range(n):
            d[k] *= F(3) * z[k] * z[k]
    elif code == 13:
        for k in range(n):
            d[k] *= _ONE if z[k] > _ZERO else h[k] + _ONE
    elif code == 14:
        for k in range(n):
            d[k] *= _sigmoid(z[k])
    elif code == 15:
        for k in range(n):
            d[k] *= -_TWO * z[k] * h[k]


@_leaf()
@no_type_check
def _affine(h, p, w, shape, z, n):
    """Put in z[j] = bias[j] + Σ_i weight[j, i] h[i]; `w` is where the layer begins in `p`."""
    # Four inputs at a time: the sums of a unit are read and written a quarter as often.
    a, b = shape
    for j in range(b):
        c, row, bias = z[j], w + j * a, p[w + a * b + j]
        for k in range(n):
            c[k] = bias
        i = 0
        while i + 4 <= a:
            q0, q1, q2, q3 = p[row + i], p[row + i + 1], p[row + i + 2], p[row + i + 3]
            h0, h1, h2, h3 = h[i], h[i + 1], h[i + 2], h[i + 3]
            for k in range(n):
                c[k] += q0 * h0[k] + q1 * h1[k] + q2 * h2[k] + q3 * h3[k]
            i += 4
        while i < a:
            q0, h0 = p[row + i], h[i]
            for k in range(n):
                c[k] += q0 * h0[k]
            i += 1


@_leaf()
@no_type_check
def _gradient(h, d, g, w, shape, n):
    """Add to g the gradient of a layer's weights, from its inputs `h` and the deltas `d` of its outputs."""
    # Four sums at a time, so that one read of the deltas serves four weights.
    a, b = shape
    for j in range(b):
        dj, row = d[j], w + j * a
        s = _ZERO
        for k in range(n):
            s += dj[k]
        g[w + a * b + j] += s
        i = 0
        while i + 4 <= a:
            h0, h1, h2, h3 = h[i], h[i + 1], h[i + 2], h[i + 3]
            s0, s1, s2, s3 = _ZERO, _ZERO, _ZERO, _ZERO
            for k in range(n):
                s0 += dj[k] * h0[k]
                s1 += dj[k] * h1[k]
                s2 += dj[k] * h2[k]
                s3 += dj[k] * h3[k]
            g[row + i] += s0
            g[row + i + 1] += s1
            g[row + i + 2] += s2
            g[row + i + 3] += s3
            i += 4
        while i < a:
            h0, s0 = h[i], _ZERO
            for k in range(n):
                s0 += dj[k] * h0[k]
            g[row + i] += s0
            i += 1


@_leaf()
@no_type_check
def _back(d, p, w, shape, out, n):
    """Put in out[i] = Σ_j weight[j, i] d[j]."""
    # By columns of the weights, so that the sums over samples stay contiguous.
    a, b = shape
    for i in range(a):
        c = out[i]
        for k in range(n):
            c[k] = _ZERO
        j = 0
        while j + 4 <= b:
            at = w + j * a + i
            q0, q1, q2, q3 = p[at], p[at + a], p[at + 2 * a], p[at + 3 * a]
            d0, d1, d2, d3 = d[j], d[j + 1], d[j + 2], d[j + 3]
            for k in range(n):
                c[k] += q0 * d0[k] + q1 * d1[k] + q2 * d2[k] + q3 * d3[k]
            j += 4
        while j < b:
            q0, d0 = p[w + j * a + i], d[j]
            for k in range(n):
                c[k] += q0 * d0[k]
            j += 1


@_inlined()
@no_type_check
def _delta(loss, z, y, d, scale, block):
    """Put in d the derivative of the loss by the outputs, `scale` being that of the mean."""
    start, n = block
    n_outputs = len(y)
    if loss == 2:
        for k in range(n):
            # The greatest output is taken off first: its exponential is 1, and none overflows.
            top, total = z[0, k], _ZERO
            for o in range(1, n_outputs):
                top = max(top, z[o, k])
            for o in range(n_outputs):
                d[o, k] = _exp(z[o, k] - top)
                total += d[o, k]
            for o in range(n_outputs):
                d[o, k] = (d[o, k] / total - y[o, start + k]) * scale
        return
    for o in range(n_outputs):
        zo, yo, do = z[o], y[o], d[o]
        if loss == 1:
            for k in range(n):
                do[k] = (_sigmoid(zo[k]) - yo[start + k]) * scale
        else:
            for k in range(n):
                do[k] = _TWO * (zo[k] - yo[start + k]) * scale


@njit(error_model="numpy", inline="always")
@no_type_check
def _loss(loss, z, y, block):
    """The sum of the loss over a block, in float64."""
    start, n = block
    n_outputs = len(y)
    total = 0.0
    for k in range(n):
        top = max(0.0, float(z[0, k])) if loss == 1 else float(z[0, k])
        mass = 0.0
        for o in range(1, n_outputs):
            top = max(top, float(z[o, k]))
        for o in range(n_outputs):
            value, target = float(z[o, k]), float(y[o, start + k])
            if loss == 0:
                total += (value - target) ** 2
            elif loss == 1:
                # The form that neither overflows nor loses what is small.
                total += max(value, 0.0) - value * target + math.log1p(math.exp(-abs(value)))
            else:
                mass += math.exp(value - top)
                total -= target * value
        if loss == 2:
            total += top + math.log(mass)
    return total


@_inlined()
@no_type_check
def _adam(p, g, m, v, step, rate):
    # The corrections of both means in float64, where the powers of late steps are still exact.
    shrink = F(rate / (1 - 0.9**step))
    spread = F(1 / math.sqrt(1 - 0.999**step))
    for i in range(len(p)):
        m[i] += F(0.1) * (g[i] - m[i])
        v[i] = F(0.999) * v[i] + F(0.001) * g[i] * g[i]
        p[i] -= shrink * m[i] / (spread * np.sqrt(v[i]) + F(1e-8))


@_inlined()
@no_type_check
def _sgd(p, g, m, rate, momentum):
    for i in range(len(p)):
        m[i] = momentum * m[i] + g[i]
        p[i] -= rate * m[i]


@_inlined()
@no_type_check
def _forward(p, widths, code, zs, hs, size):
    """Pre-activations `zs` and activations `hs` of every layer; gives where the last layer's weights end."""
    w, last = 0, len(widths) - 2
    for layer in range(last + 1):
        shape = widths[layer], widths[layer + 1]
        _affine(hs[layer], p, w, shape, zs[layer + 1], size)
        w += (shape[0] + 1) * shape[1]
        if layer < last:
            for j in range(shape[1]):
                _activation(code, zs[layer + 1, j], hs[layer + 1, j], size)
    return w


@_inlined()
@no_type_check
def _backward(p, g, widths, code, zs, hs, ds, size):
    """Add to the gradient `g`, from the deltas of the outputs in `ds[0]`."""
    w, d, spare = len(p), ds[0], ds[1]
    for layer in range(len(widths) - 2, -1, -1):
        shape = widths[layer], widths[layer + 1]
        # Weights lie layer after layer, each with its biases behind it.
        w -= (shape[0] + 1) * shape[1]
        _gradient(hs[layer], d, g, w, shape, size)
        if layer > 0:
            _back(d, p, w, shape, spare, size)
            # Deltas of two layers are alive at a time, so two arrays take turns.
            d, spare = spare, d
            for i in range(shape[0]):
                _derivative(code, zs[layer, i], hs[layer, i], d[i], size)


@_inlined()
@no_type_check
def _pass(p, g, net, x, y, how):
    """One look at all samples: adds up the gradient in `g`, or with `how[1]` only gives the loss."""
    widths, code, zs, hs, ds = net
    loss, is_loss_wanted, block = how
    n, n_outputs = x.shape[1], 1 if loss == 2 else y.shape[0]
    scale = 1.0 / (n * n_outputs)
    total = 0.0
    # Block by block through all layers: what a layer puts out is still in the cache when the next reads it.
    for start in range(0, n, block):
        size = min(block, n - start)
        for i in range(widths[0]):
            hs[0, i, :size] = x[i, start : start + size]
        _forward(p, widths, code, zs, hs, size)
        # Either, not both: training needs no loss, and asking for it needs no gradient.
        if is_loss_wanted:
            total += _loss(loss, zs[-1], y, (start, size))
        else:
            _delta(loss, zs[-1], y, ds[0], F(scale), (start, size))
            _backward(p, g, widths, code, zs, hs, ds, size)
    return total * scale


@entry(set())
@no_type_check
def advance(shapes, rates, weights, moments, data, how, span, losses):
    """Advance nets `lo` to `hi` by `n_steps`, or with `n_steps == 0` write their losses.

    Args:
        shapes: `(widths [e, l], n_layers [e], codes [e], offsets [e + 1])`.
        rates: float32 `[e]`.
        weights: float32 `[p]`, changed in place.
        moments: float32 `[2, p]`, changed in place.
        data: `(x [d, n], y [k, n])`, float32.
        how: `(loss, is_adam, momentum, weight_decay, block)`; samples are taken in blocks that fit a cache.
        span: `(lo, hi, n_done, n_steps)`.
        losses: float64 `[e]`, written when `n_steps == 0`.
    """
    loss, is_adam, momentum, weight_decay, block = how
    lo, hi, n_done, n_steps = span
    for e in range(lo, hi):
        widths = shapes[0][e, : shapes[1][e] + 1]
        at = slice(shapes[3][e], shapes[3][e + 1])
        p, m, v = weights[at], moments[0, at], moments[1, at]
        g = np.empty_like(p)
        zs = np.empty((len(widths), widths.max(), block), np.float32)
        ds = np.empty((2, widths.max(), block), np.float32)
        net = widths, shapes[2][e], zs, np.empty_like(zs), ds
        for step in range(n_done + 1, n_done + max(n_steps, 1) + 1):
            g[:] = _ZERO
            losses[e] = _pass(p, g, net, data[0], data[1], (loss, n_steps == 0, block))
            if n_steps == 0:
                break
            if weight_decay != 0:
                g += F(weight_decay) * p
            if is_adam:
                _adam(p, g, m, v, step, rates[e])
            else:
                _sgd(p, g, m, rates[e], F(momentum))
