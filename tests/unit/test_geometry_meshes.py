"""Meshes: reading and refusing files, checking and mending surfaces, and their voxels against those of shapes."""

import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payloadfield.errors import GeometryError, PayloadfieldError, StudyError
from payloadfield.geometry import (
    MEDIUM,
    Box,
    Cylinder,
    Difference,
    Material,
    Mesh,
    Moved,
    Rotated,
    Sphere,
    Triangles,
    Union,
    VoxelGrid,
    Woodpile,
    make_geometry,
    make_triangles,
    read_mesh,
)
from payloadfield.geometry.mesh.band import corners_of_cut_voxels, distances_near
from payloadfield.geometry.mesh.checking import check_surface
from payloadfield.geometry.mesh.rays import fill, find_crossings

trimesh = pytest.importorskip("trimesh")

MATERIALS = [MEDIUM, Material("solid", "impermeable"), Material("gel", "gel"), Material("bath", "bath")]


def triangles_of(mesh):
    return make_triangles(np.asarray(mesh.vertices)[:, ::-1], np.asarray(mesh.faces)[:, ::-1])


def ball(radius=10.0, centre=(12.1, 12.3, 12.4), subdivisions=4):
    """A ball of triangles with the volume of the true one; centre x, y, z."""
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    mesh.apply_scale((4 / 3 * np.pi * radius**3 / mesh.volume) ** (1 / 3))
    mesh.apply_translation(centre)
    return mesh


def rod(radius, length, sections=96):
    """A cylinder along z around 0, with the volume of the true one."""
    mesh = trimesh.creation.cylinder(radius=radius, height=length, sections=sections)
    mesh.apply_scale([*[np.sqrt(np.pi * radius**2 * length / mesh.volume)] * 2, 1])
    return mesh


def built(shape, n, h=1.0):
    return make_geometry(VoxelGrid((n, n, n) if isinstance(n, int) else n, h), [shape], MATERIALS)


def as_stl(mesh, path):
    mesh.export(path)
    return path


@pytest.mark.parametrize("kind", ["stl", "obj", "ply", "3mf"])
def test_every_format_reads_to_the_same_surface_in_the_unit_asked_for(kind, tmp_path):
    mesh = trimesh.creation.box((1.0, 2.0, 3.0))
    mesh.apply_translation((4, 5, 6))
    mesh.export(tmp_path / f"box.{kind}")
    found = read_mesh(tmp_path / f"box.{kind}", "mm")
    assert len(found.vertices) == 8 and len(found.faces) == 12
    assert found.volume == pytest.approx(6e9)
    np.testing.assert_allclose(found.bounds, [[4500, 4000, 3500], [7500, 6000, 4500]])


def test_text_stl_reads_like_binary_stl(tmp_path):
    mesh = ball(subdivisions=1)
    mesh.export(tmp_path / "a.stl", file_type="stl_ascii")
    mesh.export(tmp_path / "b.stl")
    a, b = read_mesh(tmp_path / "a.stl", "um"), read_mesh(tmp_path / "b.stl", "um")
    assert a.volume == pytest.approx(b.volume, rel=1e-6) and len(a.faces) == len(b.faces) == 80


def binary_stl(path, claimed=None, cut=0, poison=None):
    ball(subdivisions=1).export(path)
    data = bytearray(path.read_bytes())
    if claimed is not None:
        data[80:84] = struct.pack("<I", claimed)
    if poison is not None:
        data[96:100] = struct.pack("<f", poison)
    path.write_bytes(data[: len(data) - cut])


