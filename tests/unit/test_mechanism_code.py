"""Generated code: the same in both targets, equal to an independent reading of the mechanism, conservative, cached."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.mechanism_oracle import ADC, RICH, Point, Slopes, cell_rates, voxel_rates

from payloadfield.errors import MechanismError
from payloadfield.mechanism import evaluate, generate, load_mechanism
from payloadfield.mechanism.assignments import ENTRY, ITEM, Access, Add, Assign, Kernel, Sheet, Store
from payloadfield.mechanism.calculus import mul
from payloadfield.mechanism.elimination import eliminate
from payloadfield.mechanism.lowering import lower
from payloadfield.mechanism.nodes import Symbol
from payloadfield.units import AVOGADRO_NM_UM3

DIFFUSION = Path(__file__).parents[1] / "mechanisms" / "diffusion.toml"


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    path = tmp_path_factory.mktemp("mechanism") / "rich.toml"
    path.write_text(RICH)
    return load_mechanism(path)


@pytest.fixture(scope="module", params=["adc", "rich"])
def case(request, rich):
    """(mechanism, NumPy module, Numba module, point)."""
    mechanism = load_mechanism("adc") if request.param == "adc" else rich
    point = Point(mechanism, ADC if request.param == "adc" else None)
    return mechanism, generate(mechanism, "numpy").module, generate(mechanism, "numba").module, point


def run_all(module, point, suffix=""):
    """Every generated function once, results by name."""

    def call(name, *arguments):
        getattr(module, name + suffix, getattr(module, name))(*arguments)

    n_state, n_cell = point.states.shape
    n_entry = len(point.weight)
    n_loss = len(point.mechanism.accumulators)
    r = {"d_states": np.full((n_state, n_cell), np.nan), "lu": np.full((module.N_LU, n_cell), np.nan)}
    r["entry_source"] = np.full((len(module.EXCHANGED), n_entry), np.nan)
    r["schur"] = np.full((module.N_SCHUR, n_entry), np.nan)
    call("cell_rates", *point.cells, r["d_states"], r["entry_source"])
    call("cell_factor", *point.cells, point.sg, r["lu"], r["schur"])
    r["rhs"] = r["d_states"].copy()
    r["responses"] = np.full((len(module.EXCHANGED), n_entry), np.nan)
    for f, field in enumerate(module.EXCHANGED):
        call("cell_respond", *point.cells, r["lu"], r["schur"], r["d_states"], f, r["responses"][f])
        call("cell_absorb", *point.cells, point.fields[field] ** 2, f, -0.7, r["rhs"])
    r["solution"] = np.full((n_state, n_cell), np.nan)
    call("cell_solve", r["lu"], r["d_states"], r["solution"])
    volume = np.array([[5e5], [4e5]])
    for scope, fields, capacity in (
        ("voxel", point.fields, point.capacity),
        ("bath", point.fields[:, :1].copy(), volume),
    ):
        geometry = (point.p, capacity, point.cap_index)
        r[f"{scope}_rates"] = np.full(fields.shape, np.nan)
        r[f"{scope}_jacobian"] = np.full((len(getattr(module, f"{scope.upper()}_PAIRS")), fields.shape[1]), np.nan)
        r[f"{scope}_losses"], r[f"{scope}_linear"] = np.full(n_loss, np.nan), np.full(n_loss, np.nan)
        call(f"{scope}_rates", fields, *geometry, r[f"{scope}_rates"])
        call(f"{scope}_jacobian", fields, *geometry, r[f"{scope}_jacobian"])
        call(f"{scope}_losses", fields, *geometry, r[f"{scope}_losses"])
        call(f"{scope}_losses_linear", fields, 0.1 * fields, *geometry, r[f"{scope}_linear"])
    return r


def close(got, expected, tolerance):
    """Each row relative to its own largest value."""
    got, expected = np.atleast_2d(got), np.atleast_2d(expected)
    scale = np.maximum(np.abs(expected).max(axis=1, keepdims=True), 1e-300)
    worst = (np.abs(got - expected) / scale).max()
    assert worst < tolerance, f"relative difference {worst:.2e}"


def test_both_targets_offer_the_same_functions_and_constants(case):
    _, reference, compiled, _ = case
    public = {name for name in vars(reference) if not name.startswith("_")} - {"np"}
    assert public <= set(vars(compiled))
    for name in public:
        ours, theirs = getattr(reference, name), getattr(compiled, name)
        if not callable(ours):
            assert ours == theirs
        elif not name.startswith("hill"):
            theirs = getattr(theirs, "py_func", theirs)
            assert inspect.signature(ours) == inspect.signature(theirs)
            if not name.startswith("bath"):
                parallel = getattr(compiled, f"{name}_parallel").py_func
                assert inspect.signature(ours) == inspect.signature(parallel)


def test_numpy_and_numba_give_the_same(case):
    _, reference, compiled, point = case
    expected, got = run_all(reference, point), run_all(compiled, point)
    for name, values in expected.items():
        assert np.isfinite(values).all(), name
        close(got[name], values, 1e-13)


def test_rates_are_those_of_the_reactions(case):
    mechanism, module, _, point = case
    got = run_all(module, point)
    for cell in range(point.n_cell):
        where = point.entries(cell)
        d_states, source = cell_rates(point, cell, point.states[:, cell], point.fields[:, point.voxel[where]])
        np.testing.assert_allclose(got["d_states"][:, cell], d_states, rtol=1e-12, atol=1e-12 * np.abs(d_states).max())
        np.testing.assert_allclose(
            got["entry_source"][:, where], source[list(module.EXCHANGED)], rtol=1e-12, atol=1e-13
        )
        others = [f for f in range(len(mechanism.fields)) if f not in module.EXCHANGED]
        assert not source[others].any()


def test_elimination_agrees_with_dense_differences(case):
    """M, responses, absorbed increments and the lumped Schur complement against numpy.linalg on a dense Jacobian."""
    _, module, _, point = case
    got = run_all(module, point)
    for cell in range(3):
        where, slopes = point.entries(cell), Slopes(point, cell)
        inverse, weights = slopes.inverse(), point.voxel[point.entries(cell)]
        solution = inverse @ got["d_states"][:, cell]
        np.testing.assert_allclose(got["solution"][:, cell], solution, rtol=1e-6, atol=1e-8 * np.abs(solution).max())
        absorbed = got["d_states"][:, cell].copy()
        for row, f in enumerate(module.EXCHANGED):
            close(got["responses"][row, where], slopes.fs[f] @ solution, 1e-6)
            absorbed -= 0.7 * slopes.sf[:, f] @ point.fields[f, weights] ** 2
        np.testing.assert_allclose(got["rhs"][:, cell], absorbed, rtol=1e-6, atol=1e-8 * np.abs(absorbed).max())
        for row, (f, g) in enumerate(module.SCHUR_PAIRS):
            expected = slopes.schur(f, g)
            np.testing.assert_allclose(
                got["schur"][row, where], expected, rtol=1e-5, atol=1e-9 * np.abs(slopes.ff).max()
            )


def test_pairs_left_out_are_structurally_zero_or_of_another_group(case):
    mechanism, module, _, point = case
    slopes = Slopes(point, 0)
    group = {f: number for number, members in enumerate(mechanism.field_groups) for f in members}
    for f in range(len(mechanism.fields)):
        for g in range(len(mechanism.fields)):
            if (f, g) not in module.SCHUR_PAIRS and np.abs(slopes.schur(f, g)).max() > 1e-9:
                assert group[g] < group[f]


def test_factors_multiply_to_the_matrix(rich):
    """Straight LU against numpy.linalg.solve for many cells, at a step so long that nothing is diagonal any more."""
    module, point = generate(rich, "numpy").module, Point(rich, n_cell=20)
    point.sg = 1e-5
    lu, schur = np.zeros((module.N_LU, 20)), np.zeros((module.N_SCHUR, len(point.weight)))
    module.cell_factor(*point.cells, point.sg, lu, schur)
    rhs, out = np.random.default_rng(1).random(point.states.shape), np.zeros(point.states.shape)
    module.cell_solve(lu, rhs, out)
    for cell in range(0, 20, 7):
        matrix = point.sg * np.eye(len(rhs)) - Slopes(point, cell).ss
        np.testing.assert_allclose(matrix @ out[:, cell], rhs[:, cell], rtol=1e-5)
        np.testing.assert_allclose(out[:, cell], np.linalg.solve(matrix, rhs[:, cell]), rtol=1e-5)


def test_voxel_and_bath_rates_proceed_in_the_smallest_accessible_volume(case):
    _, module, _, point = case
    got = run_all(module, point)
    for scope, fields, capacity in (
        ("voxel", point.fields, point.capacity),
        ("bath", point.fields[:, :1], np.array([[5e5], [4e5]])),
    ):
        sources, losses = voxel_rates(point, fields, capacity, point.cap_index, scope)
        np.testing.assert_allclose(got[f"{scope}_rates"], sources, rtol=1e-12, atol=1e-13 * np.abs(sources).max())
        np.testing.assert_allclose(got[f"{scope}_losses"], losses, rtol=1e-12)


def test_voxel_slopes_agree_with_differences(case):
    _, module, _, point = case
    got = run_all(module, point)
    linear = np.zeros(len(point.mechanism.accumulators))
    n_field = len(point.fields)
    for g in range(n_field):
        step = np.zeros_like(point.fields)
        step[g] = 1e-5 * point.fields[g]
        above, gained = voxel_rates(point, point.fields + step, point.capacity, point.cap_index)
        below, lost = voxel_rates(point, point.fields - step, point.capacity, point.cap_index)
        linear += (gained - lost) / 2e-5 * 0.1
        for f in range(n_field):
            expected = (above[f] - below[f]) / (2 * step[g])
            if (f, g) in module.VOXEL_PAIRS:
                row = got["voxel_jacobian"][module.VOXEL_PAIRS.index((f, g))]
                np.testing.assert_allclose(row, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())
            else:
                assert np.abs(expected).max() < 1e-9
    np.testing.assert_allclose(got["voxel_linear"], linear, rtol=1e-7)


def test_every_moiety_is_conserved_to_round_off(case):
    """Fields, states and losses together neither gain nor lose, also where fields have different accessible volumes."""
    mechanism, _, module, point = case
    got = run_all(module, point)
    values = point.study_values()
    for moiety in mechanism.moieties:

        def content(items, moiety=moiety):
            return np.array([evaluate(i.contains[moiety], values) if moiety in i.contains else 0.0 for i in items])

        fields, states, losses = content(mechanism.fields), content(mechanism.states), content(mechanism.accumulators)
        in_fields = fields[list(module.EXCHANGED), None] * got["entry_source"]
        parts = [in_fields.ravel(), (states[:, None] * got["d_states"]).ravel()]
        assert abs(sum(part.sum() for part in parts)) < 1e-13 * sum(np.abs(part).sum() for part in parts)
        for scope in ("voxel", "bath"):
            flows = fields[:, None] * got[f"{scope}_rates"]
            total = flows.sum() + losses @ got[f"{scope}_losses"]
            assert abs(total) < 1e-13 * np.abs(flows).sum()
            assert np.abs(flows).sum() > 0.0 or moiety == "antibody"


def test_one_cell_over_one_voxel_or_many_voxels_of_equal_concentration_is_the_same(rich):
    module = generate(rich, "numpy").module
    point = Point(rich, n_cell=1)
    point.fields[:] = point.fields[:, :1]
    spread = run_all(module, point)
    point.start, point.voxel, point.weight = np.array([0, 1]), np.array([0]), np.array([1.0])
    single = run_all(module, point)
    np.testing.assert_allclose(spread["d_states"], single["d_states"], rtol=1e-12)
    pairs = slice(len(module.SCHUR_PAIRS))  # the rows behind are no sums
    sums = [result["schur"][pairs].sum(axis=1) for result in (spread, single)]
    np.testing.assert_allclose(*sums, rtol=1e-11, atol=1e-20)
    np.testing.assert_allclose(spread["responses"].sum(axis=1), single["responses"].sum(axis=1), rtol=1e-10, atol=1e-16)


def test_uptake_makes_the_diagonal_larger_never_smaller():
    mechanism = load_mechanism("adc")
    module, point = generate(mechanism, "numpy").module, Point(mechanism, ADC)
    for point.sg in (1e-6, 1e-3, 1.0):
        got = run_all(module, point)["schur"]
        assert all((got[row] >= 0.0).all() for row, (f, g) in enumerate(module.SCHUR_PAIRS) if f == g)


def test_parallel_functions_give_the_same_digits(rich):
    """More cells and voxels than one chunk holds."""
    module = generate(rich, "numba").module
    point = Point(rich, n_cell=700, n_voxel=9001)
    serial, parallel = run_all(module, point), run_all(module, point, "_parallel")
    assert module.CELL_CHUNK < 700 and module.VOXEL_CHUNK < 9001
    for name, values in serial.items():
        np.testing.assert_array_equal(parallel[name], values, err_msg=name)


def test_accumulators_and_exposures_are_eliminated_first_and_without_fill():
    # 3 collects from 0 and 1; 0, 1, 2 form a chain with a loop between 0 and 1
    plan = eliminate(4, {(0, 1), (1, 0), (2, 1), (3, 0), (3, 2)}, [3])
    assert plan.order[0] == 3
    assert {i for i, j in plan.slots if j == 3} == {3}
    assert plan.n_lu <= 4 + 5 + 1


def test_adc_stays_sparse():
    counts = generate(load_mechanism("adc"), "numpy").counts
    assert counts["n_lu"] <= 14 + 33 and counts["flops_cell_factor"] < 250


def test_sums_over_a_footprint_that_differ_by_a_constant_are_one_sum():
    """sum_e w_e a b_e and sum_e w_e c b_e: one loop's worth of b, and two products after it."""
    entry, after = Sheet(ENTRY), Sheet(ITEM)
    names = {name: Access(name, None, None, ITEM) for name in "ac"} | {"b": Access("b", None, "entry", ENTRY)}
    for row, name in enumerate("ac"):
        total = entry.total(f"sum.{name}", mul(Symbol("w."), Symbol(name), Symbol("b")))
        after.store("out", row, total)
    names["w."] = Access("weight", None, "entry", ENTRY)
    blocks = lower(Kernel("made", "made", (), "c", names, [entry.block, after.block])).blocks
    sums = [statement for block in blocks for statement in block.statements if isinstance(statement, Add)]
    assert [str(item.value) for item in sums] == ["w. * b"]
    stored = [str(item.value) for block in blocks for item in block.statements if isinstance(item, (Store, Assign))]
    assert [text for text in stored if "bare" in text] == ["a * bare.sum.a", "c * bare.sum.a"]


