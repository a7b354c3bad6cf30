"""What a bath follows: plasma curves from half-lives, exponentials or compartments, and tables from files."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from payloadfield.errors import UnitsError
from payloadfield.study.curve import Curve, Decay, Tabulated
from payloadfield.study.fields import quantity_text
from payloadfield.study.leaves import Leaf
from payloadfield.study.problems import Problems, did_you_mean
from payloadfield.study.study import FloatArray
from payloadfield.units import parse_quantity

#: The ways of writing a curve, by the keys that each may have; the first key tells which it is.
FORMS = {
    "file": ("file", "interpolation"),
    "half_lives": ("half_lives", "fractions", "peak"),
    "amplitudes": ("amplitudes", "rates"),
    "alpha": ("alpha", "A", "beta", "B"),
    "CL": ("CL", "V1", "Q", "V2", "dose"),
    "pk": ("pk", "dose", "peak"),
}
INTERPOLATIONS = ("linear", "monotone")
MAX_ROWS = 100_000
_OF_LIBRARY = {"CL": "clearance", "V1": "V1", "Q": "Q", "V2": "V2"}
_HEADER = "time_h,concentration_nM"


class _RefusedError(Exception):
    """What is wrong with a curve: a key below it, and why."""


@dataclass(frozen=True)
class CurveReader:
    """Reads the curves of one study.

    concentration: (given, molar mass, key) -> [nM], noting problems.  folder: that paths start from.
    find: (name) -> an entry of the library's pharmacokinetics, or None.  names: of all of them.
    note: (key, leaf, value, unit) keeps where a number comes from.
    """

    problems: Problems
    folder: Path
    concentration: Callable[[Any, float, str], float]
    find: Callable[[str], Mapping[str, Leaf] | None]
    names: Sequence[str]
    note: Callable[[str, Leaf, float, str], None]

    def read(self, given: Any, start: float, molar_mass: float, key: str) -> Curve | None:
        """The curve that begins at `start` [s]; None, and a problem noted, where it cannot be read."""
        table = {"file": given} if isinstance(given, str) else given
        if not isinstance(table, Mapping):
            self.problems.add(key, f"got {given!r}; the name of a file, or a table, is needed")
            return None
        form = next((name for name in FORMS if name in table), None)
        if form is None:
            known = "; ".join(", ".join(keys) for keys in FORMS.values())
            self.problems.add(key, f"has none of the keys of a curve; one of these sets is needed: {known}")
            return None
        unknown = [name for name in table if name not in FORMS[form]]
        for name in unknown:
            self.problems.add(f"{key}.{name}", f"unknown key beside {form!r}; {did_you_mean(name, FORMS[form])}")
        try:
            return None if unknown else getattr(self, f"_{form}")(table, start, molar_mass, key)
        except _RefusedError as error:
            self.problems.add(*error.args)
        except UnitsError as error:
            self.problems.add(key, str(error).removeprefix(f"{self.problems.at(key)}: "))
        return None

    # -- exponentials -------------------------------------------------------------------------------------------

    def _half_lives(self, table: Mapping[str, Any], start: float, molar_mass: float, key: str) -> Curve:
        times = [self._above_zero(each, "s", f"{key}.half_lives") for each in _list(table, "half_lives", key)]
        fractions = [1.0] if "fractions" not in table and len(times) == 1 else _list(table, "fractions", key)
        shares = [self._not_negative(each, "1", f"{key}.fractions") for each in fractions]
        if len(shares) != len(times):
            raise _RefusedError(
                f"{key}.fractions", f"{len(shares)} given for {len(times)} half-lives; as many are needed"
            )
        if abs(sum(shares) - 1) > 1e-6:
            raise _RefusedError(f"{key}.fractions", f"add up to {sum(shares):.6g}; 1 is needed")
        peak = self._concentration(table, "peak", molar_mass, key)
        return _decay(start, [peak * share for share in shares], [math.log(2) / each for each in times])

    def _amplitudes(self, table: Mapping[str, Any], start: float, molar_mass: float, key: str) -> Curve:
        given = _list(table, "amplitudes", key)
        amplitudes = [self.concentration(each, molar_mass, f"{key}.amplitudes") for each in given]
        rates = [self._not_negative(each, "1/s", f"{key}.rates") for each in _list(table, "rates", key)]
        if len(rates) != len(amplitudes):
            raise _RefusedError(
                f"{key}.rates", f"{len(rates)} given for {len(amplitudes)} amplitudes; as many are needed"
            )
        return _decay(start, amplitudes, rates)

    def _alpha(self, table: Mapping[str, Any], start: float, molar_mass: float, key: str) -> Curve:
        pairs = [("A", "alpha"), *([("B", "beta")] if "B" in table or "beta" in table else [])]
        amplitudes = [self._concentration(table, size, molar_mass, key) for size, _ in pairs]
        rates = [self._above_zero(_get(table, rate, key), "1/s", f"{key}.{rate}") for _, rate in pairs]
        return _decay(start, amplitudes, rates)

    def _CL(self, table: Mapping[str, Any], start: float, molar_mass: float, key: str) -> Curve:
        return self._compartments(table, table, start, molar_mass, key)

    def _pk(self, table: Mapping[str, Any], start: float, molar_mass: float, key: str) -> Curve:
        """Clearance and volumes of the library with a dose, or its half-life with a peak."""
        name = table["pk"]
        found = self.find(name) if isinstance(name, str) else None
        if found is None:
            raise _RefusedError(f"{key}.pk", f"got {name!r}; {did_you_mean(str(name), self.names)}")
        suffix = "" if "clearance" in found else "_per_mass"
        leaves = {own: found[path + suffix] for own, path in _OF_LIBRARY.items() if path + suffix in found}
        if "dose" in table and {"CL", "V1"} <= set(leaves):
            for own, leaf in leaves.items():
                self.note(f"{key}.pk.{own}", leaf, leaf.quantity.value, leaf.quantity.unit)
            given = {own: leaf.quantity.text for own, leaf in leaves.items()}
            return self._compartments(given, table, start, molar_mass, key)
        if "dose" in table or "half_life" not in found:
            needs = "a dose" if {"CL", "V1"} <= set(leaves) else "a peak"
            raise _RefusedError(
                f"{key}.pk", f"the library has {', '.join(found)} of {name!r}; {needs} is needed with it"
            )
        leaf = found["half_life"]
        self.note(f"{key}.pk.half_life", leaf, leaf.value_in("s", key), "s")
        peak = self._concentration(table, "peak", molar_mass, key)
        return _decay(start, [peak], [math.log(2) / leaf.value_in("s", key)])

    def _compartments(
        self, given: Mapping[str, Any], table: Mapping[str, Any], start: float, molar_mass: float, key: str
    ) -> Curve:
        """One or two compartments after a dose at once; all per body mass where the volume is."""
        per = "/g" if _is(_get(given, "V1", key), "um^3/g") else ""
        volume = self._above_zero(given["V1"], f"um^3{per}", f"{key}.V1")
        clearance = self._above_zero(_get(given, "CL", key), f"um^3/s{per}", f"{key}.CL")
        peak = self._dose(_get(table, "dose", key), per, molar_mass, f"{key}.dose") / volume
        if ("Q" in given) != ("V2" in given):
            raise _RefusedError(key, "'Q' and 'V2' belong together: give both, or neither for one compartment")
        if "Q" not in given:
            return _decay(start, [peak], [clearance / volume])
        exchange = self._above_zero(given["Q"], f"um^3/s{per}", f"{key}.Q")
        second = self._above_zero(given["V2"], f"um^3{per}", f"{key}.V2")
        k10, k12, k21 = clearance / volume, exchange / volume, exchange / second
        half = (k10 + k12 + k21) / 2
        alpha = half + math.sqrt(half**2 - k10 * k21)
        beta = k10 * k21 / alpha
        share = (alpha - k21) / (alpha - beta)
        return _decay(start, [peak * share, peak * (1 - share)], [alpha, beta])

    def _dose(self, given: Any, per: str, molar_mass: float, key: str) -> float:
        """A dose as an amount of substance [nM um^3], or that per body mass."""
        mass, amount = ("1", "nM*um^3/g") if per else ("g", "nM*um^3")
        if not _is(given, mass):
            return self._above_zero(given, amount, key)
        if not math.isfinite(molar_mass):
            raise _RefusedError(key, f"got {given!r}, a mass; the molar mass is not known: give the dose in mol")
        return self._above_zero(given, mass, key) / molar_mass

    # -- tables -------------------------------------------------------------------------------------------------

    def _file(self, table: Mapping[str, Any], start: float, molar_mass: float, key: str) -> Curve:
        kind = table.get("interpolation", "linear")
        if kind not in INTERPOLATIONS:
            raise _RefusedError(f"{key}.interpolation", f"got {kind!r}; 'linear' or 'monotone' is needed")
        if not isinstance(table["file"], str) or not table["file"].strip() or "\0" in table["file"]:
            raise _RefusedError(f"{key}.file", f"got {table['file']!r}; the name of a file is needed")
        path = self.folder / table["file"]
        times, values = _read_rows(path, key, lambda text, where: self.concentration(text, molar_mass, where))
        slopes = _slopes(times, values) if kind == "monotone" else None
        return Tabulated(start + times, values, slopes)

    # -- numbers ------------------------------------------------------------------------------------------------

    def _concentration(self, table: Mapping[str, Any], name: str, molar_mass: float, key: str) -> float:
        return self.concentration(_get(table, name, key), molar_mass, f"{key}.{name}")

    def _above_zero(self, given: Any, unit: str, key: str) -> float:
        value = self._not_negative(given, unit, key)
        if value == 0:
            raise _RefusedError(key, f"got {given!r}; a number above 0 is needed")
        return value

    def _not_negative(self, given: Any, unit: str, key: str) -> float:
        where = self.problems.at(key)
        try:
            value = parse_quantity(given, unit, where)
        except UnitsError as error:
            raise _RefusedError(key, str(error).removeprefix(f"{where}: ")) from None
        if value < 0:
            raise _RefusedError(key, f"got {given!r}; a number of at least 0 is needed")
        return value


def curve_table(curve: Curve, given: Any) -> dict[str, Any]:
    """The table that reads back as this curve."""
    if isinstance(curve, Tabulated):
        file = given if isinstance(given, str) else given["file"]
        return {"file": file, "interpolation": "linear" if curve.slopes is None else "monotone"}
    amplitudes = [quantity_text(float(each), "nM") for each in curve.amplitudes]
    return {"amplitudes": amplitudes, "rates": [quantity_text(float(each), "1/s") for each in curve.rates]}


def _decay(start: float, amplitudes: Sequence[float], rates: Sequence[float]) -> Decay:
    return Decay(start, np.array(amplitudes, float), np.array(rates, float))


def _slopes(times: FloatArray, values: FloatArray) -> FloatArray:
    """Derivatives of the monotone cubic at its points [nM/s]."""
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(times, values).derivative()(times), float)


def _get(table: Mapping[str, Any], name: str, key: str) -> Any:
    if name not in table:
        raise _RefusedError(f"{key}.{name}", "is missing")
    return table[name]


def _list(table: Mapping[str, Any], name: str, key: str) -> list[Any]:
    given = _get(table, name, key)
    if not isinstance(given, list) or not given:
        raise _RefusedError(f"{key}.{name}", f"got {given!r}; a list is needed, one entry for each exponential")
    return given


def _is(given: Any, unit: str) -> bool:
    """Whether a quantity has the dimension of a unit."""
    try:
        parse_quantity(given, unit, "")
    except UnitsError:
        return False
    return True


def _read_rows(path: Path, key: str, concentration: Callable[[str, str], float]) -> tuple[FloatArray, FloatArray]:
    """Times [s] and concentrations [nM] of a file, in order."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(n, row) for n, row in enumerate(csv.reader(file), 1) if any(each.strip() for each in row)]
    except FileNotFoundError:
        raise _RefusedError(key, f"there is no file at {path}; a table with the header {_HEADER} is needed") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _RefusedError(key, f"{path}: cannot be read as comma-separated text ({error})") from None
    units = _header_units([each.strip() for each in rows[0][1]] if rows else [], path, key)
    if not 3 <= len(rows) <= MAX_ROWS + 1:
        raise _RefusedError(key, f"{path}: has {len(rows) - 1} rows; 2 to {MAX_ROWS} are needed")
    times, values = np.zeros(len(rows) - 1), np.zeros(len(rows) - 1)
    for index, (line, row) in enumerate(rows[1:]):
        time, value = _row(row, f"{path}, line {line}", key)
        times[index] = parse_quantity(f"{time!r} {units[0]}", "s", key)
        values[index] = concentration(f"{value!r} {units[1]}", f"{key} ({path}, line {line})")
        if index and times[index] <= times[index - 1]:
            raise _RefusedError(
                key, f"{path}, line {line}: time {time:g} does not come after the one above; order the rows"
            )
    if times[0] != 0:
        raise _RefusedError(key, f"{path}: begins at {times[0]:g} s; times count from the event, and the first is 0")
    return times, values


