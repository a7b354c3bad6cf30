"""What the literature says about molecules, cell lines and materials: value, unit, range, grade and source."""

from payloadfield.library.describe import Description, ValueRow, describe, describe_entry
from payloadfield.library.entry import Entry, make_conjugate
from payloadfield.library.limits import LIMITS, limits_of
from payloadfield.library.loader import KINDS, Library, load_library
from payloadfield.library.quantity import FLAGS, GRADES, Quantity, count_grades
from payloadfield.library.units_of_values import UNITS, unit_of

__all__ = [
    "FLAGS",
    "GRADES",
    "KINDS",
    "LIMITS",
    "UNITS",
    "Description",
    "Entry",
    "Library",
    "Quantity",
    "ValueRow",
    "count_grades",
    "describe",
    "describe_entry",
    "limits_of",
    "load_library",
    "make_conjugate",
    "unit_of",
]
