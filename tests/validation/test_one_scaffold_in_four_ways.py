"""A ball, a rod and a woodpile given as shape, STL, image and G-code: the same porosity, the same for every cell."""

from functools import cache

import numpy as np
import pytest
from tests import gcode_files
from tests.running import run

from payloadfield.study import load_study

trimesh = pytest.importorskip("trimesh")
tifffile = pytest.importorskip("tifffile")

SIZE, VOXEL, N_CELLS = 200.0, 5.0, 60
CENTRE = np.array([101.3, 98.9, 100.7])  # z, y, x [um], off the lattice
BALL, ROD, STRAND, SPACING, RISE, N_LAYERS = 68.0, 41.0, 20.0, 80.0, 37.0, 5
OFFSET = 42.3  # of the first strand's axis, and the height of the first layer's [um]
KINDS = ("ball", "rod", "woodpile")
WAYS = {kind: ("stl", "labels", "levels", *(["gcode"] if kind != "ball" else [])) for kind in KINDS}

STUDY = {
    "duration": "8 h",
    "grid": {"size": ["200 um"] * 3, "voxel": "5 um"},
    "boundary": {"z_high": "bath"},
    "cells": [{"file": "cells.csv", "place": "surface"}],
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "50 nM"}}],
    "output": {"every": "8 h", "sensitivity": False},
}


def strands():
    """Axes of the woodpile's strands: height, place across [um], whether along x."""
    across = OFFSET + SPACING * np.arange(-1, 3)
    return [(OFFSET + RISE * layer - 20.0, c, layer % 2 == 0) for layer in range(N_LAYERS) for c in across]


def signed_distance(kind, z, y, x):
    """Distance to the surface, negative inside [um]."""
    if kind == "ball":
        return np.sqrt((z - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2 + (x - CENTRE[2]) ** 2) - BALL
    if kind == "rod":
        return np.hypot(z - CENTRE[0], y - CENTRE[1]) + 0 * x - ROD
    return (
        np.min([np.hypot(z - h, (y if along else x) - c) + 0 * (x + y) for h, c, along in strands()], axis=0) - STRAND
    )


def as_shape(kind, folder):
    text = [f"{value} um" for value in CENTRE[::-1]]
    if kind == "ball":
        return {"shape": "sphere", "centre": text, "radius": f"{BALL} um"}
    if kind == "rod":
        return {"shape": "cylinder", "axis": "x", "centre": text, "radius": f"{ROD} um"}
    offset = [f"{OFFSET - SPACING / 2} um"] * 2 + [f"{OFFSET - 20.0 - RISE / 2} um"]
    return {
        "shape": "woodpile", "strand_diameter": f"{2 * STRAND} um", "strand_spacing": f"{SPACING} um",
        "layer_height": f"{RISE} um", "n_layers": N_LAYERS, "offset": offset,
    }  # fmt: skip


def as_stl(kind, folder):
    if kind == "ball":
        mesh = trimesh.creation.icosphere(subdivisions=5, radius=BALL)
        mesh.apply_translation(CENTRE[::-1])
    else:
        axes = [(CENTRE[0], CENTRE[1], True)] if kind == "rod" else strands()
        bodies = []
        for height, across, along in axes:
            radius = ROD if kind == "rod" else STRAND
            body = trimesh.creation.cylinder(radius=radius, height=3 * SIZE, sections=128)
            body.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [0, 1, 0] if along else [1, 0, 0]))
            body.apply_translation([SIZE / 2, across, height] if along else [across, SIZE / 2, height])
            bodies.append(body)
        mesh = trimesh.util.concatenate(bodies)
    mesh.export(folder / "a.stl")
    return {"shape": "mesh", "file": str(folder / "a.stl"), "unit": "um"}


def stack(kind, step):
    at = (np.arange(round(SIZE / step)) + 0.5) * step
    return signed_distance(kind, at[:, None, None], at[:, None], at)


