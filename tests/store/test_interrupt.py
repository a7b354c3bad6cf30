from __future__ import annotations

import signal

import pytest

from payloadfield.store.interrupt import listening


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_stops_at_once(number):
    heard = []
    with listening(lambda: heard.append("first"), lambda: heard.append("second")) as stop:
        assert not stop.is_set
        signal.raise_signal(number)
        assert stop.is_set and heard == ["first"]
        signal.raise_signal(number)
        assert heard == ["first", "second"]


def test_in_a_notebook_the_second_signal_raises():
    with pytest.raises(KeyboardInterrupt), listening() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set
        signal.raise_signal(signal.SIGINT)


def test_the_handlers_before_come_back():
    before = signal.getsignal(signal.SIGINT)
    with listening():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
