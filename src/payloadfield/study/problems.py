"""Collects what is wrong with a study, so that a user hears all of it at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from payloadfield.errors import PayloadfieldError, StudyError


class Problems:
    """Refusals of one study file, each with its key."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.keys: list[str] = []
        self._found: list[str] = []

    def add(self, key: str, message: str) -> None:
        """Note what is wrong with a key; the same said again, of an entry that is read in two places, is left out."""
        self.keys.append(key)
        said = f"{self.at(key)}: {message}"
        if said not in self._found:
            self._found.append(said)

    def at(self, key: str) -> str:
        """File and key, as messages begin."""
        return f"{self.file}, {key}" if key else self.file

    @contextmanager
    def noting(self, key: str = "") -> Iterator[None]:
        """Note our own refusals of a block instead of stopping; add file (and key) where the message lacks them."""
        try:
            yield
        except PayloadfieldError as error:
            text = str(error)
            named = text.startswith(self.file)
            self._found.append(text if named else f"{self.at(key)}{': ' if key else ', '}{text}")

    def raise_any(self) -> None:
        """Raise StudyError with everything noted, if anything was."""
        if len(self._found) == 1:
            raise StudyError(self._found[0])
        if self._found:
            raise StudyError("\n  ".join([f"{self.file} has {len(self._found)} problems:", *self._found]))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End of a message about an unknown name: the nearest known one, or all of them."""
    names = {each.casefold(): each for each in known}
    near = get_close_matches(str(name).casefold(), list(names), n=1, cutoff=0.6)
    if near:
        return f"did you mean {names[near[0]]!r}?"
    return "there are: " + (", ".join(names.values()) or "none")


def join_path(*parts: object) -> str:
    """Dotted key path; list positions as [0]."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
