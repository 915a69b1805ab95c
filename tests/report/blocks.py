"""Reads the data of a page as the browser does, to compare them."""

import json
import re
from base64 import b64decode

import numpy as np

from unbend.report.block import Packed


def of_page(html: str) -> Packed:
    head = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1]
    blocks = re.findall(r'<script type="text/plain" id="block-\d+">(.*?)</script>', html, re.DOTALL)
    return Packed(head, tuple(blocks))


def unpacked(packed: Packed):
    """The data of every figure, arrays in place of references."""
    blocks = [b64decode(block) for block in packed.blocks]
    return [_read(figure["data"], blocks) for figure in json.loads(packed.head)["figures"]]


def _read(value, blocks):
    if isinstance(value, list):
        return [_read(part, blocks) for part in value]
    if not isinstance(value, dict):
        return value
    if "$" not in value:
        return {name: _read(part, blocks) for name, part in value.items()}
    block, kind, at, n = value["$"]
    array = np.frombuffer(blocks[block], f"<{kind}", n, at)
    if kind != "u2":
        return array
    flat = np.where(array == 0xFFFF, np.nan, array.astype(float)).reshape(-1, 2)
    return (value["low"] + flat * value["step"]).ravel()
