"""A digest of everything that decides the numbers of a run, which tells whether a checkpoint belongs to a study."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from payloadfield.study import Study

#: What decides no number, and so may change before a run goes on: words, where to compute, and how long at most.
FREE = frozenset(
    {
        *("title", "variant", "sources", "effective", "warnings", "geometry.warnings"),
        *("solver.backend", "solver.max_steps", "output.checkpoint_every", "output.sensitivity"),
    }
)


def study_digest(study: Study) -> str:
    """SHA-256 over every field of a study and of what it holds, bit for bit, but for those in `FREE`."""
    digest = hashlib.sha256()
    for path, value in _parts("", study):
        digest.update(path.encode() + b"\0")
        digest.update(value)
    return digest.hexdigest()


def _parts(path: str, value: Any) -> Iterator[tuple[str, bytes]]:
    """The numbers and texts inside a value, each with its place."""
    if path in FREE:
        return
    if path == "mechanism":
        yield path, value.digest.encode()
    elif isinstance(value, np.ndarray):
        yield path, f"{value.dtype} {value.shape} ".encode() + np.ascontiguousarray(value).tobytes()
    elif is_dataclass(value):
        for item in fields(value):
            yield from _parts(f"{path}.{item.name}".lstrip("."), getattr(value, item.name))
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from _parts(f"{path}[{key!r}]", value[key])
    elif isinstance(value, (set, frozenset)):
        yield path, repr(sorted(value)).encode()
    elif isinstance(value, (list, tuple)):
        yield path, str(len(value)).encode()
        for index, each in enumerate(value):
            yield from _parts(f"{path}[{index}]", each)
    else:
        yield path, _plain(value, path)


def _plain(value: Any, path: str) -> bytes:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value).encode()
    raise TypeError(f"{path}: a {type(value).__name__} has no digest")
