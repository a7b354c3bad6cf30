"""[setup]: a geometry of the library by name.

It writes grid, scaffold, materials and cells, which a study may add to or put its own in the place of; each length and
each number of transport is an input with its source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from payloadfield.errors import UnitsError
from payloadfield.library import load_library, unit_of
from payloadfield.study.fields import quantity_text
from payloadfield.study.leaves import LeafReader
from payloadfield.study.lookup import Lookup
from payloadfield.study.merge import Merger
from payloadfield.study.merged import Merged
from payloadfield.study.problems import Problems, did_you_mean
from payloadfield.study.settings import SETTING

SETUP, PROFILE = "setup", "accessible_profile"
TISSUE = "tissue"
_LENGTHS = ("vessel_radius", "tissue_radius", "radius", "length", "voxel", "strand", "pore", "layer", "construct_z")
_CHOSEN = ("voxel", "length")
_TRANSPORT = ("diffusivity", "accessible_fraction", "relative_diffusivity")

Tables = dict[str, Any]

#: In the set-up of an effective study, whose tables are written already.
EXPANDED = {"expanded": True}


def expand_setup(raw: Tables, problems: Problems, reader: LeafReader) -> Merged | None:
    """Write the tables of [setup] into a study, in place; what the study says itself stays.

    Notes a problem for an unknown name and for lengths that do not go together.
    """
    if SETUP not in raw:
        return None
    given, library = raw[SETUP], load_library()
    table = {"based_on": given} if isinstance(given, str) else given
    if not isinstance(table, Mapping) or table.get("based_on") not in _BUILDERS:
        name = table.get("based_on") if isinstance(table, Mapping) else given
        problems.add(SETUP, f"got {name!r}; {did_you_mean(str(name), _BUILDERS)}")
        return None
    own = {key: value for key, value in table.items() if key not in EXPANDED}
    raw[SETUP] = dict(table)
    merged = Merger(library, reader, {}).merge_single(SETUP, SETUP, own["based_on"], own)
    if merged is None or problems.keys:
        return merged
    merged.labels["based_on"] = own["based_on"]
    if len(own) < len(table):  # of an effective study
        return merged
    try:
        made = _BUILDERS[table["based_on"]](_Lengths(merged, problems), merged)
    except UnitsError as error:
        problems.add(SETUP, str(error))
        return None
    if "cell_type" in merged.labels and "cell_density" in merged.leaves:
        density = merged.leaves["cell_density"].quantity.text
        made["cells"] = [{"type": merged.labels["cell_type"], "density": density, "place": "gel"}]
    elif "cell_type" in merged.labels:
        problems.add(merged.key("cell_type"), "this set-up has no density of cells; list them under [[cells]]")
    _put_under(raw, made)
    return merged


def note_setup(merged: Merged | None, lookup: Lookup) -> None:
    """Keep where the lengths of a set-up come from; its materials bring their own sources."""
    for path in (*_LENGTHS, "profile.inner", "profile.rise", "profile.power") if merged is not None else ():
        if merged is not None and path in merged.leaves:
            unit = unit_of(SETUP, path) or "1"
            leaf = merged.leaves[path]
            grade = SETTING if path in _CHOSEN else None
            lookup.note_source(merged.key(path), leaf, leaf.value_in(unit, merged.key(path)), unit, grade=grade)


class _Lengths:
    """Lengths of a set-up [um], and tables of them."""

    def __init__(self, merged: Merged, problems: Problems) -> None:
        self._merged, self._problems = merged, problems

    def __getitem__(self, path: str) -> float:
        leaf = self._merged.leaves[path]
        value = leaf.value_in("um", self._merged.key(path))
        if value <= 0:
            self._problems.add(self._merged.key(path), f"got {leaf.quantity.text!r}; a length above 0 is needed")
        return max(value, 1e-9)

    def refuse_unless(self, fits: bool, path: str, message: str) -> None:
        if not fits:
            self._problems.add(self._merged.key(path), message)


def _krogh(lengths: _Lengths, merged: Merged) -> Tables:
    """A vessel along z in the axis of a cylinder of tissue, beyond which nothing passes."""
    vessel, tissue, h = lengths["vessel_radius"], lengths["tissue_radius"], lengths["voxel"]
    lengths.refuse_unless(vessel < tissue, "vessel_radius", "is not less than tissue_radius")
    lengths.refuse_unless(h <= vessel, "voxel", "is more than the radius of the vessel, which it has to resolve")
    across, along = 2 * math.ceil(tissue / h) + 2, max(1, round(lengths["length"] / h))
    edge, length = across * h, along * h
    middle = _point(edge / 2, edge / 2, length / 2)
    round_ = {"shape": "cylinder", "axis": "z", "centre": middle}
    return {
        "grid": {"size": _point(edge, edge, length), "voxel": _um(h)},
        "scaffold": [
            _everywhere(edge, edge, length),
            {**round_, "radius": _um(tissue), "outside": True, "material": "surroundings"},
            {**round_, "radius": _um(vessel), "material": "vessel"},
        ],
        "materials": {
            TISSUE: _tissue(merged),
            "surroundings": {"kind": "impermeable", "doc": "the tissue of other vessels, towards which nothing flows"},
            "vessel": {"kind": "bath", "permeability": _by_field(merged, "permeability")},
        },
    }


def _spheroid(lengths: _Lengths, merged: Merged) -> Tables:
    """A ball in a bath, behind a surface that resists; its accessible fraction grows towards the surface."""
    radius, h = lengths["radius"], lengths["voxel"]
    lengths.refuse_unless(2 * h <= radius, "voxel", "is more than half the radius, which it has to resolve")
    edge = (2 * math.ceil(radius / h) + 2) * h
    middle = _point(edge / 2, edge / 2, edge / 2)
    shape = {"shape": "sphere", "centre": middle, "radius": _um(radius)}
    powers = {name: merged.leaves[f"profile.{name}"].quantity.value for name in ("inner", "rise", "power")}
    return {
        "grid": {"size": _point(edge, edge, edge), "voxel": _um(h)},
        "scaffold": [_everywhere(edge, edge, edge), {**shape, "outside": True, "material": "surroundings"}],
        "materials": {
            TISSUE: _tissue(merged),
            "surroundings": {"kind": "bath", "permeability": _by_field(merged, "permeability")},
        },
        PROFILE: {"centre": middle, "radius": _um(radius), **powers},
    }


def _woodpile(lengths: _Lengths, merged: Merged) -> Tables:
    """One cell of a woodpile that goes on sideways, as high as the construct, with a bath above."""
    strand, pore, layer, h = lengths["strand"], lengths["pore"], lengths["layer"], lengths["voxel"]
    period = strand + pore
    voxels = round(period / h)
    lengths.refuse_unless(abs(voxels * h - period) < 1e-6 * h, "voxel", f"does not divide strand + pore, {period:g} um")
    height = max(1, math.ceil(lengths["construct_z"] / h)) * h
    return {
        "grid": {"size": _point(voxels * h, voxels * h, height), "voxel": _um(h)},
        "boundary": {"x": "periodic", "y": "periodic", "z_high": "bath"},
        "scaffold": [
            {"shape": "woodpile", "material": "PCL", "strand_diameter": _um(strand), "strand_spacing": _um(period),
             "layer_height": _um(layer)},
        ],
    }  # fmt: skip


_BUILDERS: dict[str, Callable[[_Lengths, Merged], Tables]] = {
    "krogh": _krogh,
    "spheroid": _spheroid,
    "woodpile": _woodpile,
}


def _tissue(merged: Merged) -> Tables:
    given = {name: table for name in _TRANSPORT if (table := _by_field(merged, name))}
    return {"kind": "gel", "doc": f"tissue of the set-up {merged.labels.get('doc', '')}".strip(), **given}


def _by_field(merged: Merged, table: str) -> Tables:
    """Values by field, each with its source; a naked antibody moves as its conjugate."""
    start = f"{table}."
    found = {p.removeprefix(start): leaf.as_table() for p, leaf in merged.leaves.items() if p.startswith(start)}
    return {**found, "antibody": found.get("antibody", found["adc"])} if "adc" in found else found


def _everywhere(x: float, y: float, z: float) -> Tables:
    return {"shape": "box", "low": _point(0.0, 0.0, 0.0), "high": _point(x, y, z), "material": TISSUE}


def _um(length: float) -> str | float:
    return quantity_text(length, "um")


def _point(x: float, y: float, z: float) -> list[str | float]:
    return [_um(x), _um(y), _um(z)]


def _put_under(own: Tables, made: Tables) -> None:
    """Fill in what a study does not say: by key in tables; shapes of the set-up come before those of the study."""
    for key, value in made.items():
        if key == "scaffold":
            own[key] = [*value, *own.get(key, [])]
        elif isinstance(value, dict) and isinstance(own.get(key), dict):
            _put_under(own[key], value)
        else:
            own.setdefault(key, value)
