"""Values that are physically impossible are refused, each with one message that names its key."""

import numpy as np
import pytest
from tests.unit.test_study_refusals import GOOD

from payloadfield.errors import StudyError
from payloadfield.study import load_study

ON = tuple(f"modules.{name}=true" for name in ("fate", "growth", "efflux", "tki", "senolytic", "immune", "vesicles"))
FILLED = ("inhibitor=osimertinib", "senolytic=navitoclax")
PAYLOAD, LINKER = "agents.T-DXd.payload", "agents.T-DXd.linker"

IMPOSSIBLE = [
    *((f"{PAYLOAD}.{key}=0 nM", "above 0") for key in ("efflux.KM", "damage.K_death", "damage.K_senescence")),
    (f"{LINKER}.KM_protease=0 nM", "above 0"),
    ("inhibitors.osimertinib.IC50=0 nM", "above 0"),
    ("inhibitors.osimertinib.antigen_induction.fold=0", "above 0"),
    ("senolytics.navitoclax.EC50=0 nM", "above 0"),
    ("effectors.innate cytokine.kill.EC50=0 nM", "above 0"),
    ("effectors.innate cytokine.activation.EC50=0 nM", "above 0"),
    ("fates.tumour cells.growth.capacity=0 / mL", "above 0"),
    ("fates.tumour cells.arrest.K=0", "above 0"),
    ("fates.tumour cells.death.lag=0 h", "above 0"),
    (f"{PAYLOAD}.k_in=1e6 / s", "0 to 1000 1/s"),
    (f"{PAYLOAD}.k_decay=1e4 / s", "0 to 1000 1/s"),
    (f"{LINKER}.k_cleave=1e4 / s", "0 to 1000 1/s"),
    ("cell_types.SK-BR-3.trafficking.k_endo=1e4 / s", "0 to 1000 1/s"),
    ("vesicles.EV.cargo_fraction=5 / s", "0 to 0.1 1/s"),
    ("agents.T-degrader.payload.degrader.cooperativity=0", "above 0"),
    *(
        (f"agents.T-degrader.payload.degrader.kill.threshold={x}", "above 0 and below 1")
        for x in ("0", "1", "1.5")
    ),
]  # fmt: skip


def load(tmp_path, *changes):
    path = tmp_path / "study.toml"
    path.write_text(GOOD)
    return load_study(path, changes)


@pytest.mark.parametrize(("change", "possible"), IMPOSSIBLE)
def test_an_impossible_value_is_refused_with_one_message(tmp_path, change, possible):
    with pytest.raises(StudyError) as caught:
        load(tmp_path, change)
    message, key = str(caught.value), change.partition("=")[0]
    assert f"study.toml, {key}: got" in message and f"{possible} is possible" in message
    assert "\n" not in message


@pytest.mark.parametrize("modules", ["", "on"])
def test_values_at_which_rates_are_large_or_saturate_at_once_are_taken(tmp_path, modules):
    possible = (f"{PAYLOAD}.k_in=900 / s", f"{PAYLOAD}.damage.K_death=1e-3 nM", "fates.tumour cells.death.lag=1 s")
    assert load(tmp_path, *possible, *((*ON, *FILLED) if modules else ())).cells.n_cells == 3


@pytest.mark.parametrize(
    ("change", "parameter"),
    [("K_death=0 nM", "agent.payload.damage.K_death"), ("k_in=1e6 / s", "agent.payload.k_in"),
     ("capacity=0 / mL", "fate.growth.capacity"), ("IC50_inhibitor=0 nM", "inhibitor.IC50")],
)  # fmt: skip
def test_limits_hold_under_parameters_too(tmp_path, change, parameter):
    with pytest.raises(StudyError, match=f"is possible for {parameter}") as caught:
        load(tmp_path, *ON, *FILLED, f"parameters.{change}")
    assert "\n" not in str(caught.value)


def test_a_typical_size_that_is_not_finite_is_left_to_the_largest_value_met(tmp_path):
    """Without an exit the payload of a cell has no steady state."""
    usual, kept = (load(tmp_path, f"{PAYLOAD}.k_out={value}") for value in ("1e-3 / s", "0 / s"))
    row = usual.mechanism.state_names.index("payload_cytosol")
    assert np.isfinite(usual.typical_states[row]) and np.isnan(kept.typical_states[row])
    assert not np.isinf([*kept.typical_states, *kept.typical_fields]).any()
