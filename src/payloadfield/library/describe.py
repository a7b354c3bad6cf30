"""What `library show` prints of an entry: its values with range, standing and source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from payloadfield.library.entry import Entry
from payloadfield.library.loader import load_library
from payloadfield.library.quantity import count_grades


@dataclass(frozen=True)
class ValueRow:
    """One value of an entry, as shown to people; numbers in `unit`."""

    path: str
    value: float
    unit: str
    low: float | None
    high: float | None
    standing: str
    citation: str
    doi: str
    note: str
    key: str


@dataclass(frozen=True)
class Description:
    """An entry of the library, as shown to people."""

    kind: str
    name: str
    doc: str
    aliases: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    rows: tuple[ValueRow, ...]

    @property
    def n_assumed(self) -> int:
        """How many of the values no source gives."""
        return count_grades(row.standing for row in self.rows)["assumed"]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain tables, for JSON."""
        from dataclasses import asdict

        return {**asdict(self), "labels": dict(self.labels), "n_assumed": self.n_assumed}


def describe(name: str, kind: str | None = None) -> Description:
    """Everything the library says about a name or alias.  Raises LibraryError with the nearest names."""
    return describe_entry(load_library().find(name, kind))


def describe_entry(entry: Entry) -> Description:
    """Everything an entry says, as rows to show."""
    rows = tuple(
        ValueRow(path, q.value, q.unit, q.low, q.high, q.standing, q.citation, q.doi, q.note, q.key)
        for path, q in entry.values.items()
    )
    return Description(entry.kind, entry.name, entry.doc, entry.aliases, tuple(sorted(entry.labels.items())), rows)
