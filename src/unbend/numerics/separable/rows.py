"""What a user hands over, as plain arrays: values exactly as stored, labels as integers.

In: numpy arrays or torch tensors. Out: C-contiguous float32 or float64 values that are *equal* to
the input (a proof is about the stored numbers, so nothing may be rounded here), and int64 labels.
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int64, Shaped

from unbend._typing import Tensor
from unbend.errors import DataError, ShapeError

ArrayLike: TypeAlias = Shaped[np.ndarray, "..."] | Shaped[Tensor, "..."]
EXACT_INTEGER = 2**53


def values(x: ArrayLike) -> Float[np.ndarray, "n d"]:
    """The samples [n, d] as float32 or float64, without changing one of them."""
    if isinstance(x, Tensor):
        x = x.detach().cpu()
        x = (x.float() if str(x.dtype) == "torch.bfloat16" else x).numpy()
    x = np.asarray(x)
    if x.ndim != 2:
        raise ShapeError(f"x: expected one row per sample, [n, d], got shape {x.shape}. Flatten each sample first.")
    if x.dtype == np.float16:
        x = x.astype(np.float32)
    elif x.dtype.kind in "biu":
        if x.size and max(abs(int(x.max())), abs(int(x.min()))) > EXACT_INTEGER:
            raise DataError("x: expected integers up to 2**53, got larger ones. Scale them down first.")
        x = x.astype(np.float64)
    elif x.dtype not in (np.float32, np.float64):
        raise DataError(f"x: expected float16, float32, float64 or integers, got {x.dtype}. Convert it first.")
    x = np.ascontiguousarray(x, x.dtype.newbyteorder("="))
    if not _is_finite(x):
        raise DataError("x: expected finite numbers, got nan or infinity. Look for a diverged layer.")
    return x


def labels(y: ArrayLike, n: int) -> Int64[np.ndarray, "n"]:
    """The labels [n] as int64."""
    y = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
    if y.shape != (n,):
        raise ShapeError(f"y: expected one label for each of the {n} rows of x, got shape {y.shape}.")
    if y.dtype.kind not in "biu":
        raise DataError(f"y: expected integer labels, got {y.dtype}. Map the classes to 0..k-1.")
    return y.astype(np.int64, copy=False)


def rows(x: ArrayLike, y: ArrayLike) -> tuple[Float[np.ndarray, "n d"], Int64[np.ndarray, "n"]]:
    """Values and labels that fit each other."""
    x = values(x)
    y = labels(y, len(x))
    if len(x) == 0:
        raise DataError("x: expected at least one row, got none.")
    return x, y


def _is_finite(x: Float[np.ndarray, "n d"]) -> bool:
    """One product at memory speed; the slow test only where squares overflow."""
    flat = x.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat))) or bool(np.isfinite(flat).all())