def damaged_archive(path):
    """A 3MF file whose compressed stream is broken in the middle."""
    ball(subdivisions=1).export(path)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        model = next(item for item in archive.infolist() if item.filename.endswith(".model"))
    start = model.header_offset + 60
    data[start : start + 40] = bytes(range(40))
    path.write_bytes(data)


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("3D/3dmodel.model", b"\0" * 2**27)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.stl", lambda path: binary_stl(path, claimed=2**32 - 1), "claims 4,294,967,295 triangles, which take 214,7"),
        ("a.stl", lambda path: binary_stl(path, claimed=79), "claims 79 triangles"),
        ("a.stl", lambda path: binary_stl(path, cut=7), "it was cut off"),
        ("a.stl", lambda path: binary_stl(path, poison=np.nan), "coordinates that are not finite"),
        ("a.stl", lambda path: binary_stl(path, poison=np.inf), "coordinates that are not finite"),
        ("a.stl", lambda path: path.write_bytes(b""), "the file is empty"),
        ("a.stl", lambda path: path.write_bytes(b"\0" * 60), "too few for an STL file"),
        ("a.stl", lambda path: path.write_bytes(b"\0" * 84), "claims 0 triangles"),
        ("a.stl", lambda path: path.write_text("solid nothing\nendsolid"), "holds no triangles|no readable STL"),
        ("a.stl", lambda path: None, "cannot be read"),
        (
            "a.ply",
            lambda path: path.write_text("ply\nformat ascii 1.0\nelement vertex 4294967296\nend_header\n"),
            "claims 4294967296 elements 'vertex'",
        ),
        ("a.ply", lambda path: path.write_text("plx"), "no PLY file"),
        (
            "a.ply",
            lambda path: path.write_text(
                "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
                "element face 1\nproperty ls\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
            ),
            "no readable PLY file",
        ),
        ("a.ply", lambda path: path.write_text("ply\n"), "its header does not end"),
        ("a.obj", lambda path: path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n"), "names vertex|no readable OBJ"),
        ("a.obj", lambda path: path.write_text("nothing"), "holds no triangles|no readable OBJ"),
        ("a.3mf", lambda path: path.write_text("nothing"), "no readable 3MF archive"),
        ("a.3mf", damaged_archive, "no readable 3MF file"),
        ("a.3mf", bomb, "no real mesh packs so well"),
        ("a.step", lambda path: path.write_text(""), r"files that end in '\.step' are not read"),
    ],
)
def test_unusable_files_are_refused(name, write, message, tmp_path):
    write(tmp_path / name)
    with pytest.raises(GeometryError, match=message) as refused:
        read_mesh(tmp_path / name, "mm")
    assert name in str(refused.value)


def test_a_unit_has_to_be_known(tmp_path):
    with pytest.raises(GeometryError, match="unit 'furlong' is unknown; there are: um, mm"):
        read_mesh(as_stl(ball(), tmp_path / "a.stl"), "furlong")


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_damaged_files_are_refused_or_read_but_never_crash(data, tmp_path_factory):
    kind = data.draw(st.sampled_from(["stl", "ply", "obj", "3mf"]))
    path = tmp_path_factory.mktemp("mesh") / f"a.{kind}"
    ball(subdivisions=0).export(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, 2**16)) % len(content)] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: len(content) - data.draw(st.sampled_from([0, 0, 1, 49, 50, 300]))])
    try:
        read_mesh(path, "um", repair=data.draw(st.booleans()))
    except PayloadfieldError as error:
        assert "a." in str(error)


def test_an_open_surface_is_refused_with_its_place_and_mended_on_request():
    whole = triangles_of(ball(subdivisions=3))
    at_top = whole.corners.mean(axis=1)[:, 0].argmax()
    holed = Triangles(whole.vertices, np.delete(whole.faces, at_top, axis=0))
    with pytest.raises(GeometryError, match=r"is open: 3 edges .* only, such as near \(1[0-9.]+, ") as no:
        check_surface(holed, "mesh")
    assert "repair = true" in str(no.value)
    mended = check_surface(holed, "mesh", repair=True)
    assert mended.volume == pytest.approx(whole.volume, rel=1e-3)


