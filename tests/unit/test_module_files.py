"""The files of the built-in modules, looked at one by one: what no study of one well would notice."""

import tomllib
from collections import Counter

import pytest

from payloadfield.library.units_of_values import UNITS
from payloadfield.mechanism.reader import BUILT_IN
from payloadfield.study.slots import SLOTS

FILES = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in (BUILT_IN / "adc").glob("*.toml")}
PATHS = Counter(
    entry["from"] for table in FILES.values() for entry in table.get("parameters", {}).values() if "from" in entry
)
# One of the study and one of each cell (module resistance); of conjugate and naked antibody; a scale.
TWICE = {
    "agent.payload.k_in", "agent.payload.k_out", "agent.payload.target.KD", "agent.payload.target.concentration",
    "agent.antibody.diffusivity", "effector.kill.EC50",
}  # fmt: skip
# Kept as facts, which other values of the library rest on.
FACTS = {
    "inhibitor": {"dose", "survivors", "logP", "molecular_weight"},
    "senolytic": {"molecular_weight"},
    "vesicle": {"release", "adc_per_ev", "payload_per_ev", "diffusivity_tissue"},
    "fate": {"senescent_fraction", "target_residual", "target_turnover.half_life"},
    "protease": {"concentration"},
}
WITH_A_BATH = [
    name for name, table in FILES.items() if "voxel" in table.get("reactions", {}) and name != "polymer_sorption"
]


@pytest.mark.parametrize("name", WITH_A_BATH)
def test_what_goes_on_in_the_medium_goes_on_in_the_bath(name):
    """Two tables that have to be alike; what sticks to walls does so in the construct alone."""
    reactions = FILES[name]["reactions"]
    assert reactions["voxel"] == reactions["bath"]


def test_no_two_parameters_read_the_same_value():
    assert {path for path, count in PATHS.items() if count > 1} == TWICE


@pytest.mark.parametrize("slot", [name for name, slot in SLOTS.items() if slot.kind != "material"])
def test_every_value_of_the_library_is_read_or_is_a_fact_that_others_rest_on(slot):
    kind = SLOTS[slot].kind
    read = {path.removeprefix(f"{slot}.") for path in PATHS if path.startswith(f"{slot}.")}
    assert set(UNITS[kind]) - read == FACTS.get(kind, set())
