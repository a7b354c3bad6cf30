"""Contacts of a mechanism file: what touching cells exchange, and how fast."""

from __future__ import annotations

from payloadfield.mechanism.model import Contact
from payloadfield.mechanism.nodes import Number
from payloadfield.mechanism.tables import Names, Table, near

DEFAULT_REACH = 1.0


def read_contacts(table: Table, names: Names) -> tuple[Contact, ...]:
    """The exchanges between touching cells, in the order of the file."""
    contacts = []
    for name, entry in table.children("contacts"):
        names.check_spelling(name, entry.where)
        contacts.append(_read(name, entry, names))
    return tuple(contacts)


def _read(name: str, table: Table, names: Names) -> Contact:
    table.allow(("state", "rate", "reach", "strength", "tag", "doc"))
    state = table.text("state")
    if names.kinds.get(state) != "states":
        raise table.refuse("state", f"'{state}' is no state of the cells; {near(state, names.of_kind('states'))}")
    giving = names.of_kind("constant", "study", "cell", "states")
    return Contact(
        name=name,
        gives=state,
        takes=(state,),
        rate=names.expression(table, "rate", "molecules/s", giving),
        strength=names.optional_expression(table, "strength", "1", names.parameter_names) or Number(1.0),
        reach=names.optional_expression(table, "reach", "1", names.study_names) or Number(DEFAULT_REACH),
        present=Number(1.0),
        doc=table.text("doc", ""),
        tag=table.optional_text("tag"),
    )