def test_a_large_hole_is_not_mended():
    whole = triangles_of(ball(subdivisions=3))
    half = Triangles(whole.vertices, whole.faces[whole.corners.mean(axis=1)[:, 0] < 12])
    with pytest.raises(GeometryError, match="too large to be closed"):
        check_surface(half, "mesh", repair=True)


def test_triangles_turned_against_their_neighbours_are_refused_and_turned_on_request():
    whole = triangles_of(ball(subdivisions=2))
    faces = whole.faces.copy()
    faces[7], faces[30] = faces[7, ::-1], faces[30, ::-1]
    with pytest.raises(GeometryError, match="6 edges join triangles that face opposite"):
        check_surface(Triangles(whole.vertices, faces), "mesh")
    turned = check_surface(Triangles(whole.vertices, faces), "mesh", repair=True)
    assert turned.volume == pytest.approx(whole.volume)


def test_a_surface_turned_inside_out_is_turned_outwards():
    whole = triangles_of(ball(subdivisions=2))
    inside_out = Triangles(whole.vertices, whole.faces[:, ::-1])
    assert check_surface(inside_out, "mesh").volume == pytest.approx(whole.volume)


def test_walls_without_thickness_are_refused():
    a = triangles_of(trimesh.creation.box((10, 10, 1e-9)))
    with pytest.raises(GeometryError, match=r"encloses no volume|no triangle"):
        check_surface(a, "mesh")


def test_every_line_enters_as_often_as_it_leaves_also_along_edges_and_corners():
    rng = np.random.default_rng(2)
    for mesh in (trimesh.creation.box((6, 8, 4)), trimesh.creation.icosphere(subdivisions=2, radius=5.0)):
        for shift in ((4, 5, 3), rng.uniform(3, 6, 3)):
            surface = triangles_of(mesh.copy().apply_translation(shift))
            for axis in range(3):
                lines = find_crossings(surface.vertices, surface.faces, axis, (12, 12))
                entered = np.bincount(lines.line, lines.entering)
                assert not entered.any() and len(lines.line)
                normal = np.cross(*np.diff(surface.corners, axis=1).transpose(1, 0, 2))
                assert (np.sign(-normal[lines.triangle, axis]) == lines.entering).all()


def test_a_box_along_the_lattice_fills_the_points_inside_it():
    surface = triangles_of(trimesh.creation.box(bounds=((2, 3, 4), (7, 8, 6))))
    inside = fill(find_crossings(surface.vertices - 0.5, surface.faces, 2, (10, 10)), (10, 10, 10))
    expected = np.zeros((10, 10, 10), bool)
    expected[4:6, 3:8, 2:7] = True
    np.testing.assert_array_equal(inside, expected)


@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
def test_distances_near_the_surface_are_those_to_the_nearest_triangle(scale):
    """Against every triangle for every point, with triangles much smaller and much larger than a voxel."""
    mesh = trimesh.creation.icosphere(subdivisions=1, radius=3.0 * scale).apply_translation(np.full(3, 3.5 * scale))
    surface = triangles_of(mesh)
    n = int(np.ceil(7 * scale)) + 2
    inside = fill(find_crossings(surface.vertices, surface.faces, 2, (n, n)), (n, n, n))
    needed = corners_of_cut_voxels(inside)
    found = distances_near(surface.corners, needed)
    points = np.stack(np.nonzero(needed), axis=1)[::3]
    exact = [
        trimesh.triangles.closest_point(surface.corners, np.tile(p.astype(float), (len(surface.faces), 1)))
        for p in points
    ]
    expected = [np.linalg.norm(near - p, axis=1).min() for near, p in zip(exact, points, strict=True)]
    np.testing.assert_allclose(found[tuple(points.T)], expected, atol=1e-5)
    assert np.isinf(found[~needed]).sum() > 0.5 * (~needed).sum()


