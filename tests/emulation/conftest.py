"""What the tests of kernels run over."""

import pytest
from tests.emulation.plan_cases import SCENARIOS, Case, cut_small

from payloadfield.solver.device import arrays as device_arrays


@pytest.fixture(params=list(SCENARIOS))
def name(request):
    return request.param


@pytest.fixture(params=["float64", "float32", "mixed"])
def case(request, name, monkeypatch):
    monkeypatch.setattr(device_arrays, "make_pocket_chunks", cut_small)
    return Case(name, request.param)
