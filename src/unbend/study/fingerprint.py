"""A fingerprint of a network: two that differ in any weight have two.

In: a module. Out: a short text. Must not know what it is for.
"""

from hashlib import blake2b

import torch
from torch import Tensor, nn


def fingerprint(model: nn.Module) -> str:
    """A hash of the names, shapes, dtypes and bytes of all parameters and buffers.

    Cost:
        One read of the weights, about a second per GB.
    """
    found = blake2b(digest_size=16)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        found.update(_content(tensor.detach()))
    return found.hexdigest()


def _content(tensor: Tensor) -> memoryview:
    plain = tensor.as_subclass(Tensor)
    dense = plain if plain.layout == torch.strided else plain.to_dense()
    return dense.cpu().resolve_conj().resolve_neg().reshape(-1).contiguous().view(torch.uint8).numpy().data
