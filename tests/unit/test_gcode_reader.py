"""G-code: what is read of each dialect, what is ignored and counted, and what is refused."""

import math

import numpy as np
import pytest
from tests import gcode_files

from payloadfield.errors import GeometryError
from payloadfield.geometry import Code, Switch, read_gcode

VALVE = (Switch((Code("M760"),), (Code("M761"),)),)


@pytest.fixture
def read(tmp_path):
    def reading(text, **how):
        path = tmp_path / "print.gcode"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_gcode(path, **how)

    return reading


def ends(path):
    """Ends of the strands in mm, rounded: [(x0, y0, z0, x1, y1, z1)]."""
    return [tuple(float(v) for v in row) for row in np.round(np.hstack([path.start, path.end]) / 1e3, 6)]


def test_a_move_with_extrusion_is_a_strand_and_a_travel_is_none(read):
    path = read("G21\nG90\nM82\nG0 X1 Y2 Z0.2\nG1 X3 E1\nG0 X5\nG1 Y4 E2\n")
    assert ends(path) == [(1, 2, 0.2, 3, 2, 0.2), (5, 2, 0.2, 5, 4, 0.2)]
    np.testing.assert_allclose(path.filament, [1000, 1000])


@pytest.mark.parametrize(
    "text",
    [
        "M83\nG0 X1 Y2 Z0.2\nG1 X3 E1\nG0 X5\nG1 Y4 E1",
        "M83\nG91\nG0 X1 Y2 Z0.2\nG1 X2 E1\nG0 X2\nG1 Y2 E1",
        "G91\nG0 X1 Y2 Z0.2\nG1 X2 E1\nG0 X2\nG1 Y2 E1",  # Marlin: E is relative with the axes
        "G91\nM82\nG0 X1 Y2 Z0.2\nG1 X2 E1\nG0 X2\nG1 Y2 E2",
        "g1 x1 y2 z.2\nG01X3E1\n G1 X+5 (travel)\nG1 Y4 E2. ; up",
        "G20\nG0 X0.03937007874 Y0.07874015748 Z0.007874015748\nG1 X0.1181102362 E0.03937007874\nG0 X0.1968503937\n"
        "G1 Y0.157480315 E0.07874015748",
        "G0 X1 Y2 Z0.2\nG92 X0 Y0 E5\nG1 X2 E6\nG0 X4\nG1 Y2 E7",
        "G0 X1 Y2 Z0.2\nG1 X3 E1\nG92\nG0 X2\nG1 Y2 E1",
        "G0 X1 Y2 Z0.2\nG1 X3 E1\nX5 F300\nG1 Y4 E2",
        "G90 G0 X1 Y2 Z0.2\nM83\nG7 X2 E1\nG0 X5\nG7 Y2 E1",
        "G0 X1 Y2 Z0.2\nG1 X3 E1\nG1 E-4 ; retraction\nG0 X5\nG1 E1 ; back\nG1 Y4 E2",
        "G0 X1 Y2 Z0.2\nG1 X3 E1\nG1 E-4\nG0 X5\nG1 Y4 E2 ; five of six go into what was drawn back",
        "%\nG28 X Y\nG0 X1 Y2 Z0.2\nG1 X3 E1 F1200.5\nF300\nG0 X5\nG1 Y4 E2\nM2",
    ],
)
def test_relative_and_absolute_and_other_ways_to_say_the_same_are_the_same(read, text):
    path = read(text)
    assert ends(path) == [(1, 2, 0.2, 3, 2, 0.2), (5, 2, 0.2, 5, 4, 0.2)]
    np.testing.assert_allclose(path.filament, [1000, 1000], rtol=1e-6)


def test_numbered_lines_with_checksums_read_like_plain_ones_and_a_wrong_one_is_refused(read):
    text = gcode_files.cura(gcode_files.woodpile())
    plain, numbered = read(text), read(gcode_files.numbered(text))
    assert ends(plain) == ends(numbered)
    damaged = gcode_files.numbered(text).replace("X0.27", "X0.37", 1)
    with pytest.raises(
        GeometryError, match=r"line \d+: its checksum is \d+, but its text gives \d+; the file is damag"
    ):
        read(damaged)


