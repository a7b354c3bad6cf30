"""Generated CUDA of mechanisms with fates, run on the host, against the NumPy functions."""

import numpy as np
import pytest
from tests import fate_studies
from tests.emulation.host import close
from tests.emulation.test_mechanism_kernels import CHUNK, Case, run_cells
from tests.mechanism_oracle import ADC

from payloadfield.mechanism import load_mechanism

BUILT_IN = {"fate": True, "growth": True, "sasp": True, "senolytic": True, "tki": True}


def make_case(name, precision):
    """A mechanism with fates at a random point, its parameters one half where nothing is known."""
    if name in ("expected", "sampled"):
        mechanism = fate_studies.make_mechanism(name)
    else:
        mechanism = load_mechanism("adc", BUILT_IN | {"fate": name.removeprefix("adc ")})
    values = {item.name: 0.5 for item in mechanism.parameters if item.value is None} | (ADC if "adc" in name else {})
    return Case(mechanism, values, precision, n_cell=CHUNK + 9)


# In single precision the small one alone: elimination of 31 slots at a random point loses five digits to cancellation.
CASES = [("expected", "float32"), ("sampled", "float32")]
CASES += [(name, "float64") for name in ("expected", "sampled", "adc expected", "adc sampled")]


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_cells_with_fates_are_those_of_the_twin(name, precision):
    case = make_case(name, precision)
    for output, (got, expected) in run_cells(case).items():
        assert np.isfinite(got).all(), output
        close(got, expected, case.build)
