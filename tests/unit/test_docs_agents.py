"""The examples of docs/study-file.md on agents, set-ups and curves load; docs/library.md is true."""

import re
import tomllib
from pathlib import Path

from payloadfield.library import KINDS, load_library
from payloadfield.study import load_study

DOCS = Path(__file__).parents[2] / "docs"
PAGE, LIBRARY_PAGE = ((DOCS / name).read_text(encoding="utf-8") for name in ("study-file.md", "library.md"))
ROOM = {"duration": "2 h", "grid": {"size": ["60 um"] * 3, "voxel": "20 um"}, "boundary": {"z_high": "bath"}}


def example(title):
    """The first TOML example below a heading."""
    return tomllib.loads(re.search(rf"\n##+ {title}\n.*?```toml\n(.*?)```", PAGE, re.S)[1])


def test_the_agent_of_parts_loads():
    study = load_study(ROOM | example("Agents") | {"schedule": [{"at": "0 h", "dose": {"NEW": "5 nM"}}]})
    values = dict(zip(study.mechanism.study_parameters, study.parameters, strict=True))
    assert values["DAR"] == 8 and values["kcat_over_km"] == 1e-3


def test_the_set_up_loads():
    dose = [{"at": "0 h", "dose": {"T-DXd": "5 nM"}}]
    study = load_study({"duration": "2 h", "schedule": dose} | example("Set-ups"))
    assert study.cells.type_names == ("NCI-N87",) and study.geometry.grid.shape[1] * 3 > 200


def test_the_curve_loads():
    study = load_study(ROOM | example("A bath that follows plasma"))
    assert study.schedule[0].curve[0].value(0.0) == 800


def test_the_page_on_the_library_names_every_kind_and_quotes_a_line_as_it_is():
    named = set(re.findall(r"`(\w+)`", LIBRARY_PAGE))
    assert set(KINDS) <= named
    line = tomllib.loads(re.search(r"```toml\n(.*?)```", LIBRARY_PAGE, re.S)[1])["k_in"]
    quantity = load_library().find("DXd", "payload").values["k_in"]
    assert (quantity.value, quantity.low, quantity.high, quantity.note) == (
        line["value"], line["low"], line["high"], line["note"])  # fmt: skip
    assert "pk" in LIBRARY_PAGE and load_library().has("T-DXd human", "pharmacokinetics")
