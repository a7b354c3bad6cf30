"""docs/study-file.md against the schema: every key is there, and the examples on it load."""

import re
import tomllib
from pathlib import Path

import pytest

from payloadfield.study import load_study
from payloadfield.study.schema import TABLES
from payloadfield.study.slots import SLOTS

PAGE = (Path(__file__).parents[2] / "docs" / "study-file.md").read_text(encoding="utf-8")
TABLES_OF_NAMES = {"agents", "cell_types", "materials", "protease", "parameters"}
TABLES_OF_NAMES |= {slot.table for slot in SLOTS.values()}


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def documented() -> dict[str, set[str]]:
    """Table -> keys in the table of the page."""
    found: dict[str, set[str]] = {}
    table = ""
    for line in section("Keys").splitlines()[3:]:
        cells = [cell.strip() for cell in line.strip("| \n").split(" | ")] if line.startswith("|") else []
        if len(cells) == 2:  # the first cell is empty: the same table goes on
            cells = [table, *cells]
        if cells:
            table = cells[0].strip("`[]()")
            found.setdefault(table, set()).update(re.findall(r"`(\w+)`", cells[1]))
    return found


@pytest.mark.parametrize("table", [place[0] if place else "top" for place in TABLES if place[:1] != ("scaffold",)])
def test_every_key_of_a_table_is_on_the_page_and_no_other(table: str) -> None:
    model = TABLES[() if table == "top" else (table,)]
    keys = {item.alias or name for name, item in model.model_fields.items()}
    if table == "top":
        keys -= {place[0] for place in TABLES if place} | TABLES_OF_NAMES
    assert documented()[table] == keys


def test_tables_of_names_are_explained() -> None:
    assert all(f"[{name}" in PAGE for name in TABLES_OF_NAMES)


def test_the_example_of_own_values_loads_and_is_used() -> None:
    table = tomllib.loads(re.findall(r"```toml\n(.*?)```", section("Values of your own"), re.S)[0])
    table |= {
        "duration": "1 h",
        "grid": {"size": ["60 um"] * 3, "voxel": "20 um"},
        "boundary": {"z_high": "bath"},
        "scaffold": [{"shape": "box", "material": "my-gel", "low": ["0 um"] * 3, "high": ["60 um", "60 um", "20 um"]}],
        "cells": [{"type": "mine", "count": 2, "place": "gel"}],
    }
    study = load_study(table)
    sources = {source.key: source for source in study.sources}
    assert sources["agents.MyADC.DAR"].value == 4
    assert sources["agents.MyADC.linker.k_cleave"].citation == "Author et al. 2026"
    assert sources["cell_types.mine.receptors"].value == 2e5
    assert study.geometry.materials[1].name == "my-gel"
