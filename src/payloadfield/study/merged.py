"""An entry of the library as one study has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from payloadfield.library import Library
from payloadfield.study.leaves import Leaf

PARTS = ("antibody", "linker", "payload")


@dataclass
class Merged:
    """An entry as this study has it.

    table: of the study, such as "agents".  leaves: by dotted path.  labels: words by dotted path.
    """

    table: str
    name: str
    leaves: dict[str, Leaf] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def key(self, path: str) -> str:
        """Place of a value in the study."""
        return f"{self.table}.{self.name}.{path}" if self.name else f"{self.table}.{path}"

    @property
    def parts(self) -> frozenset[str]:
        """Parts of a conjugate of which anything is known."""
        return frozenset(
            role for role in PARTS if role in self.labels or any(path.startswith(f"{role}.") for path in self.leaves)
        )

    def as_table(self, library: Library, paths: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The nested table that merges to this entry; `paths` maps the leaves to keep to the path to write them at."""
        table: dict[str, Any] = {}
        for path, text in self.labels.items():
            _put(table, _label_path(path, is_known=path in PARTS and library.has(text, path)), text)
        for path, target in (paths or {path: path for path in self.leaves}).items():
            _put(table, target, self.leaves[path].as_table())
        return table


def _label_path(path: str, *, is_known: bool) -> str:
    """The key that sets a label again: antibody -> antibody.based_on, or antibody.name if the library has it not."""
    return path if path not in PARTS else f"{path}.{'based_on' if is_known else 'name'}"


def _put(table: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        table = table.setdefault(part, {})
    table[last] = value
