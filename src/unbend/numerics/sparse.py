"""A matrix in compressed sparse rows, as plain arrays.

In: scipy's matrix. Out: `Sparse`, a value that is multiplied dense where that is faster. Must not know networks.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from unbend._one_line import in_one_line
from unbend._typing import Array, Float64, Int64

_DENSE = 0.2
"""Above this share of non-zeros a dense product is faster than a sparse one: BLAS does about five times the work per
second."""


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """A matrix in compressed sparse rows.

    Attributes:
        data: the numbers that are not zero, row by row.
        indices: the column of each.
        indptr: where each row begins in these, and their length.
        n_columns: how many columns.
    """

    data: Float64[Array, "z"]
    indices: Int64[Array, "z"]
    indptr: Int64[Array, "rows_plus_1"]
    n_columns: int

    __repr__ = in_one_line

    @classmethod
    def of(cls, matrix: csr_array) -> "Sparse":
        """The same matrix, from scipy, with its rows sorted and its zeros dropped."""
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        return cls(
            matrix.data.astype(np.float64),
            matrix.indices.astype(np.int64),
            matrix.indptr.astype(np.int64),
            int(matrix.shape[1]),
        )

    @property
    def n_rows(self) -> int:
        """How many rows."""
        return len(self.indptr) - 1

    def csr(self) -> csr_array:
        """The same matrix for scipy."""
        return csr_array((self.data, self.indices, self.indptr), shape=(self.n_rows, self.n_columns))

    def used_columns(self) -> Int64[Array, "used"]:
        """The columns that hold a non-zero, ascending."""
        return np.flatnonzero(np.bincount(self.indices, minlength=1))

    def __abs__(self) -> "Sparse":
        return replace(self, data=np.abs(self.data))

    def __matmul__(self, columns: Float64[Array, "cols n"]) -> Float64[Array, "rows n"]:
        used = self.used_columns()
        if len(self.data) < _DENSE * self.n_rows * max(1, len(used)):
            return self.csr() @ columns[: self.n_columns]
        return self.block(used) @ columns[used]

    def block(self, columns: Int64[Array, "used"]) -> Float64[Array, "rows used"]:
        """The given columns, dense; they must be ascending and cover every non-zero."""
        if len(self.data) == self.n_rows * len(columns):
            return self.data.reshape(self.n_rows, len(columns))
        dense = np.zeros((self.n_rows, len(columns)))
        rows = np.repeat(np.arange(self.n_rows), np.diff(self.indptr))
        dense[rows, np.searchsorted(columns, self.indices)] = self.data
        return dense
