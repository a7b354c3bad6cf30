"""One input through one reader: it is read, or refused by one of our errors; anything else is a finding.

Run as a script it mutates small valid files for so many seconds, in this process, under limits of memory and time,
and leaves the inputs of findings in a folder:
    python -m tests.fuzz.harness FORMAT SECONDS FOLDER
"""

import faulthandler
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.fuzz import corpus

from payloadfield.errors import PayloadfieldError

#: More address space than this, or more seconds for one input, are a finding.
MOST_MEMORY, MOST_SECONDS = 3 * 2**30, 5


def read_whole(path: Path) -> None:
    """Every plane of an image."""
    from payloadfield.geometry.image import read_image

    stack = read_image(path)
    for k in range(stack.shape[0]):
        assert stack.plane(k).shape == stack.shape[1:]


def read_triangles(path: Path) -> None:
    """A mesh, mended on the way."""
    from payloadfield.geometry import read_mesh

    assert np.isfinite(read_mesh(path, "um", repair=True).volume)


#: What reads the files of a format, by the end of their names.
READERS: dict[str, Callable[[Path], None]] = {
    "tif": read_whole,
    "nrrd": read_whole,
    "nii": read_whole,
    "nii.gz": read_whole,
    "npy": read_whole,
    "stl": read_triangles,
    "ply": read_triangles,
    "obj": read_triangles,
    "3mf": read_triangles,
}


def is_refused(kind: str, data: bytes, folder: Path) -> bool:
    """Whether an input was refused by an error of ours with one line; other errors go on."""
    path = folder / f"input.{kind}"
    path.write_bytes(data)
    try:
        READERS[kind](path)
    except PayloadfieldError as error:
        assert "\n" not in str(error), f"a message of several lines: {error}"
        return True
    return False


def mutated(data: bytes, others: list[bytes], random_numbers: random.Random) -> bytes:
    """An input with some bytes changed, left out, doubled, or taken from another one."""
    found = bytearray(data)
    for _ in range(random_numbers.choice((1, 1, 2, 3, 8))):
        place = random_numbers.randrange(max(1, len(found)))
        match random_numbers.randrange(8):
            case 0:
                found[place : place + 1] = bytes([random_numbers.randrange(256)])
            case 1:
                width = random_numbers.choice((2, 4, 8))
                value = random_numbers.choice((0, 1, 2**7, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**63 - 1))
                order: Any = random_numbers.choice(("little", "big"))
                found[place : place + width] = (value % 2 ** (8 * width)).to_bytes(width, order)
            case 2:
                del found[place : place + random_numbers.choice((1, 2, 4, 16, 64))]
            case 3:
                del found[place:]
            case 4:
                found[place:place] = found[place : place + random_numbers.choice((1, 4, 12, 64))]
            case 5:
                other = random_numbers.choice(others)
                start = random_numbers.randrange(max(1, len(other)))
                found[place : place + 32] = other[start : start + random_numbers.choice((4, 12, 32))]
            case 6:
                found[place : place + 1] = bytes([found[place] ^ (1 << random_numbers.randrange(8))] if found else [0])
            case 7:
                # Numbers in text headers.
                digits = [i for i, byte in enumerate(found) if 48 <= byte <= 57]
                if digits:
                    at = random_numbers.choice(digits)
                    words = (b"0", b"-1", b"9", b"99999999999", b"1e30", b"nan", b"2147483648")
                    found[at : at + 1] = random_numbers.choice(words)
    return bytes(found)


def fuzz(kind: str, seconds: float, folder: Path, seed: int) -> int:
    """Mutate the corpus of a format for a while; number of inputs tried. Inputs of findings stay in the folder."""
    random_numbers, inputs = random.Random(seed), corpus.files_of(kind)
    end, n, refused = time.monotonic() + seconds, 0, 0
    signal.signal(signal.SIGALRM, _too_long)
    while time.monotonic() < end:
        data = mutated(random_numbers.choice(inputs), inputs, random_numbers)
        n += 1
        # A crash of the interpreter leaves the last input here.
        (folder / f"last.{kind}").write_bytes(data)
        signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
        try:
            refused += is_refused(kind, data, folder)
        except BaseException as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if isinstance(error, KeyboardInterrupt):
                raise
            _keep(kind, data, folder, error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    (folder / f"last.{kind}").unlink(missing_ok=True)
    print(f"{kind}: {n:,} inputs, {refused:,} refused", flush=True)
    return n


class TooLongError(BaseException):
    """One input took too many seconds."""


def _too_long(*_: object) -> None:
    raise TooLongError


def _keep(kind: str, data: bytes, folder: Path, error: BaseException) -> None:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    place = frames[-1]
    name = f"{type(error).__name__}-{Path(place.filename).stem}-{place.lineno}.{kind}"
    target = folder / "findings" / name
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(data)
        print(f"finding {name}: {error}", flush=True)


def main() -> None:
    """Fuzz one format for a while."""
    kind, seconds, folder = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else time.time_ns()
    folder.mkdir(parents=True, exist_ok=True)
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    fuzz(kind, seconds, folder, seed)


if __name__ == "__main__":
    main()
