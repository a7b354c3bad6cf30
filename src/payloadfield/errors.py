"""Our exceptions: each message says what is wrong, where, what was found, what is allowed, and what to do."""


class PayloadfieldError(Exception):
    """Base of every refusal of ours; the command line prints its message and exits with code 1."""


class UnitsError(PayloadfieldError):
    """A quantity has no unit, an unknown unit, or one of the wrong dimension."""


class MechanismError(PayloadfieldError):
    """A mechanism file is inconsistent: unknown names, unbalanced reactions, wrong units, forbidden expressions."""


class GeometryError(PayloadfieldError):
    """A grid, shape, material or boundary cannot be built as asked."""


class LibraryError(PayloadfieldError):
    """A molecule, cell type or material is not in the library, or an entry of the library is malformed."""


class CellsError(PayloadfieldError):
    """Cells cannot be placed as asked."""


class StudyError(PayloadfieldError):
    """A study file is inconsistent: unknown keys, wrong units, values out of range, events out of order."""


class BackendError(PayloadfieldError):
    """A backend asked for by name cannot be used here."""


class ResourceError(PayloadfieldError):
    """The machine lacks the memory or the disk space that a run needs."""


class SolverError(PayloadfieldError):
    """The integration cannot go on: a non-finite value, or a step size that shrank to nothing."""


class RunError(PayloadfieldError):
    """A run directory exists already, is damaged, or belongs to another study."""