def as_labels(kind, folder):
    """Two and a half voxels of the image to one of the grid, as a segmented scan."""
    tifffile.imwrite(folder / "labels.tif", (stack(kind, 2.0) < 0).astype(np.uint8))
    return {"shape": "image", "file": str(folder / "labels.tif"), "labels": {"1": "PCL"}, "spacing": ["2 um"] * 3}


def as_levels(kind, folder):
    """Grey levels blurred over two voxels, as a scan."""
    grey = 30000 - 20000 * np.tanh(stack(kind, 4.0) / 8.0)
    tifffile.imwrite(folder / "grey.tif", grey.astype(np.uint16))
    return {"shape": "image", "file": str(folder / "grey.tif"), "threshold": 30000, "spacing": ["4 um"] * 3}


def as_gcode(kind, folder):
    axes = [(CENTRE[0], CENTRE[1], True)] if kind == "rod" else strands()
    radius = ROD if kind == "rod" else STRAND
    low, high = -0.2, 0.4
    layers = [
        (round((z + radius) / 1e3, 7), [((low, c / 1e3), (high, c / 1e3)) if a else ((c / 1e3, low), (c / 1e3, high))
                                        for h, c, a in axes if h == z])
        for z in sorted({height for height, _, _ in axes})
    ]  # fmt: skip
    (folder / "a.gcode").write_text(gcode_files.prusa(layers, width=2 * radius / 1e3, height=2 * radius / 1e3))
    return {"shape": "gcode", "file": str(folder / "a.gcode"), "width": "comment"}


MAKE = {
    "shape": as_shape,
    "thinner": as_shape,
    "stl": as_stl,
    "labels": as_labels,
    "levels": as_levels,
    "gcode": as_gcode,
}


@cache
def places(kind):
    """Places at three quarters of a voxel from the surface, found once: (N_CELLS, 3) z, y, x [um]."""
    points = np.random.default_rng(7).uniform(8, SIZE - 8, (200_000, 3))
    away = signed_distance(kind, *points.T)
    return points[np.abs(away - 0.75 * VOXEL) < 0.1 * VOXEL][:N_CELLS]


def cells(kind, folder):
    """A file of cells, the same for all ways."""
    types = ("MDA-MB-468", "SK-BR-3")
    rows = [f"{x:.4f},{y:.4f},{z:.4f},{types[i % 2]}" for i, (z, y, x) in enumerate(places(kind))]
    path = folder / "cells.csv"
    path.write_text("\n".join(["x_um,y_um,z_um,type", *rows, ""]))
    return str(path)


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """Porosity, and the exposure of each cell, of a scaffold given in one way."""

    @cache
    def solve(kind, way):
        folder = tmp_path_factory.mktemp(f"{kind}-{way}")
        table = MAKE[way](kind, folder)
        table |= {} if way == "labels" else {"material": "PCL"}
        rows = [{"file": cells(kind, folder), "place": "surface"}]
        study = load_study({**STUDY, "scaffold": [table], "cells": rows})
        sim = run(study).sim
        return study.geometry.open_fraction.mean(), sim.cell_state("payload_exposure")

    return solve


@pytest.mark.validate
@pytest.mark.parametrize(("kind", "way"), [(kind, way) for kind in KINDS for way in WAYS[kind]])
def test_a_scaffold_is_the_same_however_it_is_given(kind, way, solved):
    porosity, exposures = solved(kind, "shape")
    found, of_cells = solved(kind, way)
    assert found == pytest.approx(porosity, rel=5e-3)
    off = np.abs(of_cells / exposures - 1)
    assert off.mean() < 0.005
    # Voxels of an image may lose what is open between a face of the grid and a wall along it: one cell in twenty.
    assert (np.quantile(off, 0.95) if way == "labels" else off.max()) < 0.02


@pytest.mark.validate
def test_a_thinner_rod_is_told_apart(solved, monkeypatch):
    porosity, exposures = solved("rod", "shape")
    monkeypatch.setitem(globals(), "ROD", ROD - 2.0)
    found, of_cells = solved("rod", "thinner")
    assert found > 1.01 * porosity and np.abs(of_cells / exposures - 1).max() > 0.02