@pytest.mark.parametrize("n", [10, 20, 40])
def test_a_ball_as_mesh_is_the_ball_as_shape(n):
    h = 20.0 / n
    shape = Sphere("solid", (12.4, 12.3, 12.1), 10.0)
    mesh = Mesh("solid", triangles_of(ball(subdivisions=5)))
    one, other = built(mesh, int(26 / h), h), built(shape, int(26 / h), h)
    assert one.open_fraction.mean() == pytest.approx(other.open_fraction.mean(), rel=1e-4)
    assert one.wall_area.sum() == pytest.approx(other.wall_area.sum(), rel=2e-3)
    assert np.mean(one.label != other.label) < 3e-4
    solid = (1 - one.open_fraction).sum() * h**3
    assert solid == pytest.approx(4 / 3 * np.pi * 1000, rel=6e-4 * (20 / n) ** 2)


def rod_and_shape():
    mesh = rod(10.0, 21.0).apply_translation((13.1, 12.8, 12.6))
    return mesh, Cylinder("solid", "z", (12.6, 12.8, 13.1), 10.0, 21.0), 26


def woodpile_and_shape():
    """Overlapping rods in one file, as CAD programs export them."""
    rods = []
    for layer in range(4):
        for k in range(3):
            one = rod(3.0, 40.0)
            turn = trimesh.transformations.rotation_matrix(np.pi / 2, (0, 1, 0) if layer % 2 == 0 else (1, 0, 0))
            axis = 5.0 + 10.0 * k
            middle = (15.0, axis) if layer % 2 == 0 else (axis, 15.0)
            rods.append(one.apply_transform(turn).apply_translation((*middle, (layer + 0.5) * 5.0)))
    return trimesh.util.concatenate(rods), Woodpile("solid", 6.0, 10.0, 5.0, n_layers=4), (24, 30, 30)


def ball_and_shape():
    return ball(10.0), Sphere("solid", (12.4, 12.3, 12.1), 10.0), 26


@pytest.mark.parametrize("make", [ball_and_shape, rod_and_shape, woodpile_and_shape])
def test_shape_and_stl_agree_in_porosity_to_half_a_percent(make, tmp_path):
    mesh, shape, n = make()
    surface = read_mesh(as_stl(mesh.apply_scale(1e-3), tmp_path / "a.stl"), "mm")
    read, formula = built(Mesh("solid", surface), n), built(shape, n)
    assert read.open_fraction.mean() == pytest.approx(formula.open_fraction.mean(), rel=5e-3)


def test_overlapping_bodies_count_as_filled_and_are_told_of():
    mesh = trimesh.util.concatenate([ball(6.0, (9, 10, 10)), ball(6.0, (14, 10, 10))])
    geometry = built(Mesh("solid", triangles_of(mesh)), 22)
    balls = Union("solid", (Sphere("", (10, 10, 9), 6.0), Sphere("", (10, 10, 14), 6.0)))
    expected = built(balls, 22)
    assert geometry.open_fraction.mean() == pytest.approx(expected.open_fraction.mean(), rel=3e-3)
    assert "bodies overlap" in geometry.warnings[0] and "such as near (" in geometry.warnings[0]


def test_hundreds_of_bodies_in_one_place_count_as_one():
    many = trimesh.util.concatenate([ball(6.0 + 1e-3 * k, (10, 10, 10), 2) for k in range(300)])
    one = built(Mesh("solid", triangles_of(ball(6.299, (10, 10, 10), 2))), 20)
    geometry = built(Mesh("solid", triangles_of(many)), 20)
    np.testing.assert_array_equal(geometry.label, one.label)


def test_a_hollow_mesh_keeps_its_void():
    inner = ball(5.0, (12, 12, 12))
    inner.invert()
    geometry = built(Mesh("solid", triangles_of(trimesh.util.concatenate([ball(10.0, (12, 12, 12)), inner]))), 25)
    spheres = (Sphere("", (12, 12, 12), 10.0), Sphere("", (12, 12, 12), 5.0))
    expected = built(Difference("solid", spheres), 25)
    assert geometry.open_fraction.mean() == pytest.approx(expected.open_fraction.mean(), rel=1e-3)
    assert not geometry.warnings


