"""Whatever a G-code file holds, it is read or refused by us: no crash, no hang, no flood of memory.

Long: PAYLOADFIELD_FUZZ_SECONDS=900 python -m pytest -m validate tests/unit/test_gcode_fuzz.py
"""

import os
import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import gcode_files

from payloadfield.errors import GeometryError
from payloadfield.geometry import (
    MEDIUM,
    Code,
    Material,
    Print,
    PrintSettings,
    Switch,
    VoxelGrid,
    make_geometry,
    make_strands,
    place_print,
    read_gcode,
    summarise_print,
)

MATERIALS = [MEDIUM, Material("solid", "impermeable")]
VALVE = [Switch((Code("M760"),), (Code("M761"),))]
LAYERS = gcode_files.woodpile(n_layers=2, n=3)
VALID = [gcode_files.prusa(LAYERS), gcode_files.cura(LAYERS), gcode_files.bioprinter(LAYERS)]
VALID += [gcode_files.numbered(VALID[0]), "G91\nM83\nG2 X.1 Y.1 I.1 E1\nG3 X.1 R-.2 E1\nG20\nT1\nG92\nG1 Z.01 E1\n"]
#: Line on which an answer that the fuzzing found would be repeated; longest answer, in seconds.
SLOWEST = 20.0

numbers = st.one_of(
    st.floats(-20, 20).map(lambda v: f"{v:.3f}"),
    st.sampled_from(["0", "-0", ".5", "5.", "+1", "1e3", "nan", "inf", "--1", "", "9" * 30, "9" * 400, "0.0000000001"]),
)
words = st.tuples(st.sampled_from("XYZEIJRFPSTNGMKA*;("), numbers).map("".join)
codes = st.sampled_from(
    ["G0", "G1", "G01", "G2", "G3", "G7", "G17", "G18", "G20", "G21", "G28", "G90", "G91", "G92", "M82", "M83", "M200",
     "M6", "M760", "M761", "M117", "T0", "T1", "T99999999999", "G5", "G92.1", "g1", "N5 G1", "%", ";TYPE:", ";LAYER:1",
     ";WIDTH:", ";HEIGHT:0.2", ";LAYER_COUNT:", "(", ")", "\ufeff", ""]
)  # fmt: skip
lines = st.tuples(codes, st.lists(words, max_size=6), st.sampled_from([" ", "", "  \t"])).map(
    lambda each: each[2].join([each[0], *each[1]])
)
texts = st.lists(lines, max_size=30).map("\n".join)


def answer(path, data):
    """Read a file in every way there is and put it on a grid; True if anything came of it."""
    path.write_bytes(data)
    began, found = time.process_time(), False
    for how in ({}, {"switches": VALVE}, {"volumetric": True, "unit": "um"}):
        try:
            toolpath = read_gcode(path, **how)
        except GeometryError as error:
            assert "\n" not in str(error) and len(str(error)) < 2000
            continue
        summarise_print(toolpath)
        assert np.isfinite(toolpath.start).all() and np.isfinite(toolpath.end).all()
        for width in ("volume", "comment", 300.0):
            try:
                made = make_strands(toolpath, PrintSettings(None, 1750.0, None if width == "comment" else 200.0, width))
                summarise_print(toolpath, made)
                shape = Print("solid", place_print(made, None, (400.0, 400.0)))
                geometry = make_geometry(VoxelGrid((6, 8, 8), 100.0), [shape], MATERIALS)
            except GeometryError as error:
                assert "\n" not in str(error) and len(str(error)) < 2000
            else:
                assert np.isfinite(geometry.open_fraction).all()
                found = True
    assert time.process_time() - began < SLOWEST
    return found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "print.gcode"


@given(data=st.one_of(st.binary(max_size=200), texts.map(lambda text: text.encode("utf-8", "replace"))))
@settings(max_examples=60)
def test_any_text_is_read_or_refused(tmp_path_factory, data):
    answer(tmp_path_factory.mktemp("fuzz", numbered=True) / "print.gcode", data)


def mutated(rng, text):
    """A valid file with a few bytes, words or lines changed, cut, doubled or moved."""
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 6)):
        at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        match rng.randrange(8):
            case 0:
                data[at:to] = b""
            case 1:
                data[at : min(to, at + 40)] = data[at : min(to, at + 40)] * rng.randint(2, 5)
            case 2:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 3:
                data = data[:to]
            case 4:
                data[at:at] = rng.choice([b"G91\n", b"G20\n", b"M82\n", b"T7\n", b"G92 X5\n", b"M200 D1\n", b"G28\n"])
            case 5:
                data[at:at] = rng.choice([b"-", b".", b"9" * 20, b"nan", b"\n", b";", b"(", b"\0", b"\xff", b"e9"])
            case 6:
                data[at:at] = rng.choice([b"G3 X5 Y5 I3 J2 E9\n", b"G2 I1 E1\n", b"G3 X1 R9999999 E1\n", b"G1 Z9 E9\n"])
            case _:
                lines = bytes(data).split(b"\n")
                rng.shuffle(lines)
                data = bytearray(b"\n".join(lines))
        if not data:
            break
    return bytes(data)


def test_mutated_files_are_read_or_refused(path):
    rng = random.Random(7)
    read = [answer(path, mutated(rng, rng.choice(VALID))) for _ in range(60)]
    assert any(read) and not all(read)
    assert all(answer(path, text.encode()) for text in VALID)


@pytest.mark.validate
def test_many_mutated_files_are_read_or_refused(path):
    end, rng = time.monotonic() + float(os.environ.get("PAYLOADFIELD_FUZZ_SECONDS", "10")), random.Random(11)
    n = 0
    while time.monotonic() < end:
        for text in VALID:
            answer(path, mutated(rng, text))
            n += 1
    assert n > 20


@pytest.mark.validate
@given(data=st.one_of(st.binary(max_size=2000), texts.map(lambda text: text.encode("utf-8", "replace"))))
@settings(max_examples=int(os.environ.get("PAYLOADFIELD_FUZZ_EXAMPLES", "500")), derandomize=False)
def test_many_texts_are_read_or_refused(tmp_path_factory, data):
    answer(tmp_path_factory.getbasetemp() / "print.gcode", data)
