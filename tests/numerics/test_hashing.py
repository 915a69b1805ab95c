"""Few ids are hashed without compiled code, to the same numbers."""

import numpy as np
import pytest

from unbend.numerics import compiled
from unbend.numerics.hashing import hashes, shift


@pytest.mark.parametrize("salt", [0, 7])
def test_few_ids_have_the_hashes_that_compiled_code_gives(salt):
    ids = np.r_[np.arange(100), 2**62, -1]
    np.testing.assert_array_equal(hashes(ids, salt), compiled.mix(ids, shift(salt)))
