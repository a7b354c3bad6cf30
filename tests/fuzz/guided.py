"""The same as the harness, guided by coverage: atheris changes inputs so that they reach new lines of the readers.

python -m tests.fuzz.guided FORMAT SECONDS FOLDER
"""

import importlib
import resource
import sys
from pathlib import Path

import atheris
from tests.fuzz import corpus

#: What reads a format; imported here, so that its lines are counted.
LIBRARIES = {"tif": "tifffile", "nrrd": "nrrd", "nii": "nibabel", "nii.gz": "nibabel", "npy": "numpy.lib.format"}

with atheris.instrument_imports(include=["tifffile", "nrrd", "nibabel", "trimesh", "payloadfield"]):
    importlib.import_module(LIBRARIES.get(sys.argv[1], "trimesh") if len(sys.argv) > 1 else "trimesh")
    from tests.fuzz import harness


def main() -> None:
    """Fuzz one format for a while; the input of a finding stays in the folder."""
    kind, seconds, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    inputs = folder / f"corpus.{kind}"
    inputs.mkdir(parents=True, exist_ok=True)
    (folder / "findings").mkdir(exist_ok=True)
    for number, data in enumerate(corpus.files_of(kind)):
        (inputs / f"valid-{number}").write_bytes(data)
    resource.setrlimit(resource.RLIMIT_AS, (harness.MOST_MEMORY, harness.MOST_MEMORY))

    def one(data: bytes) -> None:
        harness.is_refused(kind, data, folder)

    limits = [f"-max_total_time={seconds}", f"-timeout={harness.MOST_SECONDS}", "-max_len=20000", "-rss_limit_mb=2500"]
    quiet = ["-verbosity=0", "-print_final_stats=1", f"-artifact_prefix={folder}/findings/{kind}-"]
    atheris.Setup([sys.argv[0], *limits, *quiet, str(inputs)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
