"""payloadfield: spatial reaction-diffusion of antibody-drug conjugates in printed scaffolds.

`load_study` reads a study file, `simulate` runs it, `open_run` reads what a run left. Each is loaded when first used,
so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payloadfield.store.reader import Run, open_run
    from payloadfield.store.simulate import Result, resume, simulate
    from payloadfield.study import Study, load_study

__all__ = ["Result", "Run", "Study", "__version__", "load_study", "open_run", "resume", "simulate"]

_HOMES = {
    "Result": "payloadfield.store.simulate",
    "Run": "payloadfield.store.reader",
    "Study": "payloadfield.study",
    "load_study": "payloadfield.study",
    "open_run": "payloadfield.store.reader",
    "resume": "payloadfield.store.simulate",
    "simulate": "payloadfield.store.simulate",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its home when it is first asked for."""
    if name == "__version__":
        import importlib.metadata

        return importlib.metadata.version("payloadfield")
    if name not in _HOMES:
        raise AttributeError(f"module 'payloadfield' has no attribute {name!r}; it has {', '.join(__all__)}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
