"""Readers of files with changed bytes: read, or refused by one error of ours; and what longer fuzzing found."""

import gzip
import random
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz import corpus, harness

for _library in ("tifffile", "nrrd", "nibabel", "trimesh"):
    pytest.importorskip(_library)

KINDS = list(harness.READERS)
CORPUS = {kind: corpus.files_of(kind) for kind in KINDS}
# The same inputs each time: make fuzz is where new ones are tried.
QUIET = settings(deadline=None, derandomize=True, max_examples=150, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_were_not_changed_are_read(kind, tmp_path):
    assert CORPUS[kind]
    assert not any(harness.is_refused(kind, data, tmp_path) for data in CORPUS[kind])


@pytest.mark.parametrize("kind", KINDS)
@QUIET
@given(seed=st.integers(0, 2**32))
def test_changed_files_are_read_or_refused_in_one_sentence(kind, seed):
    numbers = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        harness.is_refused(kind, harness.mutated(numbers.choice(CORPUS[kind]), CORPUS[kind], numbers), Path(folder))


@pytest.mark.parametrize("kind", ["tif", "nii", "nrrd", "stl"])
@QUIET
@given(data=st.binary(max_size=600))
def test_bytes_of_any_kind_are_refused(kind, data):
    with tempfile.TemporaryDirectory() as folder:
        assert harness.is_refused(kind, data, Path(folder)) or not data or kind in ("stl", "nrrd")


def test_the_harness_sees_what_is_no_refusal(tmp_path, monkeypatch):
    def read(path):
        raise KeyError(path)

    monkeypatch.setitem(harness.READERS, "tif", read)
    with pytest.raises(KeyError):
        harness.is_refused("tif", b"II", tmp_path)


def nrrd(*lines: str, data: bytes = b"\0" * 384) -> bytes:
    return "\n".join(("NRRD0005", "type: uint16", "dimension: 3", "endian: little", *lines, "", "")).encode() + data


def nifti(**fields) -> bytes:
    import nibabel
    import numpy as np

    image = nibabel.Nifti1Image(np.zeros((4, 3, 2), np.int16), np.eye(4))
    image.header.set_xyzt_units("micron")
    for name, value in fields.items():
        image.header[name] = value
    return image.header.binaryblock + b"\0" * 4 + bytes(48)


#: Found by fuzzing; each ended in an error of another library, or took more than 5 seconds.
FOUND = {
    "planes without end": ("nrrd", nrrd("sizes: 8 6 2147483648", "encoding: raw", "spacings: 1 2 3")),
    "too few directions": (
        "nrrd",
        nrrd(
            "space dimension: 3", "sizes: 8 6 4", "space directions: (1,0,0)", "encoding: raw", 'space units: "um" "um"'
        ),
    ),
    "packed with errors": (
        "nrrd",
        nrrd("sizes: 8 6 4", "encoding: gzip", data=gzip.compress(bytes(384))[:10] + b"\xff" * 30),
    ),
    "packed header with errors": ("nii.gz", gzip.compress(nifti())[:10] + b"\xff" * 30),
    "values of no type": ("nii", nifti(datatype=0)),
    "a type of no bytes": ("nii", nifti(datatype=1)),
    "planes without end, again": ("nii", nifti(dim=[3, 4, 3, 32767, 1, 1, 1, 1], vox_offset=1e30)),
    "a mirror that is neither": ("nii", nifti(pixdim=[7, 1, 1, 1, 1, 1, 1, 1], qform_code=1, sform_code=0)),
    "a header of two statements": ("npy", b"\x93NUMPY\x01\x00\x76\x00{'descr': '<u2', 'fortran_order': (" + b" " * 87),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_fuzzing_found_is_refused(name, tmp_path):
    kind, data = FOUND[name]
    assert harness.is_refused(kind, data, tmp_path)


def test_a_mesh_archive_without_a_model_is_refused(tmp_path):
    import io
    import zipfile

    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("3D/other.txt", "nothing")
    assert harness.is_refused("3mf", target.getvalue(), tmp_path)
