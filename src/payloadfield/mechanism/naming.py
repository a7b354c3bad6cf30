"""Identifiers of generated code: the names of the mechanism file stay as they are; ours give way to them."""

from __future__ import annotations

import keyword
from collections.abc import Iterable

from payloadfield.mechanism.model import CONSTANTS

# Arguments, loop variables and modules of the generated functions, and words that the targets keep for themselves.
_ARGUMENTS = """
fields states p cp start voxel weight d_states entry_source base_fields base_states sg lu entry_schur rhs f out_entry
increment sign increments out capacity cap_index jac first last flux gain present
"""
_LOCALS = "a c e v w k n n_chunk n_cell cell partial branches np njit prange range min max abs print len"
_CONSTANTS = (
    "FIELDS STATES EXCHANGED ANSWERING ABSORBING N_LU N_SCHUR SCHUR_PAIRS VOXEL_PAIRS BATH_PAIRS CELL_CHUNK VOXEL_CHUNK"
)
_WORDS_OF_C = """
double float int real long short char bool void auto const static struct switch case default do goto register return
signed sizeof typedef union unsigned volatile extern inline restrict this new delete template class public private
operator true false exp log sqrt pow raised hill hill_slope if_less
"""
_RESERVED = " ".join((_ARGUMENTS, _LOCALS, _CONSTANTS, _WORDS_OF_C))


class Names:
    """Gives every symbol of a mechanism, and every intermediate value, an identifier of its own."""

    def __init__(self, own: Iterable[str], reserved: Iterable[str] = ()) -> None:
        """Take the mechanism's own names; reserved: words that one target keeps for itself."""
        self.identifiers: dict[str, str] = {name: name for name in CONSTANTS} | {"w.": "w", "increment.": "increment_v"}
        self.identifiers |= {"sg.": "sg", "sign.": "sign"}
        self.taken = {*_RESERVED.split(), *reserved, *keyword.kwlist, *self.identifiers.values()}
        for name in own:
            self.of(name)

    def of(self, name: str) -> str:
        """The identifier of a symbol."""
        if name not in self.identifiers:
            identifier = name.replace(".", "_")
            while identifier in self.taken:
                identifier += "_"
            self.taken.add(identifier)
            self.identifiers[name] = identifier
        return self.identifiers[name]
