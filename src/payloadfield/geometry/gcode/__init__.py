"""Scaffolds given as G-code: reading a file, its strands, and their distances on a grid."""

from payloadfield.geometry.gcode.machine import UNITS as GCODE_UNITS
from payloadfield.geometry.gcode.reading import read_gcode
from payloadfield.geometry.gcode.shape import Print
from payloadfield.geometry.gcode.strands import PrintedStrands, PrintSettings, make_strands, place_print
from payloadfield.geometry.gcode.summary import PrintSummary, summarise_print
from payloadfield.geometry.gcode.toolpath import Code, Switch, Toolpath

__all__ = [
    "GCODE_UNITS", "Code", "Print", "PrintSettings", "PrintSummary", "PrintedStrands", "Switch", "Toolpath",
    "make_strands", "place_print", "read_gcode", "summarise_print",
]  # fmt: skip
