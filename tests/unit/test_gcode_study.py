"""Prints in a study: its keys, materials by head, refusals; and the example, from check to run."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from tests import gcode_files
from tests.running import run

import payloadfield
from payloadfield.cli.program import run_program
from payloadfield.errors import StudyError
from payloadfield.study import load_study
from payloadfield.study.resolve_prints import read_prints

EXAMPLE = Path(__file__).parents[2] / "examples" / "printed_woodpile"
TWO_HEADS = "M83\nT0\nG1 X0 Y.03 Z.06\nG1 X.2 E1\nT1\nG1 X0 Y.09\nG1 X.2 E1\n"
PRINT = {"shape": "gcode", "file": "woodpile.gcode", "material": "PCL", "nozzle_diameter": "30 um"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("woodpile.gcode").write_text(gcode_files.prusa(gcode_files.woodpile()))
    Path("pressure.gcode").write_text(gcode_files.bioprinter(gcode_files.woodpile()))
    Path("heads.gcode").write_text(TWO_HEADS)
    return tmp_path


def study(*scaffold, **keys):
    return {
        "duration": "1 h",
        "grid": {"size": ["120 um", "120 um", "108 um"], "voxel": "4 um"},
        "boundary": {"z_high": "bath"},
        "scaffold": list(scaffold),
        "schedule": [{"at": "0 h", "dose": {"T-DXd": "50 nM"}}],
        **keys,
    }


def open_fraction(*scaffold):
    return load_study(study(*scaffold)).geometry.open_fraction


def test_a_printed_woodpile_agrees_with_the_shape_in_a_study(folder):
    wood = {"shape": "woodpile", "material": "PCL", "strand_diameter": "30 um", "strand_spacing": "60 um"}
    exact = open_fraction(wood | {"layer_height": "27 um", "flattening": 0.9, "n_layers": 4})
    np.testing.assert_allclose(open_fraction(PRINT), exact, atol=1e-9)
    by_code = PRINT | {"file": "pressure.gcode", "extrusion": {"on": "M760", "off": "M761"}}
    by_head = PRINT | {"file": "pressure.gcode", "extrusion": {"T0": {"on": ["M760"], "off": "M761"}}}
    for same in (by_code, by_head, PRINT | {"width": "comment"}, PRINT | {"width": "30 um"}):
        np.testing.assert_allclose(open_fraction(same), exact, atol=1e-9)
    narrower = PRINT | {"width": "volume", "filament_diameter": {"T0": "1.75 mm"}}
    assert open_fraction(narrower).mean() > exact.mean() + 0.01


@pytest.mark.validate
def test_exposure_of_cells_on_a_print_is_that_on_the_shape(folder):
    wood = {"shape": "woodpile", "material": "PCL", "strand_diameter": "30 um", "strand_spacing": "60 um"}
    wood |= {"layer_height": "27 um", "flattening": 0.9, "n_layers": 4}
    cells = [{"type": "SK-BR-3", "count": 6, "place": "surface"}]
    around = {"grid": {"size": ["60 um", "60 um", "108 um"], "voxel": "6 um"}, "cells": cells}
    medians = []
    for row in (wood, PRINT, PRINT | {"nozzle_diameter": "20 um"}):
        found = run(load_study(study(row, **around)), "numpy")
        medians.append(np.median(found.exposure("payload_exposure")))
    assert medians[1] == pytest.approx(medians[0], rel=0.02)
    assert medians[2] != pytest.approx(medians[0], rel=1e-3)


def test_heads_have_materials_and_later_ones_go_over_earlier_ones(folder):
    row = {"shape": "gcode", "file": "heads.gcode", "layer_height": "60 um", "nozzle_diameter": "50 um"}
    found = load_study(study(row | {"materials": {"T0": "PCL", "T1": "collagen"}}))
    assert [m.name for m in found.geometry.materials] == ["medium", "PCL", "collagen"]
    label = found.geometry.label[7]
    assert label[7, 15] == 1 and label[22, 15] == 2 and label[15, 15] == 0
    only = load_study(study(row | {"materials": {"T1": "PCL"}, "heads": ["T1"]}))
    assert only.geometry.label[7][22, 15] == 1 and only.geometry.label[7][7, 15] == 0
    moved = load_study(
        study(row | {"materials": {"T0": "PCL", "T1": "collagen"}, "translate": ["0 um", "8 um", "0 um"]})
    )
    np.testing.assert_array_equal(moved.geometry.label[:, 2:], found.geometry.label[:, :-2])


def test_prints_are_placed_turned_repeated_and_combined(folder):
    row = {"shape": "gcode", "file": "heads.gcode", "width": "20 um", "layer_height": "20 um", "heads": ["T0"]}
    at = open_fraction(row | {"material": "PCL", "at": ["20 um", "40 um", "8 um"]})
    assert at[:, :10].min() == 1 and at[:2].min() == 1 and at[:, :, :4].min() == 1
    assert at[2:7, 10:15].mean() < 0.5 and at[:, 16:].min() == 1
    centred = open_fraction(row | {"material": "PCL", "centre": True})
    np.testing.assert_allclose(centred, centred[:, ::-1, ::-1], atol=1e-9)
    assert centred[0].min() < 1 and centred[6:].min() == 1
    turn = {"rotate": ["0 deg", "0 deg", "90 deg"], "rotate_about": ["60 um", "60 um", "0 um"]}
    turned = open_fraction(row | {"material": "PCL", "centre": True} | turn)
    np.testing.assert_allclose(turned, centred.transpose(0, 2, 1), atol=1e-9)
    again = {"repeat": {"count": [1, 1, 2], "step": ["0 um", "0 um", "40 um"]}}
    twice = open_fraction(row | {"material": "PCL", "centre": True} | again)
    np.testing.assert_allclose(1 - twice, (1 - centred) + (1 - np.roll(centred, 10, axis=0)), atol=1e-9)
    box = {"shape": "box", "low": ["0 um"] * 3, "high": ["60 um", "120 um", "108 um"]}
    cut = open_fraction({"shape": "difference", "material": "PCL", "parts": [row | {"centre": True}, box]})
    np.testing.assert_allclose(cut[:, :, 18:], centred[:, :, 18:], atol=1e-9)  # two voxels from the edge and more
    assert cut[:, :, :15].min() == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"materials": {"T0": "PCL"}}, r"scaffold\[0\].material: is given beside materials; keep one of them"),
        ({"material": None}, r"scaffold\[0\].material: is missing"),
        ({"material": None, "materials": {"T0": "PLC"}}, r"scaffold\[0\].materials.T0: there is no material 'PLC'"),
        ({"material": None, "materials": {"head": "PCL"}}, "got 'head'; the name of a head such as 'T0' is needed"),
        ({"material": None, "file": "heads.gcode", "layer_height": "30 um", "materials": {"T0": "PCL"}},
         "head T1 prints, but materials names only T0; give it a material, or say in heads which"),
        ({"material": None, "materials": {"T0": "PCL", "T2": "PCL"}}, "head T2 prints nothing that is taken"),
        ({"file": "no.gcode"}, r"gcode .*no.gcode: cannot be read"),
        ({"file": "pressure.gcode"}, r'but it has M760; for a head driven by pressure set extrusion'),
        ({"extrusion": "F"}, r"scaffold\[0\].extrusion: got 'F'; 'E', 'volumetric' or"),
        ({"extrusion": {"on": "M760"}}, r"scaffold\[0\].extrusion: got .*; 'E', 'volumetric' or \{ on = \"M760\""),
        ({"extrusion": {"on": "start", "off": "M1"}}, "got 'start'; a command such as 'M760' or 'M42 P4 S255' is"),
        ({"extrusion": {"on": [], "off": "M1"}}, "a command such as 'M760', or a list of them, is needed"),
        ({"extrusion": {"T0": "M760"}}, r"is needed for each head"),
        ({"width": "wide"}, r"got 'wide'; 'nozzle', 'volume', 'comment' or a length such as '0.4 mm' is needed"),
        ({"width": "3 s"}, r"scaffold\[0\].width: got '3 s', a time; a length"),
        ({"nozzle_diameter": {}}, "got an empty table; a length, or one by head"),
        ({"nozzle_diameter": {"T0": "-1 um"}}, r"scaffold\[0\].nozzle_diameter: got '-1 um'"),
        ({"unit": "ft"}, "got 'ft'; 'um', 'mm', 'cm', 'm' or 'inch' is needed"),
        ({"unit": "m"}, "times the size of the grid; check its unit"),
        ({"at": ["0 um"] * 3, "centre": True}, "at and centre both say where it stands; keep one of them"),
        ({"at": ["1 mm", "0 um", "0 um"]}, r"outside the grid.*set centre = true, or at"),
        ({"nozzle_diameter": None}, "nozzle_diameter of head T0 is missing"),
        ({"nozle": "1 um"}, r"scaffold\[0\].nozle: unknown key; there are: .*nozzle_diameter"),
    ],
)  # fmt: skip
def test_a_print_that_cannot_be_is_refused_with_its_key_or_file(folder, changes, message):
    row = {key: value for key, value in (PRINT | changes).items() if value is not None}
    with pytest.raises(StudyError, match=message):
        load_study(study(row))


def test_a_part_has_no_materials(folder):
    part = {key: value for key, value in PRINT.items() if key != "material"}
    table = {"shape": "union", "material": "PCL", "parts": [part | {"materials": {"T0": "PCL"}}]}
    with pytest.raises(StudyError, match=r"parts\[0\].material: a part of a shape has none"):
        load_study(study(table))


def test_an_effective_study_makes_the_same_print_again(folder):
    row = PRINT | {"file": "heads.gcode", "layer_height": "60 um", "nozzle_diameter": {"T0": "50 um", "T1": "40 um"}}
    first = load_study(study(row | {"first_layer": 1, "extrusion": "E", "width": "nozzle"}))
    again = load_study(dict(first.effective))
    np.testing.assert_array_equal(first.geometry.open_fraction, again.geometry.open_fraction)
    by_length = load_study(study(PRINT | {"width": "25 um"}))
    assert by_length.effective["scaffold"][0]["width"] == "25.0 um"


def test_prints_of_a_study_are_summarised_whatever_else_is_wrong_with_it(folder):
    union = {"shape": "union", "material": "PCL", "parts": [{k: v for k, v in PRINT.items() if k != "material"}]}
    found = read_prints(study(PRINT | {"translate": ["9 mm", "0 um", "0 um"]}, union, duration="1 s"))
    assert [summary.n_taken for summary in found] == [24, 24]
    assert found[0].low == pytest.approx((-165, -165, 0))


def script():
    spec = importlib.util.spec_from_file_location("write_gcode", EXAMPLE / "write_gcode.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_file_is_what_its_script_writes():
    assert (EXAMPLE / "woodpile.gcode").read_text() == "\n".join(script().program()) + "\n"


def test_the_example_has_the_porosity_of_its_woodpile():
    """Within its box, the strands of the print have the section and the length of the woodpile's; ends are round."""
    geometry = load_study(EXAMPLE / "study.toml").geometry
    wood = {"shape": "woodpile", "material": "PCL", "strand_diameter": "0.4 mm", "strand_spacing": "0.8 mm",
            "layer_height": "0.2 mm", "flattening": 0.5, "n_layers": 6}  # fmt: skip
    exact = load_study(study(wood, grid={"size": ["3.2 mm", "3.2 mm", "1.4 mm"], "voxel": "50 um"})).geometry
    inside = np.s_[:, 8:-8, 8:-8]
    np.testing.assert_allclose(geometry.open_fraction[inside], exact.open_fraction[inside], atol=1e-6)


