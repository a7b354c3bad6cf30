"""Image files: what each format says of its order, its spacing and its directions; what is refused."""

import gzip
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from payloadfield.errors import GeometryError, ResourceError
from payloadfield.geometry import read_image
from payloadfield.geometry.image.tiff_series import ome_orders

tifffile = pytest.importorskip("tifffile")
nrrd = pytest.importorskip("nrrd")
nibabel = pytest.importorskip("nibabel")

VOLUME = np.random.default_rng(0).integers(0, 900, (5, 7, 9)).astype(np.uint16)


def whole(stack) -> np.ndarray:
    return np.stack([stack.plane(k) for k in range(stack.shape[0])])


def write_tiff(path: Path, volume=VOLUME, **how) -> Path:
    how.setdefault("photometric", "minisblack")
    tifffile.imwrite(path, volume, **how)
    return path


TIFFS = {
    "plain": {},
    "big endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "deflate": {"compression": "zlib"},
    "predictor": {"compression": "zlib", "predictor": True},
    "tiles": {"tile": (16, 16), "compression": "zlib"},
    "strips": {"rowsperstrip": 2},
}


@pytest.mark.parametrize("how", TIFFS)
def test_tiff_stacks_are_read_however_they_are_laid_out(how, tmp_path):
    stack = read_image(write_tiff(tmp_path / "a.tif", **TIFFS[how]))
    np.testing.assert_array_equal(whole(stack), VOLUME)
    assert stack.dtype == np.uint16


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f4", "f8", "?"])
def test_values_of_any_type_are_read(dtype, tmp_path):
    volume = (VOLUME > 400) if dtype == "?" else VOLUME.astype(dtype)
    np.testing.assert_array_equal(whole(read_image(write_tiff(tmp_path / "a.tif", volume))), volume)


def test_imagej_says_its_spacing_and_its_channels(tmp_path):
    how = {"imagej": True, "resolution": (1 / 0.5, 1 / 0.25), "photometric": None}
    for unit, scale in (("um", 1.0), ("micron", 1.0), ("mm", 1e3), ("nm", 1e-3)):
        path = write_tiff(tmp_path / "a.tif", metadata={"spacing": 2.0, "unit": unit, "axes": "ZYX"}, **how)
        assert read_image(path).spacing == pytest.approx((2.0 * scale, 0.25 * scale, 0.5 * scale))
    path = write_tiff(tmp_path / "b.tif", metadata={"spacing": 2.0, "unit": "pixel", "axes": "ZYX"}, **how)
    assert read_image(path).spacing == (None, None, None)
    both = np.stack([VOLUME, VOLUME + 1], axis=1)
    path = write_tiff(tmp_path / "c.tif", both, metadata={"axes": "ZCYX"}, **how)
    np.testing.assert_array_equal(whole(read_image(path, channel=1)), VOLUME + 1)
    with pytest.raises(GeometryError, match="has 2 of channel; say which by channel = 0 to 1"):
        read_image(path)
    with pytest.raises(GeometryError, match="channel 2 is not there"):
        read_image(path, channel=2)


