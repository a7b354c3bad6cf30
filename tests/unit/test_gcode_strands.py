"""Strands of a print: which moves are taken, how wide and high they lie, where the print stands, and its summary."""

import math

import numpy as np
import pytest
from tests import gcode_files

from payloadfield.errors import GeometryError
from payloadfield.geometry import (
    Code,
    PrintSettings,
    Switch,
    make_strands,
    place_print,
    read_gcode,
    summarise_print,
)

SKIRT = [((-1.0, -1.0), (1.0, -1.0)), ((1.0, -1.0), (1.0, 1.0))]
TWO_HEADS = "M83\nT0\nG1 X0 Y0 Z0.2\nG1 X1 E1\nT1\nG1 X1 Y1\nG1 X3 E1\nG1 Z0.4\nG1 X1 E1\nT0\nG1 X0 Y0\nG1 X1 E1\n"


@pytest.fixture
def read(tmp_path):
    def reading(text, **how):
        (tmp_path / "print.gcode").write_text(text)
        return read_gcode(tmp_path / "print.gcode", **how)

    return reading


def strand(z=0.2, x=1.0, e=1.0):
    return f"M83\nG1 X0 Y0 Z{z}\nG1 X{x} E{e}\n"


def test_the_axis_of_a_strand_lies_half_its_height_below_the_nozzle(read):
    strands = make_strands(read(strand()), PrintSettings(nozzle_diameter=400.0, layer_height=200.0))
    np.testing.assert_allclose(strands.start, [[100, 0, 0]])
    np.testing.assert_allclose(strands.end, [[100, 0, 1000]])
    low, high = strands.bounds
    np.testing.assert_allclose(low, [0, -200, -200])
    np.testing.assert_allclose(high, [200, 200, 1200])


def test_width_by_volume_holds_what_comes_out(read):
    area = math.pi / 4 * 1.75**2 * 0.02 / 1.0
    settings = PrintSettings(filament_diameter=1750.0, layer_height=200.0, width="volume")
    strands = make_strands(read(strand(e=0.02)), settings)
    assert strands.width[0] == pytest.approx(4 / math.pi * area / 0.2 * 1e3)
    assert math.pi / 4 * strands.width[0] * strands.height[0] * 1000 == pytest.approx(strands.volume[0])
    syringe = make_strands(read(strand(e=0.05), volumetric=True), PrintSettings(layer_height=200.0, width="volume"))
    assert syringe.width[0] == pytest.approx(4 / math.pi * 0.05 / 0.2 * 1e3)


def test_little_volume_makes_a_round_strand_below_the_nozzle(read):
    settings = PrintSettings(layer_height=200.0, width="volume")
    strands = make_strands(read(strand(e=0.01), volumetric=True), settings)
    across = math.sqrt(4 / math.pi * 0.01) * 1e3
    assert strands.width[0] == strands.height[0] == pytest.approx(across)
    assert strands.start[0, 0] == pytest.approx(200 - across / 2)


def test_widths_come_from_nozzle_by_head_comment_or_number(read):
    path = read(TWO_HEADS)
    by_head = make_strands(path, PrintSettings(nozzle_diameter={"T0": 400.0, "T1": 250.0}, layer_height=200.0))
    assert by_head.width.tolist() == [400, 250, 250, 400]
    assert make_strands(path, PrintSettings(width=333.0)).width.tolist() == [333] * 4
    commented = read(TWO_HEADS.replace("G1 X1 E1", ";WIDTH:0.5\nG1 X1 E1", 1))
    assert make_strands(commented, PrintSettings(width="comment")).width.tolist() == [500] * 4


def test_height_comes_from_the_study_a_comment_or_the_rise_of_the_nozzle(read):
    text = strand(0.25) + strand(0.45) + strand(0.65)
    assert make_strands(read(text), PrintSettings(width=400.0)).height.tolist() == pytest.approx([250, 200, 200])
    assert make_strands(read(text), PrintSettings(width=400.0, layer_height=300.0)).height.tolist() == [300] * 3
    said = make_strands(read("M83\n;HEIGHT:0.3\n" + text), PrintSettings(width=400.0))
    assert said.height.tolist() == [300] * 3
    from_zero = strand(0) + strand(0.2) + strand(0.4)
    assert make_strands(read(from_zero), PrintSettings(width=400.0)).height.tolist() == pytest.approx([200] * 3)


def test_heads_layers_and_kinds_can_be_left_out(read):
    layers = gcode_files.woodpile()
    path = read(gcode_files.prusa(layers, skirt=SKIRT))
    take = {"width": 30.0}
    assert len(make_strands(path, PrintSettings(**take)).head) == 26
    assert len(make_strands(path, PrintSettings(**take, leave_out=("Skirt/Brim",))).head) == 24
    assert len(make_strands(path, PrintSettings(**take, first_layer=2, last_layer=3)).head) == 12
    prime = read("M83\nG1 X0 Y5 Z0.2\nG1 X9 E9\n;LAYER:0\n" + strand())
    kept = make_strands(prime, PrintSettings(**take, layer_height=200.0, first_layer=1))
    assert kept.layer.tolist() == [1]
    two = make_strands(read(TWO_HEADS), PrintSettings(**take, heads=("T1",)))
    assert two.bounds[1].tolist() == [400, 1015, 3015]
    assert len(two.of_head("T1").head) == 2
    with pytest.raises(GeometryError, match="head T0 prints nothing that is taken; there are: T1"):
        two.of_head("T0")