def _header_units(header: list[str], path: Path, key: str) -> tuple[str, str]:
    parts = [each.partition("_") for each in header]
    if [part[0] for part in parts] != ["time", "concentration"] or not all(part[2] for part in parts):
        raise _RefusedError(key, f"{path}: got the header {','.join(header)!r}; the two columns with their units are "
                            f"needed, such as {_HEADER}")  # fmt: skip
    time, concentration = parts[0][2], parts[1][2]
    if not _is(f"1 {time}", "s"):
        raise _RefusedError(key, f"{path}: {time!r} is no unit of time; write the header as in {_HEADER}")
    return time, concentration


def _row(row: list[str], where: str, key: str) -> tuple[float, float]:
    """Time and concentration of a line, finite and not negative."""
    if len(row) != 2:
        raise _RefusedError(key, f"{where}: has {len(row)} columns; 2 are needed")
    try:
        time, value = (float(each) for each in row)
    except ValueError:
        raise _RefusedError(key, f"{where}: got {','.join(row)!r}; two numbers are needed") from None
    if not (math.isfinite(time) and math.isfinite(value)):
        raise _RefusedError(key, f"{where}: got {','.join(row)!r}; finite numbers are needed")
    if value < 0:
        raise _RefusedError(key, f"{where}: got a concentration of {value:g}; a number of at least 0 is needed")
    return time, value