def test_dialects_give_the_same_strands(read):
    layers = gcode_files.woodpile()
    wanted = [(*map(float, (*a, z, *b, z)),) for z, strands in layers for a, b in strands]
    prusa, cura = read(gcode_files.prusa(layers)), read(gcode_files.cura(layers))
    pressure = read(gcode_files.bioprinter(layers), switches=VALVE)
    for path in (prusa, cura, pressure):
        np.testing.assert_allclose(ends(path), wanted, atol=1e-6)
        np.testing.assert_array_equal(np.unique(path.layer), [1, 2, 3, 4])
    assert prusa.program.startswith("PrusaSlicer 2.7.1") and cura.program.startswith("Cura_SteamEngine")
    np.testing.assert_allclose(prusa.filament, cura.filament, rtol=1e-5)
    assert (prusa.width == 30).all() and (prusa.height == 27).all() and np.isnan(cura.width).all()
    assert np.isnan(pressure.volume).all()


def test_layers_that_cura_announces_may_come_out_empty(read):
    text = ";LAYER_COUNT:2\n;LAYER:0\nG1 X1 E1\n;TIME_ELAPSED:21.3\n"
    assert read(text + ";End of Gcode\n").layer.tolist() == [1]
    with pytest.raises(GeometryError, match="it announces 2 layers and has 1"):
        read(text)


def test_other_slicers_name_kinds_and_layers_in_their_own_way(read):
    text = "M83\nG1 X0 Y0 Z0.2\n{}\nG1 X1 E1\n{}\n{}\nG1 Y1 E1\n"
    bambu = text.format("; CHANGE_LAYER", "; FEATURE: Outer wall", "; LINE_WIDTH: 0.42")
    simplify = text.format("; layer 1, Z = 0.200", "; feature outer perimeter", "; tool H0.2 W0.4")
    assert read(bambu).kinds == ("no type", "Outer wall") and read(bambu).width[-1] == pytest.approx(420)
    assert read(simplify).kinds == ("no type", "outer perimeter")
    both = text.format(";LAYER_CHANGE\n;LAYER:0", ";TYPE:Solid infill", ";LAYER_CHANGE\n;LAYER:1")
    assert read(both).layer.tolist() == [1, 2]


def test_layers_without_names_are_counted_by_height(read):
    path = read("M83\nG1 X0 Y0 Z0.4\nG1 X1 E1\nG1 Z0.2\nG1 X0 E1\nG1 Z0.4\nG1 Y1 E1\n")
    assert path.layer.tolist() == [2, 1, 2]


@pytest.mark.parametrize(("first", "second"), [("T0", "T1"), ("T0", "M6 T1"), ("T0", "T1 M6"), ("T00", "T01")])
def test_tools_are_heads(read, first, second):
    path = read(f"M83\n{first}\nG1 X1 E1\n{second}\nG1 X2 E1\nG1 X3 E1\n")
    assert path.heads == ("T0", "T1") and path.head.tolist() == [0, 1, 1]


def test_each_head_has_its_own_codes(read):
    switches = (Switch((Code("M760"),), (Code("M761"),), "T0"), Switch((Code("M762"),), (Code("M763"),), "T1"))
    path = read("G1 X1\nM760\nG1 X2\nM761\nG1 X3\nM762\nG1 X4\nG1 X5\nM763\nG1 X6", switches=switches)
    assert path.heads == ("T0", "T1") and path.head.tolist() == [0, 1, 1]


def test_codes_may_have_words_and_a_pump_at_strength_zero_is_off(read):
    pin = (Switch((Code("M42", (("P", 4.0), ("S", 255.0))),), (Code("M42", (("P", 4.0), ("S", 0.0))),)),)
    text = "G1 X1\nM42 P5 S255\nG1 X2\nM42 P4 S255\nG1 X3\nM42 P4 S0\nG1 X4"
    path = read(text, switches=pin)
    assert ends(path) == [(2, 0, 0, 3, 0, 0)] and path.ignored == {"M42": 1}
    fan = (Switch((Code("M106"),), (Code("M107"),)),)
    assert ends(read("G1 X1\nM106 S255\nG1 X2\nM106 S0\nG1 X3", switches=fan)) == [(1, 0, 0, 2, 0, 0)]
    assert ends(read("G1 X1\nM106\nG1 X2 E5\nM107\nG1 X3", switches=fan)) == [(1, 0, 0, 2, 0, 0)]


