"""What a run of the GPU's program tells its reader: how well balances close, and solves that left too much."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from tests.emulation.test_whole_runs import make_case, make_machine

import payloadfield
from payloadfield.solver.device import engine
from payloadfield.solver.device.simulation import simulate_on_device
from payloadfield.store.manifest import LARGEST_DEFECT, is_balanced, read_manifest
from payloadfield.store.runner import execute, start_run

STUDY = Path(__file__).parents[1] / "cli" / "small.toml"


def run_in_single(directory, leak=0.0):
    """The manifest of a run with a state in single precision, from whose balances so much is taken."""
    sim = simulate_on_device(payloadfield.load_study(STUDY, ["solver.precision=float32"]), make_machine)
    steps = sim.steps

    def leaky(until=None):
        for record in steps(until):
            yield replace(record, balance={name: value + leak for name, value in record.balance.items()})

    sim.steps = leaky
    sim.engine.notes.append("something to know")
    execute(sim, start_run(sim, directory, backend="numpy", command=["test"]), until=3600.0)
    return read_manifest(directory)


def test_a_state_in_single_precision_says_how_its_balances_close_and_is_believed(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="payloadfield"):
        manifest = run_in_single(tmp_path / "run")
    assert "balance" not in caplog.text and is_balanced(manifest) and manifest["precision"] == "float32"
    assert LARGEST_DEFECT["mixed"] < manifest["largest_defect"] < 2e-4 < LARGEST_DEFECT["float32"]


def test_more_than_single_precision_explains_is_told_once(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="payloadfield"):
        manifest = run_in_single(tmp_path / "run", leak=2 * LARGEST_DEFECT["float32"])
    assert caplog.text.count("rounding in single precision leaves less than 1e-03. Do not trust this run") == 1
    assert not is_balanced(manifest) and manifest["notes"] == ["something to know"]


@pytest.mark.parametrize("is_most", [True, False])
def test_a_step_that_is_taken_though_its_solves_left_too_much_is_noted_once(is_most, monkeypatch, caplog, tmp_path):
    """And none where more iterations can be taken: such a step is tried again."""
    monkeypatch.setattr(engine, "RESIDUAL_LIMIT", 0.5)
    monkeypatch.setattr(engine, "MOST_ITERATIONS", engine.ITERATIONS if is_most else 32)
    sim = simulate_on_device(make_case("closed_pocket"), make_machine)
    worst = max(record.worst_residual for record in sim.run())
    assert (worst > 0.5) == is_most
    assert [note for note in sim.notes if "left 0." in note] == sim.notes and len(sim.notes) == is_most
    assert caplog.text.count("and it was taken all the same") == is_most
