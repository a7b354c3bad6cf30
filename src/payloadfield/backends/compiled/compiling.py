"""A word before Numba compiles a mechanism, which takes a while, once on each machine."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType

_log = logging.getLogger(__name__)


def announce_compiling(name: str, code: ModuleType) -> None:
    """Say that a mechanism is about to be compiled, unless Numba has kept its machine code."""
    if not is_compiled(code):  # a warning is seen where nobody has set up logging, as in a notebook
        _log.warning("Compiling the mechanism %s for this machine, once ...", name)


def is_compiled(code: ModuleType) -> bool:
    """Numba has kept machine code of a generated module, in the folder that it keeps such code in."""
    functions = [item for item in vars(code).values() if hasattr(item, "stats")]
    stem = Path(str(code.__file__)).stem
    return any(next(Path(item.stats.cache_path).glob(f"{stem}.*.nbi"), None) for item in functions[:1])
