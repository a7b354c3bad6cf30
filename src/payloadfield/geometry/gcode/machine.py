"""A printer's state while it goes through a file: where the nozzle is, in which units, and what comes out.

Conventions are those of Marlin, which slicers write for: E is relative after M83, and within G91 unless M82 came later;
I and J are relative to the start of an arc; G92 renames the place where the nozzle is. Filament drawn back has to be
pushed back before anything comes out again.
"""

from array import array
from collections.abc import Mapping, Sequence

from payloadfield.errors import GeometryError
from payloadfield.geometry.gcode.arcs import centre_by_radius, chords
from payloadfield.geometry.gcode.comments import Comments
from payloadfield.geometry.gcode.toolpath import Switch
from payloadfield.geometry.gcode.words import Words, code_of, some_words_of, words_of

#: Units of length, in um.
UNITS = {"um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0}

# Ten metres [um]: no printer goes further, and coordinates beyond are in another unit.
FURTHEST = 1e7
# A hundred kilometres: filament pushed in, or the radius of an arc that is nearly straight.
LARGEST = 1e11
MOST_MOVES = 5_000_000
MOST_CODES, LONGEST_CODE_SHOWN = 1000, 24
#: Columns of a move: from x, y, z to x, y, z; filament, volume; width, height; head, kind, layer.
COLUMNS = 13

_REFUSED = {
    "G5": "splines are not read", "G5.1": "splines are not read", "G51": "scaling is not read",
    "G52": "shifted coordinates are not read", "G68": "turned coordinates are not read",
    "G90.1": "centres of arcs in absolute coordinates are not read", "G92.1": "shifted coordinates are not read",
    **{f"G{n}": "a second system of coordinates is not read" for n in range(55, 60)},
}  # fmt: skip
_AXES = {"X": 0, "Y": 1, "Z": 2}
_USED = frozenset("GXYZEIJRFSTN")


class Machine:
    """The printer; `feed` gives it line after line, `moves` has what it extruded, COLUMNS numbers a move.

    unit: of lengths whatever the file says; None to follow G20 and G21, with millimetres before either
    switches: how pressure is turned on and off; none where the E axis says what comes out
    volumetric: whether E counts volume instead of length of filament
    """

    def __init__(
        self, name: str, *, unit: str | None = None, switches: Sequence[Switch] = (), volumetric: bool = False
    ) -> None:
        self.name, self.line = name, 0
        self.unit, self.scale, self.follows_file = unit or "mm", UNITS[unit or "mm"], unit is None
        self.switches, self.volumetric = switches, volumetric
        self.switch_codes = {code.name for each in switches for code in (*each.on, *each.off)}
        self.comments = Comments(UNITS[unit] if unit else UNITS["mm"])
        self.place = [0.0, 0.0, 0.0]
        self.origin = [0.0, 0.0, 0.0]
        self.is_known, self.began_known = [False, False, False], False
        self.is_relative = self.e_relative = self.e_with_axes = False
        self.e, self.drawn_back = 0.0, 0.0
        self.head, self.open_head, self.is_on = "T0", "", False
        self.heads: dict[str, int] = {}
        self.plane, self.motion = "G17", ""
        self.moves = array("d")
        self.n_standing = self.n_travels = self.n_understood = 0
        self.unknown_start = -1
        self.ignored: dict[str, int] = {}

    @property
    def where(self) -> str:
        """The file and the line, for messages."""
        return f"{self.name}, line {self.line:,}"

    def feed(self, text: str, line: int) -> None:
        """One line without comment, in capitals.  Raises GeometryError for what cannot be read or understood."""
        self.line = line
        code = code_of(text)
        if code is None:
            self._without_code(text)
        elif code in self.switch_codes and self._switch(code, text):
            self.n_understood += 1
        elif code[0] == "T" or code in _HANDLED:
            words = words_of(text)
            if words is None and code == "G28":
                words = [("G", "28"), *((letter, "0") for letter in "XYZ" if letter in text[2:])]
            if words is None:
                raise GeometryError(f"{self.where}: cannot be read: {_show(text)}; was the file cut off or damaged?")
            self._commands(words)
        elif code in _REFUSED:
            raise GeometryError(f"{self.where}: {code}: {_REFUSED[code]}; write the file without it")
        else:
            self.ignore(code)

    def ignore(self, code: str) -> None:
        """Count a line that has no effect here."""
        if len(code) > LONGEST_CODE_SHOWN:
            code = code[:LONGEST_CODE_SHOWN] + "..."
        key = code if code in self.ignored or len(self.ignored) < MOST_CODES else "others"
        self.ignored[key] = self.ignored.get(key, 0) + 1

    def _without_code(self, text: str) -> None:
        """Words alone go on with the last kind of move; other text is for firmware of its own kind."""
        words = words_of(text) if text[0] in "XYZEIJRF" else None
        if words is not None and (self.motion or {letter for letter, _ in words} <= {"F"}):
            if self.motion:
                self._commands([(self.motion[0], self.motion[1:]), *words])
        elif text[0] in "XYZ" and text[1:2] in ("", "-", "+", ".", *"0123456789"):
            raise GeometryError(f"{self.where}: cannot be read: {_show(text)}; was the file cut off or damaged?")
        else:
            self.ignore(text.split()[0])

    def _commands(self, words: Words) -> None:
        """Each code of a line with the words that follow it."""
        starts = [i for i, (letter, _) in enumerate(words) if letter in "GMT"]
        for first, last in zip(starts, [*starts[1:], len(words)], strict=True):
            letter, number = words[first]
            code = code_of(letter + number.lstrip("+")) or letter + number
            own = dict(words[first + 1 : last])
            if letter == "T":
                self._choose_head(code)
            elif code in _HANDLED:
                getattr(self, _HANDLED[code])(code, own)
            elif code in _REFUSED:
                raise GeometryError(f"{self.where}: {code}: {_REFUSED[code]}; write the file without it")
            else:
                self.ignore(code)
                continue
            self.n_understood += 1

    def _switch(self, code: str, text: str) -> bool:
        """Whether a line opens or closes a head; done, if so."""
        words = {letter: float(number) for letter, number in some_words_of(text)[1:]}
        for each in self.switches:
            fits = [[c for c in codes if c.name == code and _fits(c.words, words)] for codes in (each.on, each.off)]
            if not any(fits):
                continue
            # A fan or a pump at strength zero is off, unless the study says which strength means what.
            by_strength = bool(fits[0]) and words.get("S") == 0 and "S" not in dict(fits[0][0].words)
            self.is_on = bool(fits[0]) and not by_strength
            self.open_head = each.head or ""
            return True
        return False

    def _choose_head(self, code: str) -> None:
        if code != self.head:
            self.head, self.drawn_back = code, 0.0

    def _set_unit(self, code: str, words: Mapping[str, str]) -> None:
        if self.follows_file:
            self.unit = "inch" if code == "G20" else "mm"
            self.scale = UNITS[self.unit]

    def _set_mode(self, code: str, words: Mapping[str, str]) -> None:
        match code:
            case "G90":
                self.is_relative = self.e_with_axes = False
            case "G91":
                self.is_relative = self.e_with_axes = True
            case "M82":
                self.e_relative = self.e_with_axes = False
            case "M83":
                self.e_relative = True
            case _:
                self.plane = code

    def _set_volumetric(self, code: str, words: Mapping[str, str]) -> None:
        self.volumetric = any(float(words[key]) > 0 for key in ("D", "S") if key in words)

    def _go_home(self, code: str, words: Mapping[str, str]) -> None:
        for letter, axis in _AXES.items():
            if letter in words or not words.keys() & _AXES.keys():
                self.place[axis] = self.origin[axis] = 0.0
                self.is_known[axis] = False

    def _rename_place(self, code: str, words: Mapping[str, str]) -> None:
        for letter in words.keys() & {"X", "Y", "Z", "E"} or {"X", "Y", "Z", "E"}:
            value = self._length(words, letter)
            if letter == "E":
                self.e = value
            else:
                self.origin[_AXES[letter]] = self.place[_AXES[letter]] - value
                self.is_known[_AXES[letter]] = True

    def _change_tool(self, code: str, words: Mapping[str, str]) -> None:
        """M6 stands before or behind its T, which is a command of its own."""

    def _straight(self, code: str, words: Mapping[str, str]) -> None:
        """G0, G1; and G7 of bioprinters, which is always relative."""
        start, end = self._start(words), self._end(words, is_relative=self.is_relative or code == "G7")
        self.motion = "" if code == "G7" else code
        self._extrude(start, [(*end, 1.0)], *self._pushed(words))

    def _arc(self, code: str, words: Mapping[str, str]) -> None:
        if self.plane != "G17":
            raise GeometryError(f"{self.where}: an arc in the plane of {self.plane}; only arcs in G17 (x, y) are read")
        start, end = self._start(words), self._end(words, is_relative=self.is_relative)
        (x0, y0, z0), (x1, y1, z1) = start, end
        clockwise, self.motion = code == "G2", code
        if "R" in words:
            radius = self._length(words, "R")
            centre = centre_by_radius((x0, y0), (x1, y1), radius, clockwise=clockwise, where=self.where)
        elif "I" in words or "J" in words:
            i, j = (self._length(words, letter) for letter in "IJ")
            centre = x0 + i, y0 + j
        else:
            raise GeometryError(f"{self.where}: an arc without I, J or R; where is its centre?")
        pushed = self._pushed(words)
        path = [(x1, y1, z1, 1.0)]
        if self._comes_out(*pushed):
            found = chords((x0, y0), (x1, y1), centre, clockwise=clockwise, where=self.where)
            path = [(x, y, z0 + (z1 - z0) * share, share) for x, y, share in found]
        self._extrude(start, path, *pushed)

    def _start(self, words: Mapping[str, str]) -> tuple[float, float, float]:
        for letter in words.keys() - _USED:
            self.ignore(f"word {letter}")
        self.began_known = all(self.is_known)
        x, y, z = self.place
        return x, y, z

    def _end(self, words: Mapping[str, str], *, is_relative: bool) -> tuple[float, float, float]:
        for letter, axis in _AXES.items():
            if letter in words:
                value = self._length(words, letter)
                self.place[axis] = value + (self.place[axis] if is_relative else self.origin[axis])
                self.is_known[axis] |= not is_relative
                if not abs(self.place[axis]) <= FURTHEST:
                    raise GeometryError(
                        f"{self.where}: goes to {letter} = {self.place[axis] / 1e6:.4g} m; no printer does: the "
                        f"coordinates count as {self.unit}; set unit to what they are"
                    )
        x, y, z = self.place
        return x, y, z

    def _pushed(self, words: Mapping[str, str]) -> tuple[float, float]:
        """Filament [um] and volume [um^3] that come out at this move; 1, 0 where pressure drives what comes out."""
        if self.switches:
            if "E" in words:
                self.ignore("word E")
            return (1.0, 0.0) if self.is_on else (0.0, 0.0)
        if "E" not in words:
            return 0.0, 0.0
        value = self._length(words, "E")
        step = value if self.e_relative or self.e_with_axes else value - self.e
        self.e = self.e + step
        out = max(0.0, step - self.drawn_back)
        self.drawn_back = max(0.0, self.drawn_back - step)
        # What counts volume was scaled as a length, once; a volume is scaled three times.
        return (0.0, out * self.scale**2) if self.volumetric else (out, 0.0)

    def _comes_out(self, filament: float, volume: float) -> bool:
        return filament > 0 or volume > 0

    def _extrude(
        self,
        start: tuple[float, float, float],
        path: Sequence[tuple[float, float, float, float]],
        filament: float,
        volume: float,
    ) -> None:
        """Keep the pieces of a move if anything comes out along it."""
        if not self._comes_out(filament, volume):
            self.n_travels += 1
            return
        if len(path) == 1 and path[0][:3] == start:
            self.n_standing += not self.switches
            return
        if not self.began_known and self.unknown_start < 0:
            self.unknown_start = len(self.moves) // COLUMNS
        if len(self.moves) > COLUMNS * MOST_MOVES:
            raise GeometryError(f"{self.where}: more than {MOST_MOVES:,} strands; is it one print?")
        head = self.heads.setdefault(self.open_head or self.head, len(self.heads))
        comments, before = self.comments, 0.0
        for x, y, z, share in path:
            part = share - before
            row = (*start, x, y, z, filament * part, volume * part, comments.width, comments.height)
            self.moves.extend((*row, head, comments.kind, comments.layer))
            start, before = (x, y, z), share

    def _length(self, words: Mapping[str, str], letter: str) -> float:
        """A length on a line [um]; 0 where it is not there."""
        value = float(words.get(letter, "0")) * self.scale
        if not abs(value) <= LARGEST:
            raise GeometryError(f"{self.where}: {letter} = {value / 1e9:.3g} km, which is no length of a print")
        return value


_HANDLED = {
    **dict.fromkeys(("G0", "G1", "G7"), "_straight"),
    **dict.fromkeys(("G2", "G3"), "_arc"),
    **dict.fromkeys(("G20", "G21"), "_set_unit"),
    **dict.fromkeys(("G90", "G91", "M82", "M83", "G17", "G18", "G19"), "_set_mode"),
    "G28": "_go_home",
    "G92": "_rename_place",
    "M6": "_change_tool",
    "M200": "_set_volumetric",
}


def _fits(wanted: tuple[tuple[str, float], ...], words: Mapping[str, float]) -> bool:
    return all(words.get(letter) == value for letter, value in wanted)


def _show(text: str, most: int = 60) -> str:
    return repr(text if len(text) <= most else text[:most] + "...")