def test_e_may_count_volume(read):
    text = "M83\nG1 X0 Y0 Z0.2\nG1 X1 E0.5\n"
    np.testing.assert_allclose(read(text, volumetric=True).volume, 0.5e9)
    np.testing.assert_allclose(read("M200 D1.75\n" + text).volume, 0.5e9)
    assert read("M200 D0\n" + text).filament == 500
    inches = read("G20\nM83\nG1 X0 Y0 Z0.2\nG1 X1 E0.5\n", volumetric=True)
    np.testing.assert_allclose(inches.volume, 0.5 * 25400.0**3)


@pytest.mark.parametrize(
    ("text", "length", "end"),
    [
        ("G3 X0 Y10 I-10 J0 E1", math.pi / 2 * 10, (0, 10)),
        ("G2 X0 Y10 I-10 J0 E1", math.pi * 1.5 * 10, (0, 10)),
        ("G3 X10 Y0 I-10 E1", math.tau * 10, (10, 0)),
        ("G2 I-10 E1", math.tau * 10, (10, 0)),
        ("G3 X0 Y10 R10 E1", math.pi / 2 * 10, (0, 10)),
        ("G3 X0 Y10 R-10 E1", math.pi * 1.5 * 10, (0, 10)),
        ("G2 X0 Y10 R10 E1", math.pi / 2 * 10, (0, 10)),
        ("G91\nG3 X-10 Y10 I-10 J0 E1", math.pi / 2 * 10, (0, 10)),
        ("G3 X0 Y10 Z3 I-10 J0 E1", math.hypot(math.pi / 2 * 10, 3 - 0.2), (0, 10)),
    ],
)
def test_arcs_have_their_length_and_lie_on_their_circle(read, text, length, end):
    path = read(f"M83\nG1 X10 Y0 Z0.2\n{text}\n")
    np.testing.assert_allclose(path.end[-1, :2] / 1e3, end, atol=1e-9)
    assert np.linalg.norm(path.end - path.start, axis=1).sum() / 1e3 == pytest.approx(length, rel=1e-4)
    assert path.filament.sum() == pytest.approx(1000)
    middle = (10, 10) if text.startswith("G2 X0 Y10 R10") else (10, 10) if "R-10" in text else (0, 0)
    radius = np.hypot(*(path.end[:, :2] / 1e3 - middle).T)
    np.testing.assert_allclose(radius, 10, rtol=1e-9)


