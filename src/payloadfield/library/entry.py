"""An entry of the library: one molecule, cell type, antigen or material with its quantities by dotted path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from payloadfield.errors import LibraryError
from payloadfield.library.quantity import Quantity


@dataclass(frozen=True)
class Entry:
    """One thing of the library.

    kind: one of `KINDS` of the loader, such as "conjugate" or "cell_type".
    values: quantities by dotted path, such as "antibody.k_on".
    labels: words by dotted path, such as "antibody.antigen" = "HER2".
    """

    kind: str
    name: str
    doc: str = ""
    aliases: tuple[str, ...] = ()
    values: Mapping[str, Quantity] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))

    def quantity(self, path: str) -> Quantity:
        """Quantity at a dotted path.  Raises LibraryError where the entry has none."""
        if path not in self.values:
            known = ", ".join(self.values)
            raise LibraryError(f"{self.kind} {self.name!r} has no value {path!r}; it has: {known}")
        return self.values[path]

    def part(self, prefix: str) -> dict[str, Quantity]:
        """Quantities below a path, by the rest of their path."""
        start = f"{prefix}."
        return {path[len(start) :]: value for path, value in self.values.items() if path.startswith(start)}


def make_conjugate(name: str, antibody: Entry, linker: Entry, payload: Entry, own: Mapping[str, Quantity]) -> Entry:
    """A conjugate from its parts; `own` holds its DAR and whatever replaces a value of a part.

    own: quantities by path, such as "DAR" or "antibody.KD".
    """
    parts = {"antibody": antibody, "linker": linker, "payload": payload}
    values = {f"{role}.{path}": value for role, part in parts.items() for path, value in part.values.items()}
    labels = {f"{role}.{path}": text for role, part in parts.items() for path, text in part.labels.items()}
    labels |= {role: part.name for role, part in parts.items()}
    return Entry("conjugate", name, "", (), values | dict(own), labels)
