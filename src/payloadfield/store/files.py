"""Writing files so that a kill or a full disk leaves the old file or the new one, never a half."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from payloadfield.errors import ResourceError, RunError
from payloadfield.store.layout import TEMPORARY_SUFFIX

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: What to do about a full disk, once a run has begun.
GO_ON = (
    "What was written before is whole. Free some space and go on with `payloadfield resume`, or start again "
    "on another disk, with fewer output times or fewer output fields"
)
_PIECE = 1 << 24  # bytes handed to the system in one call


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Replace `path` by `data`: temporary name of its own in the same folder, fsync, rename, fsync of the folder.

    Raises ResourceError where the disk is full and RunError where it cannot be written for another reason;
    the file that stood there before stays as it was.
    """
    temporary = path.with_name(f"{path.name}.{uuid4().hex[:8]}{TEMPORARY_SUFFIX}")
    with refusing_bad_disk(path, len(data)):
        try:
            _write_synced(temporary, data)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


@contextmanager
def refusing_bad_disk(path: Path, need: int) -> Iterator[None]:
    """Turn the system's OSError about `path` into ResourceError (disk full) or RunError (anything else)."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error
        raise ResourceError(
            f"{path}: the disk is full ({error.strerror}): {format_bytes(need)} needed, {_free_text(path)} free. "
            + GO_ON
        ) from error


def remove_temporary(directory: Path) -> None:
    """Remove what writers that were killed left half written below `directory`; nobody may be writing there."""
    for path in directory.rglob(f"*{TEMPORARY_SUFFIX}"):
        path.unlink(missing_ok=True)


def sync_directory(folder: Path) -> None:
    """Make renames in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def format_bytes(count: float) -> str:
    """A number of bytes for people: `3.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _write_synced(path: Path, data: bytes | memoryview) -> None:
    view = memoryview(data)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        while len(view):
            view = view[os.write(handle, view[:_PIECE]) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _free_text(path: Path) -> str:
    status = os.statvfs(path.parent)
    return format_bytes(status.f_bavail * status.f_frsize)
