"""Fuzz all readers for so many minutes, each in processes of its own: python -m tests.fuzz.run MINUTES [FOLDER].

Half the time goes to blind mutations of valid files, half to atheris where it is installed. Inputs of findings stay in
FOLDER/findings; exit status 1 if there are any.
"""

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.harness import READERS

#: Seconds in which a process may start and end, beyond its share.
SLACK = 300


def main() -> int:
    """Fuzz every format in turn."""
    minutes, folder = float(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else ".fuzz")
    ways = ["harness"] + (["guided"] if importlib.util.find_spec("atheris") else [])
    share = 60 * minutes / (len(READERS) * len(ways))
    findings = 0
    for way in ways:
        for kind in READERS:
            findings += _run(way, kind, share, folder / way / kind)
    print(f"{findings} findings" + (f", below {folder}" if findings else ""))
    return 1 if findings else 0


def _run(way: str, kind: str, seconds: float, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + seconds
    found, n_starts = 0, 0
    while (left := end - time.monotonic()) > 1 and n_starts < 20:
        n_starts += 1
        command = [sys.executable, "-m", f"tests.fuzz.{way}", kind, str(round(left)), str(folder)]
        with (folder / "log.txt").open("ab") as log:
            try:
                status = subprocess.run(command, stdout=log, stderr=log, timeout=left + SLACK, check=False).returncode
            except subprocess.TimeoutExpired:
                status = 1
        if status == 0:
            break
        found += 1  # a crash of the process, or the end of atheris at a finding
    found += (
        sum(1 for _ in (folder / "findings").glob("*")) if way == "harness" and (folder / "findings").exists() else 0
    )
    print(f"{way} {kind}: {n_starts} starts, {found} findings", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