def test_volume_of_a_mesh_is_right_to_second_order():
    mesh = trimesh.creation.box((0.5, 0.4, 0.3))
    mesh.apply_transform(trimesh.transformations.euler_matrix(0.3, 0.5, 0.7)).apply_translation((0.5, 0.5, 0.5))
    surface = triangles_of(mesh)
    errors = [abs((1 - built(Mesh("solid", surface), n, 1 / n).open_fraction.mean()) - 0.06) for n in (12, 24, 48)]
    assert errors[2] < errors[0] / 8


def test_a_moved_and_turned_mesh_is_the_turned_shape():
    box = trimesh.creation.box(bounds=((4, 5, 6), (14, 12, 11)))
    for place in (
        lambda s: Rotated(s, (20.0, 30.0, 40.0), (9.0, 9.0, 9.0)),
        lambda s: Moved(s, (1.25, 2.5, -0.75)),
        lambda s: Moved(Rotated(s, (90.0, 0.0, 0.0), (9.0, 9.0, 9.0)), (1, 0, 2)),
    ):
        mesh, shape = Mesh("solid", triangles_of(box)), Box("solid", (6, 5, 4), (11, 12, 14))
        np.testing.assert_allclose(
            built(place(mesh), 22).open_fraction, built(place(shape), 22).open_fraction, atol=2e-3
        )


def test_a_mesh_combines_with_shapes_and_other_kinds_of_material():
    mesh = Mesh("solid", triangles_of(ball(8.0, (10, 10, 10))))
    drilled = Difference("solid", (mesh, Cylinder("", "z", (10, 10, 10), 3.0)))
    shape = Difference("solid", (Sphere("", (10, 10, 10), 8.0), Cylinder("", "z", (10, 10, 10), 3.0)))
    assert built(drilled, 20).open_volume == pytest.approx(built(shape, 20).open_volume, rel=1e-3)
    gel = built(Mesh("gel", mesh.triangles), 20)
    np.testing.assert_array_equal(gel.label, built(Sphere("gel", (10, 10, 10), 8.0), 20).label)
    bath, bath_shape = built(Mesh("bath", mesh.triangles), 20), built(Sphere("bath", (10, 10, 10), 8.0), 20)
    assert bath.bath_area.sum() == pytest.approx(bath_shape.bath_area.sum(), rel=3e-3)
    at = (bath.bath_area > 0.2) & (bath_shape.bath_area > 0.2)
    np.testing.assert_allclose(bath.bath_distance[at], bath_shape.bath_distance[at], atol=0.05)


def test_surface_distance_of_a_mesh_is_known_near_and_far():
    geometry = built(Mesh("solid", triangles_of(ball(6.0, (10, 10, 10)))), 20)
    exact = built(Sphere("solid", (10, 10, 10), 6.0), 20).surface_distance
    assert np.abs(geometry.surface_distance - exact)[np.abs(exact) < 0.5].max() < 0.1
    assert np.abs(geometry.surface_distance - exact).max() < 0.8


@pytest.mark.parametrize(
    ("scale", "shift", "message"),
    [
        (1e-4, 0, "less than a voxel of 1 um; check its unit"),
        (1e6, 0, "times the size of the grid; check its unit"),
        (1.0, 40.0, "outside the grid, which reaches from"),
        (1.0, -40.0, "outside the grid"),
    ],
)
def test_meshes_in_wrong_units_or_places_are_refused(scale, shift, message):
    mesh = ball().apply_scale(scale).apply_translation((shift, 0, 0))
    with pytest.raises(GeometryError, match=message):
        built(Mesh("solid", triangles_of(mesh)), 25)


