"""Whole runs on a GPU against the reference: skipped where there is none, failed with PAYLOADFIELD_REQUIRE_GPU=1.

`make test-gpu` asks for one. The same program runs on the host in tests/emulation.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from tests import tolerances, touching_studies
from tests.emulation.test_drawn_fates import make_study as make_drawn
from tests.emulation.test_drawn_fates import same_fates
from tests.emulation.test_whole_runs import (
    CASES,
    QUANTITIES,
    FixedReference,
    compare,
    fixed,  # noqa: F401 - a fixture
    largest_defect,
    make_case,
    make_designs,
)
from tests.gpu import cases

import payloadfield
from payloadfield.backends.cuda.status import examine, load_cupy
from payloadfield.solver import BatchSimulation, make_batch, make_simulation
from payloadfield.solver.device import engine
from payloadfield.solver.outputs import kept_states

# Products and sums may be fused on a GPU and are not on the host: a little more than rounding, in every step.
TOLERANCE = {"float64": 1e-9, "mixed": tolerances.BACKENDS["mixed"]}
STUDY = Path(__file__).parents[1] / "cli" / "small.toml"


@pytest.fixture(scope="module", autouse=True)
def gpu():
    """A usable GPU; with PAYLOADFIELD_GPU_POOL=0 each array is a piece of memory of its own (make sanitize-gpu)."""
    status = examine()
    if status.is_usable:
        if os.environ.get("PAYLOADFIELD_GPU_POOL") == "0":
            load_cupy().cuda.set_allocator(None)
        return status
    if os.environ.get("PAYLOADFIELD_REQUIRE_GPU") == "1":
        pytest.fail(f"PAYLOADFIELD_REQUIRE_GPU=1 asks for a GPU: {status.reason}")
    pytest.skip(f"no GPU: {status.reason}")


@pytest.mark.parametrize("precision", list(TOLERANCE))
@pytest.mark.parametrize("case", list(CASES))
def test_a_run_on_the_gpu_is_that_of_the_reference(case, precision, fixed):  # noqa: F811
    study = make_case(case, precision)
    sim = make_simulation(study, "cupy")
    records = sim.run()
    expected, twins = fixed(study)
    assert len(records) == len(twins) > 4
    compare(sim, expected, TOLERANCE[precision])
    assert largest_defect(records) < tolerances.BALANCE


@pytest.mark.parametrize("name", list(cases.CASES))
def test_every_kernel_on_the_gpu_in_many_blocks_gives_what_the_reference_does(name, fixed, monkeypatch):  # noqa: F811
    """Which kernels, and in how many blocks, is counted in tests/emulation/test_gpu_cases.py."""
    case = cases.CASES[name]
    case.limits.impose(monkeypatch)
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", np.inf)
    sim = make_simulation(case.make(), "cupy")
    records = sim.run(case.until)
    expected, twins = fixed(sim.study, case.until)
    assert len(records) == len(twins) > 2
    compare(sim, expected, case.tolerance)
    assert [record.moves for record in records] == [twin.moves for twin in twins]
    assert largest_defect(records) < tolerances.BALANCE
    for quantity, (values, _) in expected.peaks().items():
        np.testing.assert_allclose(sim.peaks()[quantity][0], values, rtol=1e-6, atol=1e-9, err_msg=quantity)
    for transition, times in expected.commitments().items():
        np.testing.assert_allclose(sim.commitments()[transition], times, rtol=1e-6, err_msg=transition)
    fields, states = sim.hold().take()
    assert set(fields) == set(sim.study.output.fields)
    for field, values in fields.items():
        np.testing.assert_array_equal(values, sim.field_on_grid(field).astype(np.float32))
    for state, values in states.items():
        np.testing.assert_array_equal(values, sim.cell_state(state))


@pytest.mark.parametrize("case", ["gel_under_a_finite_bath", "large"])
@pytest.mark.parametrize("limits", ["OWN", "SMALL"])
def test_a_run_on_the_gpu_repeats_bit_for_bit(case, limits, monkeypatch):
    """One after the other: sums over blocks are added in the same order, whichever block is the last."""
    getattr(cases, limits).impose(monkeypatch)
    study, until = (cases.make_large("mixed"), 3.0) if case == "large" else (make_case(case, "mixed"), None)
    first, second = (make_simulation(study, "cupy") for _ in range(2))
    first.run(until)
    second.run(until)
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(getattr(first.state, quantity), getattr(second.state, quantity))


def test_a_run_as_a_graph_is_that_launch_by_launch(monkeypatch):
    study = make_case("loop_of_fields", "mixed")
    graph = make_simulation(study, "cupy")
    graph.run()
    monkeypatch.setenv("PAYLOADFIELD_GRAPHS", "0")
    single = make_simulation(study, "cupy")
    single.run()
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(getattr(graph.state, quantity), getattr(single.state, quantity))


def test_a_batch_on_the_gpu_is_that_of_the_reference(fixed):  # noqa: F811
    studies = make_designs(6e5)
    batch = make_batch(studies, "cupy")
    batch.run()
    expected = BatchSimulation(studies, "numpy")
    for design in expected.designs:
        design.backend.__class__ = FixedReference
    expected.run()
    for design, twin in zip(batch.designs, expected.designs, strict=True):
        compare(design, twin, TOLERANCE["float64"])


def test_fates_drawn_on_the_gpu_are_those_of_the_reference(fixed, monkeypatch):  # noqa: F811
    """The same transitions of the same cells at the same times."""
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", np.inf)
    sim = make_simulation(make_drawn(), "cupy")
    records = sim.run()
    expected, twins = fixed(sim.study)
    assert [record.moves for record in records] == [twin.moves for twin in twins]
    compare(sim, expected, 1e-7)
    same_fates(sim, expected)
    assert largest_defect(records) < tolerances.BALANCE


@pytest.mark.parametrize("kind", ["bridges", "sources", "both"])
def test_cells_that_touch_and_sources_on_the_gpu_are_those_of_the_reference(kind, fixed):  # noqa: F811
    sim = make_simulation(touching_studies.make_study(kind), "cupy")
    records = sim.run()
    expected, twins = fixed(sim.study)
    assert len(records) == len(twins) > 10
    compare(sim, expected, TOLERANCE["float64"])
    assert largest_defect(records) < tolerances.BALANCE
    assert kind == "bridges" or touching_studies.worst_sum(sim) < 1e-13


def test_sources_change_no_bit_of_anything_else_on_the_gpu():
    """Shares are rows beside the others; generated functions are compiled without fused multiply-adds."""
    plain, tagged = (make_simulation(touching_studies.make_study(kind), "cupy") for kind in ("bridges", "both"))
    assert [record.dt for record in tagged.run()] == [record.dt for record in plain.run()]
    n_core = len(plain.study.mechanism.states)
    np.testing.assert_array_equal(tagged.state.states[:n_core], plain.state.states)
    np.testing.assert_array_equal(tagged.state.fields, plain.state.fields)


def test_a_batch_whose_designs_touch_differently_on_the_gpu_is_that_of_the_reference(fixed):  # noqa: F811
    designs = touching_studies.make_designs("both")
    batch = make_batch(designs, "cupy")
    batch.run(until=900.0)
    expected = BatchSimulation(designs, "numpy")
    for design in expected.designs:
        design.backend.__class__ = FixedReference
    expected.run(until=900.0)
    for design, twin in zip(batch.designs, expected.designs, strict=True):
        compare(design, twin, TOLERANCE["float64"])


def test_outputs_that_travel_while_the_gpu_goes_on_are_those_of_their_time(tmp_path):
    """One a minute, through page-locked buffers and the writer, against a run whose state is read at once."""
    for package in ("pydantic", "psutil"):
        pytest.importorskip(package, reason="reads a study file and writes a run directory: on a whole installation")
    study = payloadfield.load_study(STUDY, ["output.every='1 min'"])
    run = payloadfield.simulate(study, tmp_path / "run", backend="cupy", until=3600.0)
    sim, n_outputs = make_simulation(study, "cupy"), 0
    sim.outputs_now()
    for record in sim.steps(until=3600.0):
        for index in record.outputs:
            n_outputs += 1
            for name in study.output.fields:
                np.testing.assert_array_equal(run.field(name, index), sim.field_on_grid(name).astype(np.float32))
            for name in kept_states(study):
                np.testing.assert_array_equal(run.cell_series(name)[index], sim.cell_state(name))
    assert n_outputs == 60


def test_a_state_in_single_precision_is_near_the_reference(fixed):  # noqa: F811
    found = make_simulation(make_case("closed_pocket", "float32"), "cupy")
    records = found.run()
    expected, _ = fixed(make_case("closed_pocket", "float64"))
    compare(found, expected, 1e-3)
    assert largest_defect(records) < 2e-3