def test_death_adds_one_sum_over_the_footprint_however_much_is_released():
    """The hazards of a cell are summed once for all of its contents."""
    few, many = (
        load_mechanism("adc", modules={"fate": True, "immune": True, "sources": is_many, "degrader": is_many})
        for is_many in (False, True)
    )
    counts = [generate(mechanism, "numba").counts["flops_cell_factor_entry"] for mechanism in (few, many)]
    assert len(many.states) > 1.5 * len(few.states) and counts[1] < 1.2 * counts[0]


def test_no_cells_and_no_voxels_are_allowed(rich):
    for target in ("numpy", "numba"):
        module = generate(rich, target).module
        point = Point(rich)
        point.states, point.cp = point.states[:, :0].copy(), point.cp[:, :0].copy()
        point.start, point.voxel, point.weight = np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0)
        assert run_all(module, point)["d_states"].shape == (len(rich.states), 0)


def test_names_that_mean_something_to_python_or_c_are_allowed(tmp_path):
    """A mechanism may call its species what it likes; `lambda` of the rich one is tried by every test above."""
    text = RICH
    for old, new in (
        ("carrier", "voxel"),
        ("free", "w"),
        ("signal", "np"),
        ("site", "double"),
        ("inside", "q_load"),
        ("size", "n"),
    ):
        text = text.replace(old, new)
    path = tmp_path / "odd.toml"
    path.write_text(text.replace('"rich"', '"odd \\"\\"\\" name"'))
    odd = load_mechanism(path)
    code = generate(odd, "numpy")
    got = run_all(code.module, Point(odd))
    assert all(np.isfinite(values).all() for values in got.values())


