"""Reads a study file into plain tables."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payloadfield.errors import StudyError


@dataclass(frozen=True)
class StudyText:
    """Tables of a study, the name to call it in messages, and the folder that its paths are relative to."""

    raw: dict[str, Any]
    file: str
    folder: Path


def read_study(study: str | Path | Mapping[str, Any]) -> StudyText:
    """Tables of a study file, or a copy of tables given as a mapping (paths then start from the current folder).

    Raises StudyError for a file that is not there, a folder, text that is not UTF-8, and a syntax error with its line.
    """
    if isinstance(study, Mapping):
        return StudyText(deepcopy(dict(study)), "study", Path.cwd())
    path = Path(study)
    return StudyText(_parse(_read_text(path), path), str(path), path.resolve().parent)


def is_file(path: Path) -> bool:
    """Whether there is such a file; a path that the system cannot have is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except IsADirectoryError:
        inside = path / "study.toml"
        hint = f"; did you mean {inside}?" if is_file(inside) else "; a study file such as study.toml is needed"
        raise StudyError(f"{path}: is a folder{hint}") from None
    except FileNotFoundError:
        raise StudyError(f"{path}: there is no such file; a study file such as study.toml is needed") from None
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: is not text in UTF-8 (byte {error.start}); save it as UTF-8") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{path}: cannot be read ({error})") from None


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path}: is not valid TOML: {error}") from None
    except RecursionError:
        raise StudyError(f"{path}: is not valid TOML: nested too deeply") from None
