"""Turns a first Ctrl-C (or SIGTERM) into a request to stop after the step, and a second into an immediate end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Becomes true once somebody has asked the run to stop."""

    def __init__(self) -> None:
        self.is_set = False


def _raise_interrupt() -> None:
    raise KeyboardInterrupt


@contextmanager
def listening(
    on_first: Callable[[], None] = lambda: None, on_second: Callable[[], None] = _raise_interrupt
) -> Iterator[StopRequest]:
    """Listen for signals within the block; outside the main thread signals cannot be heard, and nothing changes."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if request.is_set:
            on_second()
            return
        request.is_set = True
        on_first()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