def test_commands_without_effect_are_counted_by_code(read):
    text = "M104 S200\nM104 S0\nM117 Hello G1 X5 E9\nG4 P1\nSTART_PRINT BED=60\nEXCLUDE_OBJECT_START NAME=a\nM83\n"
    path = read(text + "G1 X1 E1 A3\nG1 X2 E1 A4\nG1 E3\nT?\n")
    wanted = {"M104": 2, "word A": 2, "EXCLUDE_OBJECT_START": 1, "G4": 1, "M117": 1, "START_PRINT": 1, "T?": 1}
    assert path.ignored == wanted
    assert path.n_standing == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", r"extrudes nothing in 2 lines, of which not one is a move; is it G-code\?"),
        ("Dear printer,\nplease print.\n", "not one is a move"),
        ("G1 X1\nG1 X2\n", "2 moves, and its E axis never pushes along one"),
        ("G1 X1 E-1\nG1 X2 E-2\n", "its E axis never pushes"),
        ("M760\nG1 X1\nM761", r'but it has M760; for a head driven by pressure set extrusion = \{ on = "M760"'),
        (b"GCDE\1\0\0\0", "is binary G-code; export it as text"),
        (b"PK\3\4", "is an archive"),
        (b"G1 X1 E1\n\0\0", "is no text"),
        (b"G1 X1 E1\n" * 10000 + b"\0\n", "line 10,001: is not text"),
        ("G1 X1 E1\nG1 Xnan E2", "line 2: cannot be read: 'G1 XNAN E2'; was the file cut off or damaged"),
        ("G1 X1 E1\nG1 X1..2 E2", "line 2: cannot be read"),
        ("G1 X1 E1\nG1 X5 Y", "line 2: cannot be read: 'G1 X5 Y'; was the file cut off"),
        ("G1 X1 E1\nX1,5", "line 2: cannot be read"),
        ("G1 X1 E1\nG92 X", "line 2: cannot be read"),
        ("G1 X" + "9" * 400 + " E1", "X = inf km"),
        ("G1 X1 E" + "9" * 400, "E = inf km"),
        ("G1 X20000 E1", r"goes to X = 20 m; no printer does: the coordinates count as mm; set unit"),
        ("G20\nG1 X1000 E1", "goes to X = 25.4 m; no printer does: the coordinates count as inch"),
        ("G1 X1 E" + "1" * 600, "605 letters of code|letters of code"),
        (b"; " + b"x" * 2**21, "longer than 1,048,576 bytes"),
        ("G1 X1 Y0 E1\nG3 X5 Y5 I1 J0 E2", "line 2: the arc does not reach its end: it starts 1000 um from its centre"),
        ("G1 X1 Y0 E1\nG3 X5 Y5 E2", "line 2: an arc without I, J or R"),
        ("G1 X1 Y0 E1\nG3 X5 Y5 R1 E2", "line 2: the ends of the arc are 6403 um apart, more than twice its radius"),
        ("G1 X1 Y0 E1\nG3 X1 Y0 R1 E2", "line 2: an arc by radius R that ends where it starts"),
        ("G1 X1 Y0 E1\nG3 X1 Y0 I0 J0 E2", "line 2: the arc does not reach its end"),
        ("G18\nG2 X1 Z1 I1 E1", "line 2: an arc in the plane of G18; only arcs in G17"),
        ("G5 X1 Y1 I1 J1 P1 Q1 E1", "line 1: G5: splines are not read"),
        ("G1 X1 E1\nG55", "line 2: G55: a second system of coordinates is not read"),
        (";LAYER_COUNT:3\n;LAYER:0\nG1 X1 E1\n;LAYER:1\nG1 X2 E2", "was cut off: it announces 3 layers and has 2"),
        (";LAYER_COUNT:2\n;LAYER:0\nG1 X1 E1\n;TIME_ELAPSED:1\n;LAYER:1\nG1 X2 E2", "layer 2 does not end with TIME_E"),
        ("; generated by PrusaSlicer 2.7\nG1 X1 E1", "was cut off: its slicer ends a file with 'filament used'"),
        ("; EXECUTABLE_BLOCK_START\nG1 X1 E1", "was cut off: it has no EXECUTABLE_BLOCK_END"),
    ],
)
def test_bad_files_are_refused_with_one_clear_message(read, text, message):
    with pytest.raises(GeometryError, match=message) as refusal:
        read(text)
    assert "print.gcode" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_and_an_unknown_unit_are_refused(tmp_path):
    with pytest.raises(GeometryError, match="cannot be read"):
        read_gcode(tmp_path / "no.gcode")
    with pytest.raises(GeometryError, match="unit 'ft' is unknown; there are: um, mm"):
        read_gcode(tmp_path / "no.gcode", unit="ft")


def test_a_unit_of_the_study_goes_over_that_of_the_file(read):
    path = read("G21\nM83\n;WIDTH:30\nG1 X0 Y0 Z5\nG1 X20000 E1\n", unit="um")
    assert ends(path) == [(0, 0, 0.005, 20, 0, 0.005)] and path.width.tolist() == [30]


def test_a_head_left_open_is_told_of(read):
    assert "still open at its end" in read("M760\nG1 X1\n", switches=VALVE).notes[0]
    assert not read("M760\nG1 X1\nM761", switches=VALVE).notes


def test_damaged_letters_and_windows_line_ends_do_no_harm(read):
    text = b"\xef\xbb\xbfG21\r\nM83\r\n; caf\xe9\r\nG1 X1 E1\r\n"
    assert ends(read(text)) == [(0, 0, 0, 1, 0, 0)]