def test_a_start_at_an_unknown_place_is_told_of_if_it_is_taken(read):
    text = "G28\nM83\n;TYPE:Custom\nG1 Z0.2\nG1 X60 E9\n;TYPE:Perimeter\nG1 X0 Y0\nG1 X1 E1\n"
    told = PrintSettings(width=400.0, layer_height=200.0)
    assert (
        "starts at a place that the file does not give, taken as (0, 0, 200) um"
        in make_strands(read(text), told).notes[0]
    )
    without = PrintSettings(width=400.0, layer_height=200.0, leave_out=("Custom",))
    assert not make_strands(read(text), without).notes


def test_a_print_is_placed_by_its_lower_corner_or_in_the_middle(read):
    strands = make_strands(read(strand()), PrintSettings(width=400.0, layer_height=200.0))
    corner = place_print(strands, (7.0, 8.0, 9.0), None)
    np.testing.assert_allclose(corner.bounds[0], [7, 8, 9])
    low, high = place_print(strands, None, (1000.0, 2000.0)).bounds
    np.testing.assert_allclose((low + high)[1:] / 2, [1000, 2000])
    assert low[0] == pytest.approx(0)
    assert place_print(strands, None, None) is strands


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        (strand(), {"layer_height": 200.0}, "nozzle_diameter of head T0 is missing; set nozzle_diameter"),
        (TWO_HEADS, {"nozzle_diameter": {"T0": 400.0}}, "nozzle_diameter of head T1 is missing"),
        (strand(), {"width": "volume", "layer_height": 200.0}, "filament_diameter of head T0 is missing"),
        (strand(e=10), {"width": "volume", "layer_height": 200.0, "filament_diameter": 1750.0},
         "strands 200 um high are 1.531e.05 um wide; check filament_diameter, layer_height and unit"),
        (strand(), {"width": "comment", "layer_height": 200.0}, "1 of 1 strands come before any ;WIDTH: comment"),
        (strand(), {"width": 400.0}, "prints at one height only, which does not say how high a strand is; set layer_h"),
        ("M83\nG1 X0 Y0 Z0.2\nG1 X1 Z0.4 E1\n", {"width": 400.0}, "rises while it prints.*; set layer_height"),
        (strand(5) + strand(5.2), {"width": 400.0}, "rises by 200 to 5000 um from layer to layer"),
        (strand(), {"width": 400.0, "heads": ("T1",)}, "heads: there is no 'T1'; the file has: T0"),
        (strand(), {"width": 400.0, "leave_out": ("SKIRT",)}, "leave_out: there is no 'SKIRT'; the file has: no type"),
        (strand(), {"width": 400.0, "first_layer": 2}, "take none of its 1 strands; it has layers 1 to 1, heads T0"),
        (strand(x=5000), {"width": 400.0}, r'is 5 m long, which no print is: its coordinates count as mm; set unit'),
    ],
)  # fmt: skip
def test_settings_that_make_no_print_are_refused(read, text, settings, message):
    with pytest.raises(GeometryError, match=message):
        make_strands(read(text), PrintSettings(**settings))


def test_a_few_wide_strands_are_told_of(read):
    settings = PrintSettings(layer_height=200.0, width="volume")
    text = strand(e=0.05) + strand(e=0.05) + strand(x=0.01, e=0.5)
    assert (
        "1 strands are more than 20 times as wide as high"
        in make_strands(read(text, volumetric=True), settings).notes[0]
    )


def test_pressure_says_nothing_of_volume(read):
    path = read("G1 Z0.2\nM760\nG1 X1\nM761\n", switches=(Switch((Code("M760"),), (Code("M761"),)),))
    settings = PrintSettings(width="volume", layer_height=200.0, filament_diameter=1750.0)
    with pytest.raises(GeometryError, match='width = "volume" needs an E axis'):
        make_strands(path, settings)


def test_a_summary_says_what_was_understood(read):
    layers = gcode_files.woodpile()
    path = read(gcode_files.prusa(layers, skirt=SKIRT))
    bare = summarise_print(path)
    assert (bare.n_strands, bare.n_taken, bare.n_layers) == (26, 26, 4)
    assert bare.path_length_by_type == pytest.approx({"Skirt/Brim": 4000, "Internal infill": 24 * 420})
    assert bare.ignored == {"M104": 2, "M73": 1, "M84": 1}
    assert (bare.low, bare.high) == ((-1000, -1000, 27), pytest.approx((1000, 1000, 108)))
    settings = PrintSettings(30.0, 1750.0, leave_out=("Skirt/Brim",))
    made = summarise_print(path, make_strands(path, settings))
    assert (made.n_strands, made.n_taken) == (26, 24)
    assert made.low == pytest.approx((-165, -165, 0)) and made.high == pytest.approx((285, 285, 108))
    [head] = made.heads
    assert (head.head, head.n_strands, head.width, head.height) == ("T0", 24, (30,) * 3, (27,) * 3)
    assert head.path_length == pytest.approx(24 * 420)
    assert head.extruded_volume == pytest.approx(24 * 420 * 600, rel=1e-4)  # section 0.0006 mm^2
