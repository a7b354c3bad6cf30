"""How a library that reads other people's files may end on one that is damaged or hostile."""

import struct
import zlib

READER_ERRORS = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, EOFError, ArithmeticError, AssertionError,
    NotImplementedError, RuntimeError, MemoryError, SyntaxError, struct.error, zlib.error,
)  # fmt: skip
"""Of every format; a reader adds what its own library raises besides."""
