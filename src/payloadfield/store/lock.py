"""One writer of a run directory at a time, by a lock that the system lifts when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import logging
from pathlib import Path

from payloadfield.errors import RunError
from payloadfield.store.files import refusing_bad_disk
from payloadfield.store.layout import LOCK

_log = logging.getLogger(__name__)


class RunLock:
    """The right to write a run directory, from construction until `release`.

    Raises RunError where another process, or another writer of this one, has it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        path = directory / LOCK
        with refusing_bad_disk(path, 0):
            self._file = path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise RunError(
                f"{directory}: another process is still writing this run; wait for it or stop it first"
            ) from None
        except OSError as error:
            _log.warning("%s: cannot be locked (%s), so nothing keeps a second process from writing it", path, error)

    def release(self) -> None:
        """Let others write; releasing twice does nothing."""
        self._file.close()

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()
