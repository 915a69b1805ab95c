"""Damaged copies of a file, each made again by its seed."""

import numpy as np


def mutant(content: bytes, seed: int) -> bytes:
    """A copy with one damage: a flipped bit, wild bytes, a cut, a part twice or gone, large numbers in the header."""
    rng = np.random.default_rng(seed)
    n = len(content)
    at = int(rng.integers(n))
    head = int(rng.integers(min(n, 128)))
    length = int(rng.integers(1, 1 + min(64, n)))
    whole = bytearray(content)
    match int(rng.integers(7)):
        case 0:
            whole[at] ^= 1 << int(rng.integers(8))
        case 1:
            whole[head] ^= 1 << int(rng.integers(8))
        case 2:
            return content[:at]
        case 3:
            return content[:at] + content[at : at + length] + content[at:]
        case 4:
            return content[:at] + content[at + length :]
        case 5:
            whole[at : at + length] = rng.bytes(len(whole[at : at + length]))
        case _:
            whole[head : head + 4] = b"\xff" * len(whole[head : head + 4])
    return bytes(whole)
