"""What slicers say in comments: layer, kind of line, width and height of a strand, and whether the file is whole."""

import math
import re

from payloadfield.geometry.gcode.toolpath import NO_TYPE

MOST_KINDS, LONGEST_KIND = 1000, 60

# PrusaSlicer and Cura; Bambu and Orca; Simplify3D.
_KIND = re.compile(r"TYPE:[ ]*(\S.*)|FEATURE:[ ]*(\S.*)|feature (\S.*)")
_LAYER = re.compile(r"(LAYER:)[ ]*-?\d+|(LAYER_CHANGE)|(CHANGE_LAYER)|(layer )\d+\b")
_NUMBER = r"[ ]*(\d+(?:\.\d*)?|\.\d+)"
_WIDTH = re.compile(rf"(?:WIDTH:|LINE_WIDTH:){_NUMBER}")
_HEIGHT = re.compile(rf"(?:HEIGHT:|LAYER_HEIGHT:){_NUMBER}")
_PROGRAM = re.compile(r"(?i)generated (?:by|with) (.{1,80})")
_LAYER_COUNT = re.compile(r"LAYER_COUNT:[ ]*(\d{1,9})")
_PRUSA = re.compile(r"(?i)prusaslicer|superslicer|slic3r")
# Begin and end of a section without which a file is not whole.
_SECTIONS = {"EXECUTABLE_BLOCK_START": "EXECUTABLE_BLOCK_END", "CONFIG_BLOCK_START": "CONFIG_BLOCK_END"}
_SECTIONS_ENDING = {end: begin for begin, end in _SECTIONS.items()}


class Comments:
    """What the comments up to a line said.

    layer: counted from 1, 0 before the first one; kind: position in kinds; width, height: NaN until they are said [um]
    scale: of the lengths in comments [um]
    """

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.layer = self.kind = 0
        self.width = self.height = math.nan
        self.kinds: dict[str, int] = {NO_TYPE: 0}
        self.program = ""
        self.promised_layers = 0
        self._layer_mark = ""
        self._ended_layers = 0
        self._is_ended = False
        self._is_summed_up = False
        self._open: set[str] = set()

    def read(self, comment: str) -> None:
        """One comment, without its semicolon."""
        comment = comment.lstrip("; ")
        if found := _KIND.match(comment):
            self._set_kind(next(filter(None, found.groups())).strip())
        elif found := _LAYER.match(comment):
            self._count_layer(next(filter(None, found.groups())))
        elif found := _WIDTH.match(comment):
            self.width = self._length(found[1])
        elif found := _HEIGHT.match(comment):
            self.height = self._length(found[1])
        elif found := _LAYER_COUNT.match(comment):
            self.promised_layers = int(found[1])
        elif comment.startswith("End of Gcode"):
            self._is_ended = True
        elif comment.startswith("TIME_ELAPSED:"):
            self._ended_layers += 1
        elif found := _PROGRAM.match(comment):
            self.program = self.program or found[1].strip()
        elif "filament used" in comment or "_config = end" in comment:
            self._is_summed_up = True
        self._follow_sections(comment)

    @property
    def names_layers(self) -> bool:
        """Whether a comment told where a layer begins."""
        return bool(self._layer_mark)

    def what_is_missing(self) -> str:
        """Why the file cannot be whole; empty where nothing speaks for it."""
        if self._is_ended:  # as Cura says; it may announce layers that come out empty
            return ""
        if self._ended_layers and self._ended_layers < self.layer:
            return f"layer {self.layer:,} does not end with TIME_ELAPSED, as the others do"
        if self.promised_layers > self.layer:
            return f"it announces {self.promised_layers:,} layers and has {self.layer:,}"
        if self._open:
            return f"it has no {_SECTIONS[min(self._open)]} for its {min(self._open)}"
        if _PRUSA.search(self.program) and not self._is_summed_up:
            return "its slicer ends a file with 'filament used', which is not there"
        return ""

    def _set_kind(self, name: str) -> None:
        name = name[:LONGEST_KIND]
        if name in self.kinds or len(self.kinds) < MOST_KINDS:
            self.kind = self.kinds.setdefault(name, len(self.kinds))

    def _count_layer(self, mark: str) -> None:
        """One kind of mark counts: files that carry two would have every layer twice."""
        self._layer_mark = self._layer_mark or mark
        self.layer += mark == self._layer_mark

    def _length(self, text: str) -> float:
        value = float(text) * self.scale if len(text) < 100 else math.inf
        return value if 0 < value < 1e9 else math.nan

    def _follow_sections(self, comment: str) -> None:
        word = comment.split()[0] if comment else ""
        if word in _SECTIONS:
            self._open.add(word)
        elif word in _SECTIONS_ENDING:
            self._open.discard(_SECTIONS_ENDING[word])
