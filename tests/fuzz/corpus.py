"""Small valid files of every format that is read, to begin from."""

import io
import tempfile
from pathlib import Path

import numpy as np


def files_of(kind: str) -> list[bytes]:
    """Valid files of a format, by the end of their names."""
    with tempfile.TemporaryDirectory() as folder:
        makers = {"tif": _tiff, "nrrd": _nrrd, "nii": _nifti, "nii.gz": _nifti, "npy": _array}
        if kind in makers:
            makers[kind](Path(folder), kind)
            return [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    return _meshes(kind)


def _volume() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 4, (4, 6, 8)).astype(np.uint16)


def _tiff(folder: Path, kind: str) -> None:
    import tifffile

    a, grey = _volume(), {"photometric": "minisblack"}
    tifffile.imwrite(folder / "plain.tif", a, **grey)
    tifffile.imwrite(folder / "big.tif", a, bigtiff=True, byteorder=">", **grey)
    tifffile.imwrite(folder / "deflate.tif", a.astype(np.uint8), compression="zlib", predictor=True, **grey)
    tifffile.imwrite(folder / "tiles.tif", a, compression="zlib", tile=(16, 16), **grey)
    tifffile.imwrite(folder / "float.tif", a.astype(np.float32), rowsperstrip=2, **grey)
    scale = {"spacing": 2.0, "unit": "um", "axes": "ZYX"}
    tifffile.imwrite(folder / "imagej.tif", a, imagej=True, resolution=(2, 2), metadata=scale)
    tifffile.imwrite(folder / "ome.tif", a, ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 0.5}, **grey)
    tifffile.imwrite(folder / "bits.tif", a > 1, **grey)


def _nrrd(folder: Path, kind: str) -> None:
    import nrrd

    a = _volume()
    nrrd.write(str(folder / "a.nrrd"), a, {"encoding": "raw", "spacings": [1, 2, 3]}, index_order="C")
    directions = {"space dimension": 3, "space directions": np.eye(3), "space units": ["um"] * 3}
    nrrd.write(str(folder / "b.nrrd"), a, {"encoding": "gzip", **directions}, index_order="C")
    nrrd.write(str(folder / "c.nrrd"), a.astype(float), {"encoding": "bzip2"}, index_order="C")


def _nifti(folder: Path, kind: str) -> None:
    import nibabel

    image = nibabel.Nifti1Image(_volume().T, np.diag([1.0, 2.0, 3.0, 1.0]))
    image.header.set_xyzt_units("micron")
    image.to_filename(folder / f"a.{kind}")
    nibabel.Nifti2Image(_volume().T.astype(np.float32), np.eye(4)).to_filename(folder / f"b.{kind}")


def _array(folder: Path, kind: str) -> None:
    np.save(folder / "a.npy", _volume())
    np.save(folder / "b.npy", np.asfortranarray(_volume().astype(float)))


def _meshes(kind: str) -> list[bytes]:
    import trimesh

    found = []
    for mesh in (trimesh.creation.box(), trimesh.creation.icosphere(subdivisions=1)):
        texts = [mesh.export(file_type=kind)]
        if kind == "stl":
            texts.append(mesh.export(file_type="stl_ascii"))
        if kind == "ply":
            texts.append(mesh.export(file_type="ply", encoding="ascii"))
        for text in texts:
            found.append(text.encode() if isinstance(text, str) else io.BytesIO(text).getvalue())
    return found