def test_generated_code_is_readable(case):
    mechanism = case[0]
    for target in ("numpy", "numba"):
        code = generate(mechanism, target)
        assert mechanism.digest in code.source and "do not edit" in code.source
        assert max(map(len, code.source.splitlines())) <= 120
        for reaction in mechanism.reactions:
            assert f"# {reaction.text}"[:80] in code.source
        assert f"N_A = {AVOGADRO_NM_UM3}" in code.source


# --- cache -----------------------------------------------------------------------------------------------


def test_code_is_written_once_and_again_only_if_it_was_changed(rich, tmp_path, monkeypatch):
    monkeypatch.setenv("PAYLOADFIELD_CACHE", str(tmp_path))
    path = generate(rich, "numpy").path
    assert path.is_relative_to(tmp_path) and [item.name for item in path.parent.glob("*.tmp")] == []
    os.utime(path, (1, 1))
    assert generate(rich, "numpy").path == path and path.stat().st_mtime == 1
    path.write_text("raise SystemExit('tampered')")
    assert generate(rich, "numpy").path.read_text() == generate(rich, "numpy").source


def test_another_mechanism_gets_another_file(rich, tmp_path, monkeypatch):
    monkeypatch.setenv("PAYLOADFIELD_CACHE", str(tmp_path))
    path = tmp_path / "rich.toml"
    path.write_text(RICH.replace("1e-3 / s", "2e-3 / s"))
    assert generate(load_mechanism(path), "numpy").path != generate(rich, "numpy").path