def test_the_example_is_checked_read_and_run(tmp_path, capsys):
    file = str(EXAMPLE / "study.toml")
    assert run_program(["check", file, "--json"]) == 0
    [told] = json.loads(capsys.readouterr().out)["prints"]
    assert (told["n_strands"], told["n_taken"], told["n_layers"]) == (30, 24, 6)
    assert told["ignored"]["M104"] == 2 and told["high"] == pytest.approx([3200, 3200, 1200])
    assert run_program(["check", file]) == 0
    assert "12 commands without effect: M104 (2), G4 (1)" in capsys.readouterr().out
    coarse = ["--set", "grid.voxel=100 um", "--set", "cells[0].count=8", "--set", "duration=1 h"]
    coarse += ["--set", "output.every=1 h", "--set", "scaffold[0].leave_out=['Custom', 'Skirt/Brim']"]
    assert run_program(["run", file, "-o", str(tmp_path / "run"), "-q", "--backend", "numpy", *coarse]) == 0
    run = payloadfield.open_run(tmp_path / "run")
    assert run.state == "finished"
    assert (tmp_path / "run" / "inputs").is_dir()
    capsys.readouterr()
    assert run_program(["geometry", "read", str(tmp_path / "run" / "study.toml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["n_taken"] == 24


def test_a_file_alone_is_read_too(folder, capsys):
    assert run_program(["geometry", "read", "woodpile.gcode"]) == 0
    shown = capsys.readouterr().out
    assert "PrusaSlicer 2.7.1" in shown and "24 of 24 strands taken in 4 layers" in shown and "Internal infill" in shown
    assert run_program(["geometry", "read", "pressure.gcode", "--on", "M760", "--off", "M761", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["heads"][0]["n_strands"] == 24
    assert run_program(["geometry", "read", "pressure.gcode"]) == 1
    assert "but it has M760" in capsys.readouterr().err
    assert run_program(["geometry", "read", "pressure.gcode", "--on", "M760"]) == 2
    assert run_program(["geometry", "read", "pressure.gcode", "--on", "x", "--off", "M761"]) == 1
    assert "a command such as 'M760'" in capsys.readouterr().err
