"""log.jsonl: one line of finite JSON per step, cut back to the checkpoint when a run is resumed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from payloadfield.store.files import refusing_bad_disk, write_atomically
from payloadfield.store.layout import LOG


class StepLog:
    """Appends a line per step to the log of a run."""

    def __init__(self, directory: Path, *, keep_through_step: int) -> None:
        """Open the log, keeping only complete lines of steps up to `keep_through_step`."""
        self.path = directory / LOG
        _cut(self.path, keep_through_step)
        self._file = self.path.open("ab", buffering=0)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one line; ResourceError where the disk is full."""
        line = json.dumps(finite(entry), allow_nan=False).encode() + b"\n"
        with refusing_bad_disk(self.path, len(line)):
            self._file.write(line)

    def sync(self) -> None:
        """Make the lines written so far durable."""
        with refusing_bad_disk(self.path, 0):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Make the log durable and close it; closing twice does nothing."""
        if self._file.closed:
            return
        try:
            self.sync()
        finally:
            self._file.close()


def read_log(directory: Path) -> list[dict[str, Any]]:
    """Every complete line of the log; a line cut off by a kill is left out."""
    path = directory / LOG
    return [] if not path.exists() else [json.loads(line) for line in _complete_lines(path)]


def finite(value: Any) -> Any:
    """The same value with NaN and infinities as null, which JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _cut(path: Path, last_step: int) -> None:
    lines = _complete_lines(path) if path.exists() else []
    kept = [line for line in lines if json.loads(line)["step"] <= last_step]
    write_atomically(path, b"".join(line + b"\n" for line in kept))


def _complete_lines(path: Path) -> list[bytes]:
    """Lines that end in a newline: what follows the last one was cut off."""
    return path.read_bytes().split(b"\n")[:-1]
