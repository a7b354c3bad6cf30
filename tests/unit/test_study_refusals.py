"""What a study must not say: each is refused with the file, the key, and what to do."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payloadfield.errors import MechanismError, PayloadfieldError, StudyError
from payloadfield.study import load_study

GOOD = """
duration = "2 h"
[grid]
size = ["60 um", "60 um", "60 um"]
voxel = "20 um"
[boundary]
z_high = "bath"
[[cells]]
type = "SK-BR-3"
count = 3
place = "anywhere"
[[schedule]]
at = "0 h"
dose = { "T-DXd" = "50 nM" }
"""


def refusal(tmp_path: Path, text: str, *overrides: str) -> str:
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(StudyError) as caught:
        load_study(path, overrides)
    message = str(caught.value)
    assert message.startswith((str(path), "--set"))
    return message.replace(str(path), "study.toml")


def test_the_good_study_is_good(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(GOOD)
    assert load_study(path).cells.n_cells == 3


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        # unknown keys
        ('duration = "2 h"', 'duration = "2 h"\nduratoin = "2 h"',
         "study.toml, duratoin: unknown key; did you mean 'dura"),
        ('voxel = "20 um"', 'voxel = "20 um"\nvoxle = "1 um"', "grid.voxle: unknown key; did you mean 'voxel'?"),
        ('place = "anywhere"', 'plaec = "anywhere"', "cells[0].plaec: unknown key; did you mean 'place'?"),
        ('at = "0 h"', 'at = "0 h"\nwahs = 1', "schedule[0].wahs: unknown key; did you mean 'wash'?"),
        # wrong units
        ('"2 h"', '"2 um"', "duration: got '2 um', a length; a time such as '24 h' is needed"),
        ('"2 h"', "2", "duration: got 2, a number without a unit; a time such as '24 h' is needed"),
        ('"2 h"', '"2 hours of rest"', "duration: got '2 hours of rest', whose unit"),
        ('voxel = "20 um"', 'voxel = "20 s"', "grid.voxel: got '20 s', a time; a length such as '10 um' is needed"),
        ('"50 nM"', '"50 um"', "schedule[0].dose.T-DXd: got '50 um', a length; a concentration such as '50 nM'"),
        ('"50 nM"', "50", "schedule[0].dose.T-DXd: got 50, a number without a unit"),
        # numbers out of range
        ('"2 h"', '"-2 h"', "duration: got '-2 h'; a time above 0"),
        ('voxel = "20 um"', 'voxel = "0 um"', "grid.voxel: got '0 um'; a length above 0"),
        ('["60 um", "60 um"', '["-60 um", "60 um"', "grid.size[0]: got '-60 um'; a length above 0"),
        ('"50 nM"', '"-50 nM"', "schedule[0].dose.T-DXd: got '-50 nM'; a concentration of at least 0"),
        ("count = 3", "count = 0", "cells[0].count: got 0; a whole number above 0 is needed"),
        ("count = 3", "count = 2.5", "cells[0].count: got 2.5; a whole number is needed"),
        ("count = 3", 'density = "-1 / mL"', "cells[0].density: got '-1 / mL'; a number density above 0"),
        ('"2 h"', "nan", "duration: got nan, a number without a unit"),
        ('"2 h"', "inf", "duration: got inf, a number without a unit"),
        ('"50 nM"', "nan", "schedule[0].dose.T-DXd: got nan, a number without a unit"),
        ('"2 h"', '"1e400 h"', "duration: got '1e400 h'; a finite number is needed"),
        ('at = "0 h"', 'at = "0 h"\nwash = 1.5',
         "schedule[0].wash: got 1.5; a pure number of at least 0 and at most 1"),
        ('"2 h"', '"2 h"\nseed = -1', "seed: got -1; a whole number of at least 0 is needed"),
        ('"2 h"', "2020-01-01", "duration: got 2020-01-01; a time such as"),
        ('"50 nM"', "07:32:00", "schedule[0].dose.T-DXd: got 07:32:00; a concentration such as"),
        ('"2 h"', '"2 h"\ntitle = 2020-01-01', "title: got 2020-01-01; a text in quotes is needed"),
        ("[[cells]]\n", "[cells]\n", "cells: is one table; a list of them is needed: write [[cells]]"),
        ("[grid]", "[[grid]]", "grid: is a list of tables; one table is needed: write [grid]"),
        ('"2 h"', '"2 h"\ntitle = "a\\u001b[31m"', "title: got 'a\\x1b[31m'; one line of printable text is needed"),
        # numbers that can only be a slip of the unit
        ('["60 um", "60 um"', '["1e30 um", "60 um"', "grid.size[0]: got '1e30 um'; a length above 0 and at most 1e+09"),
        ('"50 nM"', '"50e3 M"', "schedule[0].dose.T-DXd: got '50e3 M'; more than 100 M is no solution"),
        ("[boundary]", "[solver]\nrtol = 1e-16\n[boundary]", "solver.rtol: got 1e-16; a pure number of at least 1e-12"),
        ("[[cells]]", '[agents.T-DXd.payload]\ndiffusivity = "1e300 um^2/s"\n[[cells]]',
         "agents.T-DXd.payload.diffusivity: got '1e+300 um^2/s'; more than 1e+08 um^2/s is refused"),
        ("[[cells]]", '[agents.T-DXd.antibody]\nk_on = "1e30 / M / s"\n[[cells]]', "more than 1000 1/nM/s is refused"),
        ("[[cells]]", "[materials.medium]\naccessible_fraction = 0\n[[cells]]",
         "materials.medium.accessible_fraction: got 0; a number above 0"),
        # missing, wrong type
        ('duration = "2 h"', "", "study.toml, duration: is missing"),
        ('voxel = "20 um"', "", "grid.voxel: is missing"),
        ('type = "SK-BR-3"', "", "cells[0].type: is missing"),
        ("count = 3", "", "cells[0]: exactly one of count, density, coverage, interstitial_fraction, file and "
         "image is needed; got none of them"),
        ("count = 3", 'count = 3\ndensity = "1 / mL"', "got count and density"),
        ('["60 um", "60 um", "60 um"]', '"60 um"', "grid.size: got '60 um'; three values"),
        ('["60 um", "60 um", "60 um"]', '["60 um", "60 um"]', "grid.size[2]: is missing"),
        ("[boundary]", "[solver]\nrtol = true\n[boundary]", "solver.rtol: got True; a pure number"),
        ("[boundary]", '[solver]\nbackend = "gpu"\n[boundary]',
         "solver.backend: got 'gpu'; 'auto', 'numpy', 'numba' or 'cupy' is needed"),
        ("[boundary]", "boundary = 3\n[bondary]", "problems"),
        # grid and boundary
        ('voxel = "20 um"', 'voxel = "25 um"', "grid.size: z = 60 um is not a whole number of voxels"),
        ('z_high = "bath"', 'z_high = "periodic"', "boundary.z: periodic on one side only"),
        ('z_high = "bath"', 'z = "wall"\nz_high = "bath"', "boundary.z_high: got 'bath', but z = 'wall'"),
        ('z_high = "bath"', 'z_high = "open"', "boundary.z_high: got 'open'; 'wall', 'periodic' or 'bath' is needed"),
        ('z_high = "bath"', 'z_high = "wall"', "schedule[0]: there is no bath to dose or wash"),
        ("[[cells]]", '[bath]\ncopies = 2\nconstruct = ["1 mm","1 mm","1 mm"]\n[[cells]]',
         "bath: 'copies' and 'construct'"),
        ("[[cells]]", '[bath]\nconstruct = ["10 um","1 um","1 um"]\n[[cells]]',
         "bath.construct: is smaller than the grid"),
        ("[[cells]]", '[bath.permeability]\nadk = "1 um/s"\n[[cells]]', "unknown field; did you mean 'adc'?"),
        # schedule
        ('at = "0 h"', 'at = "3 h"', "schedule[0].at: is at 3 h, after the end at 2 h"),
        ('at = "0 h"', 'at = "1 h"\nwash = 1.0\n[[schedule]]\nat = "0.5 h"',
         "schedule[1].at: is at 0.5 h, before the event"),
        ('dose = { "T-DXd" = "50 nM" }', "", "schedule[0]: neither dose nor curve nor wash"),
        ('"T-DXd"', '"T-DXD"', "schedule[0].dose.T-DXD: unknown agent; did you mean 'T-DXd'?"),
        ('"T-DXd" =', '"MMAE" = "1 nM", "T-DXd" =', "MMAE is no part of T-DXd; dose one of: DXd, T-DXd, adc"),
        ('"T-DXd" =', '"T-DM1" = "1 nM", "T-DXd" =', "two conjugates in one study (T-DM1 and T-DXd)"),
        ('"T-DXd" =', '"adc" = "1 nM", "T-DXd" =', "the field 'adc' is dosed twice"),
        # names
        ('type = "SK-BR-3"', 'type = "SKBR-3"',
         "cells[0].type: there is no cell type 'SKBR-3'; did you mean 'SK-BR-3'?"),
        ('duration = "2 h"', 'duration = "2 h"\nmechanism = "acd"', "mechanism: got 'acd', neither built in (adc)"),
        ('duration = "2 h"', 'duration = "2 h"\nagent = "TDXd"',
         "agent: there is no agent 'TDXd'; did you mean 'T-DXd'?"),
        ("count = 3", 'count = 3\nvariation = { receptor = 0.1 }', "did you mean 'receptors'?"),
        ("[[cells]]", '[output]\nfields = ["adk"]\n[[cells]]', "output.fields: got 'adk'; did you mean 'adc'?"),
        ("[[cells]]", '[output]\nevery = "1 h"\ntimes = ["1 h"]\n[[cells]]',
         "output: 'every' and 'times' are both given"),
        ("[[cells]]", '[output]\nevery = "1e-6 s"\n[[cells]]', "output.every: gives 7.2e+09 snapshots"),
        ("[[cells]]", '[parameters]\nk_onn = "1 / s"\n[[cells]]',
         "parameters.k_onn: unknown parameter; did you mean 'k_on'?"),
        ("[[cells]]", '[initial.fields]\nadk = "1 nM"\n[[cells]]', "initial.fields.adk: unknown field"),
        ("[[cells]]", '[initial.states]\ncomplexx = "1"\n[[cells]]',
         "initial.states.complexx: unknown state; did you mean"),
        ("[[cells]]", '[initial.states]\ncomplex = "receptor"\n[[cells]]',
         "unknown name 'receptor' in 'receptor'; did you"),
        ("[[cells]]", '[initial.states]\ncomplex = "1 / 0"\n[[cells]]',
         "initial.states.complex: 1.0 / 0.0 is inf in 3 cells"),
        ("[[cells]]", '[initial.states]\ncomplex = "-1"\n[[cells]]', "at least 0 are needed"),
        ("[[cells]]", '[initial.states]\ncomplex = "open(1)"\n[[cells]]', "initial.states.complex: "),
        # the tables of the library
        ("[[cells]]", '[agents.T-DXd.payload]\ndiffusivity = "420 um/s"\n[[cells]]',
         "study.toml, agents.T-DXd.payload.diffusivity: got '420 um/s', a velocity; "
         "a diffusivity such as '420 um^2/s' is needed"),
        ("[[cells]]", '[agents.T-DXd.linker]\nk_dek = "1/s"\n[[cells]]',
         "agents.T-DXd.linker.k_dek: unknown key; did you mean"),
        ("[[cells]]", '[agents.T-DXd]\nlinker = "GGFF"\n[[cells]]',
         "agents.T-DXd.linker: there is no linker 'GGFF'; did you"),
        ("[[cells]]", '[agents.T-DXd]\nDAR = -1\n[[cells]]', "agents.T-DXd.DAR: got '-1.0'; a number of at least 0"),
        ("[[cells]]", '[agents.X]\nbased_on = "T-DXD1"\n[[cells]]',
         "agents.X.based_on: there is no conjugate 'T-DXD1'; did you"),
        ("[[cells]]", '[cell_types.SK-BR-3]\nvolume = "0 pL"\n[[cells]]', "volume: got '0.0 pL'; a number above 0"),
        ("[[cells]]", '[cell_types.SK-BR-3]\nvolume = { unit = "pL" }\n[[cells]]', "unknown key"),
        ("[[cells]]", '[cell_types.SK-BR-3]\nvolume = { value = 2, unit = "pL", low = 3 }\n[[cells]]',
         "low <= value <= high"),
        ("[[cells]]", '[cell_types.SK-BR-3]\nvolume = { value = 2, unit = "pL", grade = "true" }\n[[cells]]',
         "grade 'true'"),
        ("[[cells]]", '[cell_types.SK-BR-3]\nvolume = { value = 2, unit = "h" }\n[[cells]]',
         "a time; a volume such as"),
        ("[[cells]]", '[protease]\nbased_on = "trypsin"\n[[cells]]',
         "protease.based_on: got 'trypsin'; there are: cathepsin L"),
        # shapes
        ("[[cells]]", '[[scaffold]]\nshape = "gcode"\n[[cells]]',
         "scaffold[0].file: is missing"),
        ("[[cells]]", '[[scaffold]]\nshape = "wodpile"\n[[cells]]',
         "unknown shape 'wodpile'; did you mean 'woodpile'?"),
        ("[[cells]]", '[[scaffold]]\nmaterial = "PCL"\n[[cells]]',
         "scaffold[0]: 'shape' is missing; there are: woodpile"),
        ("[[cells]]", '[[scaffold]]\nshape = "sphere"\nmaterial = "PCK"\nradius = "5 um"\n'
         'centre = ["1 um", "1 um", "1 um"]\n[[cells]]',
         "scaffold[0].material: there is no material 'PCK'; did you mean 'PCL'?"),
        ("[[cells]]", '[[scaffold]]\nshape = "sphere"\nmaterial = "PCL"\nradius = "-5 um"\n'
         'centre = ["1 um", "1 um", "1 um"]\n[[cells]]', "scaffold[0].radius: got '-5 um'; a length above 0"),
        ("[[cells]]", '[[scaffold]]\nshape = "sphere"\nmaterial = "PCL"\nradus = "5 um"\n'
         'centre = ["1 um", "1 um", "1 um"]\n[[cells]]', "scaffold[0].radus: unknown key; did you mean 'radius'?"),
        ("[[cells]]", '[[scaffold]]\nshape = "box"\nmaterial = "PCL"\nlow = ["0 um", "0 um", "0 um"]\n'
         'high = ["60 um", "60 um", "60 um"]\n[[cells]]', "a grid with no open voxel"),
        ("[[cells]]", '[[scaffold]]\nshape = "array"\nfile = "none.npy"\nlabels = { 1 = "PCL" }\n[[cells]]',
         "no such file"),
        ("[[cells]]", '[[scaffold]]\nshape = "array"\nfile = "none.npy"\nlabels = { a = "PCL" }\n[[cells]]',
         "labels.a: a label"),
        # cells
        ("count = 3", "count = 300000", "cells[0] (SK-BR-3)"),
        ('place = "anywhere"', 'place = "nowhere"', "cells[0] (SK-BR-3)"),
        ("count = 3", 'file = "cells.csv"', "cells.csv: there is no such file"),
        ("count = 3", 'file = "a\\u0000b"', "cells[0].file: got 'a\\x00b'; the name of a file is needed"),
        ('place = "anywhere"', 'place = "gel"', "cells[0] (SK-BR-3): this geometry has no 'gel' for cells"),
        # entries based on each other
        ("[[cells]]", '[agents.A]\nbased_on = "B"\n[agents.B]\nbased_on = "A"\n[[cells]]',
         "agents.A.based_on: got 'B'; the name of another entry is needed"),
    ],
)  # fmt: skip
def test_a_bad_study_is_refused_with_file_and_key(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    assert words in refusal(tmp_path, GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("count = 3", 'density = "1e-30 / mL"', "cells[0].density: gives not one cell"),
        ('at = "0 h"', 'at = "2 h"', "schedule[0].at: is the end of the study"),
        ("count = 3", 'file = "cells.csv"', "cells: 1 of 2 lie exactly where another cell does"),
    ],
)
def test_what_is_hardly_meant_is_warned_of(tmp_path: Path, old: str, new: str, words: str) -> None:
    (tmp_path / "cells.csv").write_text("x_um,y_um,z_um,type\n30,30,30,SK-BR-3\n30,30,30,SK-BR-3\n")
    path = tmp_path / "study.toml"
    path.write_text(GOOD)
    assert not any(words in warning for warning in load_study(path).warnings)
    path.write_text(GOOD.replace(old, new, 1))
    assert any(warning.startswith(words) for warning in load_study(path).warnings)


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('"2 h"', '"2 um"').replace('"20 um"', '"0 um"').replace("count = 3", "cuont = 3")
    message = refusal(tmp_path, text)
    assert message.startswith("study.toml has 3 problems:")
    assert all(f"study.toml, {key}: " in message for key in ("duration", "grid.voxel", "cells[0].cuont"))
    message = refusal(tmp_path, GOOD.replace('"SK-BR-3"', '"SKBR-3"').replace('"T-DXd"', '"T-DXD"'))
    assert "cells[0].type" in message and "schedule[0].dose.T-DXD" in message


def test_listed_cells_in_the_solid_are_refused_by_row(tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text("x_um,y_um,z_um,type\n30,30,30,SK-BR-3\n30,30,5,SK-BR-3\n")
    box = '[[scaffold]]\nshape = "box"\nmaterial = "PCL"\nlow = ["0 um", "0 um", "0 um"]\n'
    box += 'high = ["60 um", "60 um", "20 um"]\n'
    text = GOOD.replace("[[cells]]", f"{box}[[cells]]").replace("count = 3", 'file = "cells.csv"')
    message = refusal(tmp_path, text)
    assert "cells[0] (SK-BR-3)" in message and "inside the solid: row 3 at x, y, z = 30, 30, 5 um" in message


def test_an_unbalanced_mechanism_is_refused_by_its_reaction(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(
        '[moieties]\nsolute = {}\n[parameters]\nk = { unit = "1/s", value = "1 / h" }\n'
        'D = { unit = "um^2/s", value = "1 um^2/s" }\n'
        '[fields.a]\ncontains = { solute = 2 }\ndiffusivity = "D"\n'
        '[fields.b]\ncontains = { solute = 1 }\ndiffusivity = "D"\n'
        '[reactions.voxel]\nsplit = { equation = "a -> b", rate = "k * a" }\n'
    )
    (tmp_path / "study.toml").write_text('mechanism = "m.toml"\n' + GOOD)
    with pytest.raises(MechanismError, match=r"m\.toml.*split"):
        load_study(tmp_path / "study.toml")


def test_a_parameter_without_a_value_is_named_with_what_to_do(tmp_path: Path) -> None:
    text = GOOD.replace('"T-DXd" = "50 nM"', '"payload" = "5 nM"')
    message = refusal(tmp_path, text)
    assert message.startswith("study.toml, agent: is missing") and 'add agent = "T-DXd"' in message
    assert "k_on" in message and "receptors" in message and "\n" not in message  # one problem, not one per parameter
    message = refusal(tmp_path, GOOD.replace('"T-DXd"', '"T-DXE"'))
    assert message.startswith("study.toml, schedule[0].dose.T-DXE: unknown agent") and "\n" not in message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("duration", "key=value is needed"),
        ("=3", "key=value is needed"),
        ("grid.voxel.x=3", "there is no 'x' to set there"),
        ("schedule.7.at=1 h", "there is no entry '7'"),
        ("cells.x=1", "there is no 'x' to set there"),
        ("solver.rtoll=1e-3", "solver.rtoll: unknown key; did you mean 'rtol'?"),
        ("agents.T-DXd.linker.k_dec=1 um", "agents.T-DXd.linker.k_dec: got '1 um', a length"),
        ("solver.rtol=1e-3\n[evil]", "solver.rtol: got"),
    ],
)
def test_a_bad_override_is_refused(tmp_path: Path, override: str, words: str) -> None:
    assert words in refusal(tmp_path, GOOD, override)


TWICE = ("cell_types.SK-BR-3.receptors=1e5", "cell_types.SK-BR-3.antigens.HER2.receptors=5e5")
BOUND = ("agents.T-DXd.antibody.k_on=1e-4 / nM / s", "agents.T-DXd.antibody.KD=0.3 nM")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (TWICE, ("cell_types.SK-BR-3.receptors: says '100000.0'", "antigens.HER2.receptors says '500000.0'")),
        (("parameters.receptors=1e5", TWICE[1]), ("parameters.receptors: says", f"{TWICE[1].partition('=')[0]} says")),
        (("solver.rtol=1e-3", "solver.rtol=1e-2"), ("--set solver.rtol=1e-3 gives another value",)),
        (("cells.0.count=4", "cells[0].count=5"), ("--set cells.0.count=4 gives another value",)),
        ((*BOUND, "agents.T-DXd.antibody.k_off=1 / s"), ("antibody.k_off: got", "k_on KD = 3e-05 1/s", "1e+04 nM")),
    ],
)
def test_overrides_that_contradict_one_another_are_refused(tmp_path: Path, overrides: Any, words: Any) -> None:
    message = refusal(tmp_path, GOOD, *overrides)
    assert all(each in message for each in words) and "\n" not in message


def test_the_same_said_twice_is_taken_and_what_is_set_later_goes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(GOOD)
    assert load_study(path, [TWICE[0].replace("1e5", "500e3"), TWICE[1], "seed=1", "seed=1"]).seed == 1
    load_study(path, [*BOUND, "agents.T-DXd.antibody.k_off=3e-5 / s"])
    path.write_text(f"{GOOD}[cell_types.SK-BR-3]\nreceptors = 1e5\n")
    row = load_study(path).mechanism.cell_parameters.index("receptors")
    assert (load_study(path).cell_parameters[row] == 1e5).all()
    assert (load_study(path, TWICE[1:]).cell_parameters[row] == 5e5).all()
    path.write_text(f"{GOOD}[cell_types.SK-BR-3]\nreceptors = 1e5\nantigens.HER2.receptors = 5e5\n")
    with pytest.raises(StudyError, match="so both set the same value"):
        load_study(path)


@pytest.mark.parametrize("entry", ["fates.nosuch.death.lag=1 h", "secreted.ROS.k_loss=1 / h"])
def test_entries_that_nothing_uses_are_warned_of(tmp_path: Path, entry: str) -> None:
    path, name = tmp_path / "study.toml", ".".join(entry.split(".")[:2])
    path.write_text(GOOD)
    assert f"{name}: nothing in the study uses it, so it has no effect" in load_study(path, [entry]).warnings
    used = load_study(path, ["modules.fate=true", "modules.ros=true", "secreted.ROS.k_loss=1 / h"]).warnings
    assert not any("nothing in the study uses it" in warning for warning in used)


def test_an_antibody_alone_is_refused_as_one_and_dosed_beside_an_agent_that_has_it(tmp_path: Path) -> None:
    text = GOOD.replace('"T-DXd"', '"trastuzumab"')
    message = refusal(tmp_path, text)
    assert "dose.trastuzumab: trastuzumab is an antibody without a payload" in message and "T-DXd" in message
    assert load_study(tmp_path / "study.toml", ["agent=T-DXd"]).cells.n_cells == 3


def test_a_misspelt_agent_is_told_of_the_nearest_name_and_a_problem_is_told_once(tmp_path: Path) -> None:
    assert refusal(tmp_path, GOOD, "agents.TDXD.DAR=4").count("did you mean 'T-DXd'?") == 3
    assert "did you mean" not in refusal(tmp_path, GOOD, "agents.quite_new.DAR=4")
    message = refusal(tmp_path, GOOD, "materials.PCL.sorption.partition=-1")
    assert message.count("materials.PCL.sorption.partition") == 1 and "\n" not in message


def test_files_that_are_no_studies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there is no such file"):
        load_study(tmp_path / "missing.toml")
    with pytest.raises(StudyError, match="is a folder"):
        load_study(tmp_path)
    (tmp_path / "study.toml").write_text(GOOD)
    with pytest.raises(StudyError, match=r"is a folder; did you mean .*study\.toml"):
        load_study(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"\n')
    with pytest.raises(StudyError, match=r"latin\.toml: is not text in UTF-8"):
        load_study(tmp_path / "latin.toml")
    (tmp_path / "syntax.toml").write_text('duration = "2 h"\nduration = 3\n')
    with pytest.raises(StudyError, match=r"syntax\.toml: is not valid TOML: .*line 2"):
        load_study(tmp_path / "syntax.toml")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000)
    with pytest.raises(StudyError, match="is not valid TOML"):
        load_study(tmp_path / "deep.toml")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=6), children, max_size=3),
    max_leaves=6,
)
SECTIONS = (
    *("duration", "seed", "mechanism", "agent", "grid", "boundary", "bath", "scaffold", "cells", "schedule", "agents"),
    *("cell_types", "materials", "protease", "parameters", "initial", "solver", "output", "design"),
)


@settings(max_examples=150, deadline=None)
@given(section=st.sampled_from(SECTIONS), value=VALUES)
def test_any_value_of_any_section_is_taken_or_refused_as_ours(section: str, value: Any) -> None:
    import tomllib

    study = {**tomllib.loads(GOOD), section: value}
    try:
        load_study(study)
    except PayloadfieldError as error:
        assert str(error)
