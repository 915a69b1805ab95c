"""A study in one safetensors file: written whole or not at all, read without trusting it.

The header's metadata holds the format, the schema number, the version of unbend, the JSON tree and a digest
of the tree and of every tensor, so that a flipped bit is an error and never another number.
"""

import json
import os
from hashlib import blake2b
from pathlib import Path

import safetensors

import unbend
from unbend.errors import RecordError
from unbend.files import whole
from unbend.record.arrays import Stock, read_arrays, read_metadata, write_arrays
from unbend.record.schema import FORMAT, SCHEMA, fits, is_own, reachable, result_of
from unbend.record.tree import Stored, Tree, TreeReader, digest, encode
from unbend.study.across import ACROSS
from unbend.study.unknown import Unknown
from unbend.study.values import Study, Sums

LONGEST = 90_000_000
"""Bytes of the tree; safetensors refuses headers over 100 MB."""


def save(study: Study, path: str | os.PathLike[str]) -> None:
    """Write a study to one file, which `unbend.open` reads back without the model.

    The file is written under a temporary name beside it and moved there when it is whole, so an interrupt or
    a full disk leaves what was there before.

    Args:
        study: what to save.
        path: the file, usually named `something.unbend`.

    Raises:
        RecordError: the file cannot be written, or a Result holds something that cannot be saved.

    Cost:
        One hash and one write of every array; equal arrays are written once.
    """
    stored = Stored()
    tree = json.dumps(encode(study, stored), allow_nan=False, separators=(",", ":"))
    if len(tree) > LONGEST:
        raise RecordError(f"{path}: expected at most {LONGEST:,} bytes of plain values, got {len(tree):,}.")
    metadata = {
        "format": FORMAT,
        "schema": str(SCHEMA),
        "unbend": unbend.__version__,
        "digest": _digest(tree, stored.digests),
        "study": tree,
    }
    with whole(path, "the study") as temporary:
        write_arrays(stored.tensors, temporary, metadata)


def open(path: str | os.PathLike[str]) -> Study:  # noqa: A001  the public name is `unbend.open`
    """The study saved in a file.

    No class is imported and no code is run because the file says so. A Result of a measure that is not
    registered in this process comes back as `Unknown`, and is saved back as it was.

    Args:
        path: a file written by `unbend.save`.

    Raises:
        RecordError: no such file, not a study, damaged, or written by a newer unbend.
    """
    tensors, metadata = _content(path)
    _check_version(path, metadata)
    tree = metadata.get("study", "")
    if metadata.get("digest") != _digest(tree, {key: digest(t) for key, t in tensors.items()}):
        raise RecordError(f"{path}: the file is damaged: its content does not fit its digest. Copy it again.")
    try:
        study = TreeReader(tensors).read(_parse(tree))
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error
    except RecursionError:
        raise RecordError(f"{path}: nested too deep for a study.") from None
    wrong = _what_is_misplaced(study)
    if wrong:
        raise RecordError(f"{path}: {wrong}: not a study as unbend writes it.")
    return study


def _content(path: str | os.PathLike[str]) -> tuple[Stock, dict[str, str]]:
    """Every array, copied out of the file, and the metadata."""
    file = Path(path)
    try:
        if not file.exists():
            raise RecordError(f"{path}: no such file.")
        if not file.is_file():
            raise RecordError(f"{path}: expected a file, got a folder or a device.")
        if file.stat().st_size == 0:
            raise RecordError(f"{path}: the file is empty.")
        metadata = read_metadata(file)
        if metadata.get("format") != FORMAT:
            raise RecordError(f"{path}: not a saved study. unbend.save writes them.")
        return read_arrays(file), metadata
    except OSError as error:
        raise RecordError(f"{path}: the file could not be read: {error.strerror or error}.") from error
    except safetensors.SafetensorError as error:
        raise RecordError(f"{path}: not a saved study, or cut short ({error}).") from error


def _check_version(path: str | os.PathLike[str], metadata: dict[str, str]) -> None:
    said = metadata.get("schema", "")
    schema = int(said) if said.isdecimal() and len(said) < 10 else 0
    if schema > SCHEMA:
        raise RecordError(
            f"{path}: written by unbend {metadata.get('unbend', '?')}, schema {schema}; this is unbend "
            f"{unbend.__version__}, schema {SCHEMA}: upgrade unbend."
        )
    if schema < 1:
        raise RecordError(f"{path}: expected a schema number, got {said[:40]!r}: the file is damaged.")


def _digest(tree: str, digests: dict[str, str]) -> str:
    """One hash over the tree and, by rising key, every key with the hash of its tensor."""
    whole = blake2b(tree.encode("utf-8", "surrogatepass"), digest_size=16)
    for key in sorted(digests):
        whole.update(f"\n{key} {digests[key]}".encode())
    return whole.hexdigest()


def _parse(text: str) -> Tree:
    try:
        return json.loads(text)
    except ValueError as error:
        raise RecordError(f"the tree is not JSON ({error}): a damaged study.") from error


def _what_is_misplaced(study: object) -> str | None:
    """What stands where something else is expected; None for a study."""
    if not isinstance(study, Study):
        return f"expected a Study, got {type(study).__name__}"
    for layer in study.layers:
        for name, result in (*layer.results.items(), *layer.twin.items()):
            if not _is_result_of(name, result):
                return f"layer {layer.name!r}: {name} holds {type(result).__name__}"
    for name, result in study.across.items():
        if name in ACROSS and not (result is None or isinstance(result, ACROSS[name].kind)):
            return f"across: {name} holds {type(result).__name__}"
    return _misplaced_state(study.sums)


def _is_result_of(measure: str, result: object) -> bool:
    """Whether a measure may have given this; an unknown class only where the measure is not unbend's own."""
    hint = result_of(measure)
    foreign = not any(is_own(kind) for kind in reachable(hint).values())
    return result is None or fits(result, hint) or (foreign and isinstance(result, Unknown))


def _misplaced_state(sums: Sums) -> str | None:
    parts = (sums.train, sums.held_out, sums.twin_train, sums.twin_held_out)
    states = [(layer, *entry) for part in parts for layer, named in part.items() for entry in named.items()]
    states += [(layer, "GradientState", state) for layer, state in sums.gradient.items()]
    for layer, name, state in states:
        if not isinstance(state, Unknown) and type(state).__name__ != name:
            return f"sums of {layer!r}: {name} holds {type(state).__name__}"
    return None
