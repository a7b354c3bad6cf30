"""Contacts of a study: told of where no two cells touch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from payloadfield.cells import Cells, touching_pairs
from payloadfield.mechanism import Mechanism, evaluate


def contact_warnings(mechanism: Mechanism, values: Mapping[str, Any], cells: Cells) -> Iterator[str]:
    """A sentence for every reach within which no two cells lie; values: of the parameters, by name."""
    names: dict[float, str] = {}
    for contact in mechanism.contacts:
        names.setdefault(float(evaluate(contact.reach, values)), contact.name)
    for reach, name in names.items():
        if cells.n_cells and not len(touching_pairs(cells, reach)):
            yield (
                f"contacts.{name}: no two of the {cells.n_cells} cells lie within {reach:g} times the sum of their "
                "radii, so that nothing is exchanged"
            )