def test_imagej_stacks_with_one_page_hold_all_planes_behind_it(tmp_path):
    path = write_tiff(tmp_path / "a.tif", imagej=True, photometric=None, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as tiff:
        following = tiff.pages[0].offset + 2 + 12 * len(tiff.pages[0].tags)
    data = bytearray(path.read_bytes())
    data[following : following + 4] = b"\0\0\0\0"  # no second page
    path.write_bytes(data)
    np.testing.assert_array_equal(whole(read_image(path)), VOLUME)
    path.write_bytes(bytes(data[:-900]))
    with pytest.raises(GeometryError, match=r"cut off|damaged"):
        read_image(path)


def test_ome_says_its_spacing_and_the_order_of_its_planes(tmp_path):
    size = {"PhysicalSizeX": 0.3, "PhysicalSizeY": 300, "PhysicalSizeYUnit": "nm", "PhysicalSizeZ": 0.001,
            "PhysicalSizeZUnit": "mm"}  # fmt: skip
    path = write_tiff(tmp_path / "a.ome.tif", metadata={"axes": "ZYX", **size})
    assert read_image(path).spacing == pytest.approx((1.0, 0.3, 0.3))
    np.testing.assert_array_equal(whole(read_image(path)), VOLUME)
    for axes, place in (("TCZYX", (0, 1)), ("CTZYX", (1, 0)), ("TZCYX", (0, 2)), ("ZTCYX", (1, 2))):
        volume = np.zeros([{"T": 2, "C": 3, "Z": 5, "Y": 7, "X": 9}[a] for a in axes], np.uint16)
        index = [slice(None)] * 5
        index[place[0] if axes.index("T") == place[0] else place[1]] = 1
        index[axes.index("T")], index[axes.index("C")] = 1, 2
        volume[tuple(index)] = VOLUME
        path = write_tiff(tmp_path / "b.ome.tif", volume, metadata={"axes": axes})
        np.testing.assert_array_equal(whole(read_image(path, channel=2, time=1)), VOLUME)
        assert not whole(read_image(path, channel=1, time=1)).any()
    with pytest.raises(GeometryError, match="has 2 of time"):
        read_image(path, channel=0)


def test_ome_files_that_speak_of_more_planes_than_they_have_are_refused(tmp_path):
    path = write_tiff(tmp_path / "a.ome.tif", metadata={"axes": "ZYX"})
    data = path.read_bytes()
    path.write_bytes(data.replace(b'SizeZ="5"', b'SizeZ="9"'))
    with pytest.raises(GeometryError, match="speaks of 9 planes, but there are 5"):
        read_image(path)
    with pytest.raises(GeometryError, match="defines entities"):
        ome_orders("<!DOCTYPE x [<!ENTITY a 'b'>]><OME>&a;</OME>", 5, "image")


def test_plain_tiff_files_say_x_and_y_at_best_and_colours_are_channels(tmp_path):
    path = write_tiff(tmp_path / "a.tif", resolution=(20000, 10000), resolutionunit="CENTIMETER")
    stack = read_image(path)
    assert stack.spacing == (None, 1.0, 0.5)
    with pytest.raises(GeometryError, match=r"says only x 0.5 um, y 1 um; give it as x, y, z, such as spacing = "):
        stack.spacing_or(None)
    assert stack.spacing_or((3.0, 2.0, 1.0)) == (3.0, 2.0, 1.0)
    colours = np.stack([VOLUME, VOLUME + 1, VOLUME + 2], axis=-1).astype(np.uint8)
    path = write_tiff(tmp_path / "b.tif", colours, photometric="rgb")
    np.testing.assert_array_equal(whole(read_image(path, channel=1)), colours[..., 1])


def test_pages_of_several_shapes_are_several_series(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(VOLUME[:, :4, :4], photometric="minisblack")
        writer.write(VOLUME, photometric="minisblack")
    with pytest.raises(GeometryError, match="has 2 of series"):
        read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(whole(read_image(tmp_path / "a.tif", series=1)), VOLUME)


DIRECTIONS = {
    "along": (np.diag([0.1, 0.2, 0.3]), VOLUME),
    "mirrored": (np.diag([-0.1, 0.2, -0.3]), VOLUME[::-1, :, ::-1]),
}


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("how", DIRECTIONS)
def test_nrrd_says_its_spacing_and_directions(how, encoding, tmp_path):
    directions, stored = DIRECTIONS[how]
    header = {"encoding": encoding, "space": "left-posterior-superior", "space directions": directions,
              "space units": ["mm"] * 3}  # fmt: skip
    nrrd.write(str(tmp_path / "a.nrrd"), stored, header, index_order="C")
    stack = read_image(tmp_path / "a.nrrd")
    assert stack.spacing == pytest.approx((300.0, 200.0, 100.0))
    np.testing.assert_array_equal(whole(stack), VOLUME)


def test_nrrd_by_spacings_with_detached_values_and_with_channels(tmp_path):
    header = {"encoding": "raw", "spacings": [1.0, 2.0, 3.0], "units": ["um"] * 3}
    nrrd.write(str(tmp_path / "a.nrrd"), VOLUME, header, index_order="C")
    stack = read_image(tmp_path / "a.nrrd")
    assert stack.spacing == (3.0, 2.0, 1.0)
    np.testing.assert_array_equal(whole(stack), VOLUME)
    nrrd.write(str(tmp_path / "a.nhdr"), VOLUME, header, detached_header=True, index_order="C")
    with pytest.raises(GeometryError, match="keeps its values in another file"):
        read_image(tmp_path / "a.nhdr")
    data = (tmp_path / "a.nrrd").read_bytes()
    (tmp_path / "d.nrrd").write_bytes(data.replace(b"encoding: raw", b"encoding: raw\nline skip: 2", 1))
    with pytest.raises(GeometryError, match="lines to skip"):
        read_image(tmp_path / "d.nrrd")
    nrrd.write(str(tmp_path / "b.nrrd"), VOLUME, {"encoding": "raw", "spacings": [1.0, 2.0, 3.0]}, index_order="C")
    assert read_image(tmp_path / "b.nrrd").spacing == (None, None, None)  # no unit: nothing is guessed
    both = np.stack([VOLUME, VOLUME + 1], axis=-1)
    kinds = {"encoding": "raw", "kinds": ["vector", "domain", "domain", "domain"]}
    nrrd.write(str(tmp_path / "c.nrrd"), both, kinds, index_order="C")
    np.testing.assert_array_equal(whole(read_image(tmp_path / "c.nrrd", channel=1)), VOLUME + 1)
    with pytest.raises(GeometryError, match="has 2 of channel"):
        read_image(tmp_path / "c.nrrd")


def nifti(path: Path, volume: np.ndarray, affine, unit="micron", **scale) -> Path:
    image = nibabel.Nifti1Image(volume.T, affine)
    image.header.set_xyzt_units(unit)
    if scale:
        image.header.set_slope_inter(**scale)
    image.to_filename(path)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_says_its_spacing_and_directions(name, tmp_path):
    stack = read_image(nifti(tmp_path / name, VOLUME, np.diag([0.5, 1.5, 2.0, 1.0]), "mm"))
    assert stack.spacing == pytest.approx((2000.0, 1500.0, 500.0))
    np.testing.assert_array_equal(whole(stack), VOLUME)
    stack = read_image(nifti(tmp_path / name, VOLUME[::-1, :, ::-1], np.diag([-0.5, 1.5, -2.0, 1.0])))
    assert stack.spacing == pytest.approx((2.0, 1.5, 0.5))
    np.testing.assert_array_equal(whole(stack), VOLUME)


def test_nifti_without_a_unit_times_and_scales(tmp_path):
    image = nibabel.Nifti1Image(VOLUME.T, np.diag([0.5, 1.5, 2.0, 1.0]))
    image.header.set_xyzt_units("unknown")
    image.to_filename(tmp_path / "a.nii")
    assert read_image(tmp_path / "a.nii").spacing == (None, None, None)
    times = np.stack([VOLUME.T, VOLUME.T + 1], axis=-1)
    nibabel.Nifti2Image(times, np.eye(4)).to_filename(tmp_path / "b.nii")
    np.testing.assert_array_equal(whole(read_image(tmp_path / "b.nii", time=1)), VOLUME + 1)
    with pytest.raises(GeometryError, match="has 2 of time"):
        read_image(tmp_path / "b.nii")
    scaled = nibabel.Nifti1Image(VOLUME.T.astype(np.int16), np.eye(4))
    scaled.header.set_slope_inter(0.5, 10.0)
    nibabel.save(scaled, tmp_path / "c.nii")
    data = bytearray((tmp_path / "c.nii").read_bytes())
    data[112:120] = struct.pack("<ff", 0.5, 10.0)  # scl_slope and scl_inter, whatever the writer made of them
    (tmp_path / "c.nii").write_bytes(data)
    stored = np.asarray(nibabel.load(tmp_path / "c.nii").dataobj.get_unscaled()).T
    np.testing.assert_allclose(whole(read_image(tmp_path / "c.nii")), 0.5 * stored + 10)


def test_turned_axes_are_refused_unless_the_spacing_is_given(tmp_path):
    turned = np.array([[0.1, 0.1, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 1.0]])
    header = {"encoding": "raw", "space dimension": 3, "space directions": turned}
    nrrd.write(str(tmp_path / "a.nrrd"), VOLUME, header, index_order="C")
    affine = np.array([[0, 1.0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    for path in (tmp_path / "a.nrrd", nifti(tmp_path / "b.nii", VOLUME, affine)):
        with pytest.raises(GeometryError, match="its axes do not run along x, y, z"):
            read_image(path)
        np.testing.assert_array_equal(whole(read_image(path, ignore_turns=True)), VOLUME)


def test_numpy_arrays_are_stacks_without_spacing(tmp_path):
    np.save(tmp_path / "a.npy", VOLUME)
    stack = read_image(tmp_path / "a.npy")
    np.testing.assert_array_equal(whole(stack), VOLUME)
    with pytest.raises(GeometryError, match="says none"):
        stack.spacing_or(None)
    with pytest.raises(GeometryError, match="channel 1 is not there; 0 alone"):
        read_image(tmp_path / "a.npy", channel=1)


# --- what is refused


def tiff_bytes(tags: dict[int, tuple[int, int, int]], data: bytes = b"") -> bytes:
    """A little-endian TIFF file of one page; tags: number -> (type, count, value)."""
    body = b"".join(struct.pack("<HHII", tag, *value) for tag, value in sorted(tags.items()))
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + body + struct.pack("<I", 0) + data


def bomb(width: int, length: int, *, compression: int = 1, data: bytes = b"\0" * 64, count: int | None = None) -> bytes:
    n_tags = 9
    start = 8 + 2 + 12 * n_tags + 4
    tags = {256: (4, 1, width), 257: (4, 1, length), 258: (3, 1, 8), 259: (3, 1, compression), 262: (3, 1, 1),
            273: (4, 1, start), 277: (3, 1, 1), 278: (4, 1, length), 279: (4, 1, count or len(data))}  # fmt: skip
    return tiff_bytes(tags, data)


def test_the_writer_of_bombs_writes_good_files_too(tmp_path):
    (tmp_path / "a.tif").write_bytes(bomb(8, 8, data=bytes(range(64))))
    assert whole(read_image(tmp_path / "a.tif")).reshape(-1).tolist() == list(range(64))
    (tmp_path / "b.tif").write_bytes(bomb(8, 8, compression=8, data=zlib.compress(bytes(range(64)))))
    assert whole(read_image(tmp_path / "b.tif")).reshape(-1).tolist() == list(range(64))


BOMBS = {
    "a million squared": (bomb(10**6, 10**6), r"1,000,000"),
    "a million squared, packed": (bomb(10**6, 10**6, compression=8, data=zlib.compress(b"\0" * 64)), r"1,000,000"),
    "more than it says": (bomb(64, 64, compression=8, data=zlib.compress(b"\0" * 10**7)), "unpacks to more"),
    "less than it says": (bomb(64, 64, compression=8, data=zlib.compress(b"\0" * 10)), "cannot be decoded"),
    "longer than the file": (bomb(64, 64, count=4096), "cut off"),
    "packed beyond the file": (bomb(64, 64, compression=8, count=4096), "cut off"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_tiff_bombs_are_refused_with_what_they_claim_before_memory_is_asked_for(name, tmp_path):
    data, words = BOMBS[name]
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises((GeometryError, ResourceError), match=words) as refusal:
        read_image(tmp_path / "a.tif")
    assert "\n" not in str(refusal.value) and "a.tif" in str(refusal.value)


def test_a_bomb_takes_no_memory(tmp_path):
    (tmp_path / "a.tif").write_bytes(bomb(60_000, 60_000, compression=8, data=zlib.compress(b"\0" * 3_600_000)))
    packed = gzip.compress(b"\0" * 10**8)
    (tmp_path / "a.nii.gz").write_bytes(packed)
    head = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 1000000 1000000 100\nencoding: gzip\n\n"
    (tmp_path / "a.nrrd").write_bytes(head + packed)
    code = (
        "import resource, sys\nfrom payloadfield.errors import PayloadfieldError\n"
        "from payloadfield.geometry import read_image\nimport tifffile, nrrd, nibabel\n"
        "used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[1:]:\n    try:\n        read_image(path)\n        raise SystemExit(path)\n"
        "    except PayloadfieldError as error:\n        pass\n"
        "assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < 50_000\n"
    )
    names = [str(tmp_path / name) for name in ("a.tif", "a.nii.gz", "a.nrrd")]
    done = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def all_formats(folder: Path) -> list[Path]:
    write_tiff(folder / "a.tif")
    write_tiff(folder / "b.tif", compression="zlib")
    write_tiff(folder / "c.tif", imagej=True, photometric=None, metadata={"axes": "ZYX"})
    write_tiff(folder / "d.ome.tif", metadata={"axes": "ZYX"})
    for encoding in ("raw", "gzip", "bzip2"):
        nrrd.write(str(folder / f"{encoding}.nrrd"), VOLUME, {"encoding": encoding}, index_order="C")
    nifti(folder / "a.nii", VOLUME, np.eye(4))
    nifti(folder / "b.nii.gz", VOLUME, np.eye(4))
    np.save(folder / "a.npy", VOLUME)
    return sorted(folder.iterdir())


def test_files_cut_off_anywhere_are_refused_in_one_sentence(tmp_path):
    folder = tmp_path / "whole"
    folder.mkdir()
    for path in all_formats(folder):
        data = path.read_bytes()
        np.testing.assert_array_equal(whole(read_image(path)), VOLUME)
        cut = tmp_path / path.name
        for share in (0.0, 0.001, 0.03, 0.2, 0.5, 0.8, 0.97):
            cut.write_bytes(data[: int(share * len(data))])
            with pytest.raises(GeometryError) as refusal:
                whole(read_image(cut))
            assert cut.name in str(refusal.value) and "\n" not in str(refusal.value)


ODD = {
    "a.png": (b"\x89PNG", r"files that end in '.png' are not read; there are: .tif"),
    "noend": (b"1", "files that end in 'nothing'"),
    "a.tif": (b"no tiff at all", "does not begin as TIFF files do"),
    "a.nrrd": (b"no nrrd at all\n\n", "no readable NRRD header"),
    "a.nii": (b"no nifti" * 100, "does not begin as NIfTI files do"),
    "a.nii.gz": (b"no gzip", "no readable NIfTI file"),
    "a.npy": (b"no numpy", "no readable .npy array"),
    "loop.tif": (struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<HHHII", 1, 256, 4, 1, 1) + struct.pack("<I", 8),
                 "cut off or damaged"),
    "jpeg.tif": (bomb(8, 8, compression=7), "JPEG.*not read"),
    "lzw.tif": (bomb(8, 8, compression=5), "cannot be decoded"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_files_of_another_kind_are_refused(name, tmp_path):
    data, words = ODD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(GeometryError, match=words):
        read_image(tmp_path / name)


def test_missing_files_and_folders_are_refused(tmp_path):
    (tmp_path / "b.tif").mkdir()
    (tmp_path / "c.tif").write_bytes(b"")
    for name in ("a.tif", "b.tif", "c.tif"):
        with pytest.raises(GeometryError, match=name):
            read_image(tmp_path / name)


@pytest.mark.parametrize(("library", "name"), [("tifffile", "a.tif"), ("nrrd", "raw.nrrd"), ("nibabel", "a.nii")])
def test_a_missing_library_is_told_with_the_extra_that_brings_it(library, name, tmp_path, monkeypatch):
    all_formats(tmp_path)
    monkeypatch.setitem(sys.modules, library, None)
    if library == "nibabel":
        monkeypatch.setitem(sys.modules, "nibabel.spatialimages", None)
    with pytest.raises(GeometryError, match=r"missing; install it by: pip install 'payloadfield\[images\]'"):
        read_image(tmp_path / name)