def test_machine_code_is_found_again_where_the_cache_was_moved(tmp_path):
    code = (
        "import numpy as np; from payloadfield.mechanism import generate, load_mechanism;"
        f"module = generate(load_mechanism({str(DIFFUSION)!r}), 'numba').module;"
        "module._voxel_rates(0, 3, np.ones((1, 3)), np.ones(3), np.ones((1, 3)), np.zeros(1, int), np.zeros((1, 3)));"
        "print(sum(module._voxel_rates.stats.cache_hits.values()))"
    )
    hits = []
    for name in ("first", "second"):
        environment = os.environ | {"PAYLOADFIELD_CACHE": str(tmp_path / name)}
        environment.pop("NUMBA_CACHE_DIR", None)
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        hits.append(int(done.stdout))
        (tmp_path / name).rename(tmp_path / "second")
    assert hits == [0, 1]


def test_a_cache_that_cannot_be_written_is_refused_with_what_to_do(rich, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PAYLOADFIELD_CACHE", str(tmp_path / "file"))
    with pytest.raises(MechanismError, match="set PAYLOADFIELD_CACHE to a directory that can be written"):
        generate(rich, "numpy")


def test_importing_mechanisms_loads_neither_numba_nor_scipy():
    heavy = "('numba', 'pint', 'scipy')"
    code = f"import sys, payloadfield.mechanism; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
