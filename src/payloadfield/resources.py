"""Finds the folders that travel beside the code: kernels/ and seeds/, in a checkout or in an installed wheel."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from payloadfield.errors import ResourceError

_FOLDERS = ("kernels", "seeds")


def find_folder(name: str) -> Path:
    """Folder `kernels` or `seeds`: beside src/ in a checkout, in payloadfield/_resources of a wheel.

    Raises ResourceError where neither is there.
    """
    if name not in _FOLDERS:
        raise ResourceError(f"there is no resource folder {name!r}; there are: {', '.join(_FOLDERS)}")
    package = Path(str(files("payloadfield")))
    places = [package.parents[1] / name, package / "_resources" / name]
    in_checkout = (package.parents[1] / "pyproject.toml").is_file()
    for place in places if in_checkout else places[1:]:
        if place.is_dir():
            return place
    raise ResourceError(f"the folder {name!r} is missing from this installation ({places[1]}); reinstall payloadfield")


def list_seeds() -> tuple[str, ...]:
    """Names of the studies that come with payloadfield: the folders of seeds/ with a study.toml."""
    return tuple(sorted(path.parent.name for path in find_folder("seeds").glob("*/study.toml")))


def find_seed(name: str) -> Path:
    """Folder of one study that comes with payloadfield.  Raises ResourceError for a name that is not there."""
    from difflib import get_close_matches

    names = list_seeds()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ResourceError(f"there is no seed study {name!r}; {hint}there are: {', '.join(names) or 'none'}")
    return find_folder("seeds") / name
