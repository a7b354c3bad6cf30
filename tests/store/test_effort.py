from __future__ import annotations

from itertools import pairwise

import pytest

from payloadfield.store.effort import Effort


def test_effort_grows_with_time_and_starts_anew_at_events():
    effort = Effort([0.0, 3600.0], 7200.0)
    steps = [effort.steps(time) for time in range(0, 7201, 100)]
    assert steps[0] == 0 and all(a < b for a, b in pairwise(steps))
    assert effort.steps(7200.0) == pytest.approx(2 * effort.steps(3600.0))


def test_outputs_bound_the_step_size():
    end = 100 * 3600.0
    assert Effort([], end, longest=3600.0).steps(end) > 80
    assert Effort([], end).steps(end) < 60