def test_a_mesh_beyond_the_grid_is_cut_and_told_of():
    geometry = built(Mesh("solid", triangles_of(ball(10.0, (0, 12.5, 12.5)))), 25)
    assert "beyond the grid at x_low; what lies there is left out" in geometry.warnings[0]
    assert (1 - geometry.open_fraction).sum() == pytest.approx(2 / 3 * np.pi * 1000, rel=0.01)


def test_walls_thinner_than_a_voxel_are_refused_with_a_size_that_works():
    walls = [trimesh.creation.box(bounds=((2.3, 2.2, z), (17.7, 17.9, z + 0.4))) for z in (4.2, 9.3, 14.1)]
    surface = triangles_of(trimesh.util.concatenate(walls))
    with pytest.raises(GeometryError, match=r"of [0-9,]+ walls .* thinner than a voxel of 1 um .* 0\.2 um or less"):
        built(Mesh("solid", surface), 20)
    fine = built(Mesh("solid", surface), 100, 0.2)
    assert (1 - fine.open_fraction).sum() * 0.008 == pytest.approx(3 * 15.4 * 15.7 * 0.4, rel=0.01)


def test_the_tip_of_a_wedge_is_no_lost_wall():
    corners = [(2.2, y, 3.1) for y in (2.3, 18.7)] + [(18.1, y, 3.1) for y in (2.3, 18.7)]
    corners += [(2.2, y, 9.3) for y in (2.3, 18.7)]
    wedge = trimesh.convex.convex_hull(np.array(corners))
    for n, within in ((22, 0.07), (44, 0.02)):
        geometry = built(Mesh("solid", triangles_of(wedge)), n, 22 / n)
        assert (1 - geometry.open_fraction.mean()) * 22**3 == pytest.approx(wedge.volume, rel=within)


STUDY = """
duration = "2 h"
[grid]
size = ["60 um", "60 um", "60 um"]
voxel = "5 um"
[boundary]
z_high = "bath"
[[schedule]]
at = "0 h"
dose = { "T-DXd" = "50 nM" }
[[scaffold]]
shape = "mesh"
material = "PCL"
file = "ball.stl"
unit = "mm"
"""


def load(tmp_path, text):
    from payloadfield.study import load_study

    (tmp_path / "study.toml").write_text(text)
    ball(20.0, (30, 30, 30)).apply_scale(1e-3).export(tmp_path / "ball.stl")
    return load_study(tmp_path / "study.toml")


def test_a_mesh_of_a_study_is_read_beside_it(tmp_path):
    study = load(tmp_path, STUDY)
    assert (1 - study.geometry.open_fraction).sum() * 125 == pytest.approx(4 / 3 * np.pi * 8000, rel=0.04)
    from payloadfield.study import load_study

    again = load_study(study.effective)
    np.testing.assert_array_equal(again.geometry.open_fraction, study.geometry.open_fraction)
    part = STUDY.replace(
        'shape = "mesh"\nmaterial = "PCL"', 'shape = "union"\nmaterial = "PCL"\n[[scaffold.parts]]\nshape = "stl"'
    )
    np.testing.assert_array_equal(load(tmp_path, part).geometry.label, study.geometry.label)
    assert load_study(load(tmp_path, part).effective).geometry.n_open == study.geometry.n_open


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('unit = "mm"\n', "", "scaffold[0].unit: is missing"),
        ('unit = "mm"', 'unit = "lightyear"', "scaffold[0].unit: got 'lightyear'"),
        ('unit = "mm"', 'unit = "m"', "check its unit"),
        ('"ball.stl"', '"bell.stl"', "bell.stl: cannot be read"),
    ],
)
def test_meshes_of_a_study_are_refused_with_a_reason(old, new, message, tmp_path):
    with pytest.raises(StudyError) as refused:
        load(tmp_path, STUDY.replace(old, new))
    assert message in str(refused.value)
