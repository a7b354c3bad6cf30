"""Whole comparisons: from a study with designs and scenarios to ranks, over the command line and in Python."""

import csv
import json
import sys

import numpy as np
import pytest

from payloadfield.cli.program import run_program
from payloadfield.compare.comparison import Request, compare_designs
from payloadfield.errors import RunError, StudyError
from payloadfield.store.export import export_run
from payloadfield.store.reader import open_run


def rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_the_ranking_flips_when_the_antigen_is_lost(compared):
    order = {scenario: [each.design for each in found] for scenario, found in compared.ranks.items()}
    assert order == {"amplified": ["inside", "outside"], "antigen lost": ["outside", "inside"]}
    assert all(0 <= each.stability <= 1 for found in compared.ranks.values() for each in found)


def test_metrics_are_those_computed_anew_from_the_exported_tables(compared, tmp_path):
    facts = json.loads((compared.folder / "comparison.json").read_text())
    metrics = rows(compared.folder / "metrics.csv")
    for index, case in enumerate(facts["cases"]):
        export_run(open_run(compared.folder / case["folder"]), "csv", tmp_path / str(index))
        cells = rows(tmp_path / str(index) / "cells.csv")
        own = [
            row for row in metrics if all(row[key] == str(case[key]) for key in ("scenario", "design", "dose_factor"))
        ]
        value = {(row["cell_type"], row["metric"]): float(row["value"]) for row in own}
        for cell_type in ("SK-BR-3", "fibroblast"):
            doses = [float(row["payload_exposure [nM*s]"]) / 3600 for row in cells if row["type"] == cell_type]
            assert value[cell_type, "n_cells"] == len(doses)
            assert value[cell_type, "payload_exposure_mean"] == pytest.approx(sum(doses) / len(doses), rel=1e-12)
            assert value[cell_type, "payload_exposure_median"] == pytest.approx(float(np.median(doses)), rel=1e-12)


def test_ranks_on_disk_are_those_returned_and_every_sample_is_kept(compared):
    found = rows(compared.folder / "ranks.csv")
    assert [(row["scenario"], row["design"], int(row["rank"])) for row in found] == [
        (scenario, each.design, each.rank) for scenario, ranks in compared.ranks.items() for each in ranks
    ]
    samples = {row["sample"] for row in rows(compared.folder / "samples.csv")}
    assert samples == {"range 000 of 2", "range 001 of 2", "placement 000"}


def test_targets_are_the_types_that_carry_the_antigen(compared):
    facts = json.loads((compared.folder / "comparison.json").read_text())
    assert (facts["targets"], facts["neighbours"]) == (["SK-BR-3"], ["fibroblast"])


def test_a_second_time_computes_nothing_and_gives_the_same_files(compared, study):
    names = ("comparison.json", "metrics.csv", "ranks.csv", "samples.csv")
    before = [(compared.folder / name).read_bytes() for name in names]
    compare_designs(
        Request(study, dose_factors=[1.0, 10.0], n_samples=2, n_placements=1), compared.folder, backend="numpy"
    )
    assert before == [(compared.folder / name).read_bytes() for name in names]


def test_the_command_prints_ranks_and_json(study, tmp_path, capsys):
    arguments = [
        "compare",
        str(study),
        "-o",
        str(tmp_path / "out"),
        "-q",
        "--set",
        "duration=10 min",
        "--backend",
        "numpy",
    ]
    assert run_program(arguments) == 0
    printed = capsys.readouterr().out
    assert "amplified" in printed and "outside" in printed
    assert run_program([*arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {each["state"] for each in facts["runs"]} == {"finished"}


def test_a_target_that_is_no_cell_type_is_refused(study, tmp_path):
    with pytest.raises(StudyError, match="target 'SKBR3' is no cell type of the study; did you mean 'SK-BR-3'"):
        compare_designs(Request(study, targets=["SKBR3"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_refused_untouched(study, compared, tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(RunError, match="is not empty and holds no comparison"):
        compare_designs(Request(study), tmp_path)
    other = tmp_path.parent / "other.toml"
    other.write_text(study.read_text())
    with pytest.raises(RunError, match="choose another folder"):
        compare_designs(Request(other), compared.folder)


def test_refinement_moves_results_less_than_the_designs_differ(compared):
    found = {
        (row["scenario"], row["design"], row["cell_type"], row["metric"]): row
        for row in rows(compared.folder / "refinement.csv")
    }
    assert len(found) == 2 * 2 * 2 * 3
    for row in found.values():
        value, finer = float(row["value"]), float(row["finer_steps"])
        assert finer == pytest.approx(value, rel=0.02, abs=1e-9)
        assert finer != value or value == 0


def test_the_benchmark_has_every_backend_at_hand_and_their_results_agree(compared):
    facts = json.loads((compared.folder / "benchmark.json").read_text())
    by_name = {row["backend"]: row for row in facts["rows"]}
    assert {"numpy", "numba"} <= by_name.keys() | facts["missing"].keys() and "numba" in by_name
    assert min(row["ratio"] for row in facts["rows"]) == 1.0
    assert all(row["largest_difference"] < 1e-6 for row in facts["rows"])


def test_parquet_holds_the_same_numbers(compared, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    from payloadfield.compare.parquet import write_parquet

    for name in ("metrics.csv", "samples.csv"):
        (tmp_path / name).write_bytes((compared.folder / name).read_bytes())
        table = parquet.read_table(write_parquet(tmp_path / name)).to_pydict()
        lines = rows(tmp_path / name)
        assert table["value"] == pytest.approx([float(line["value"]) for line in lines], rel=0, abs=0, nan_ok=True)
        assert table["metric"] == [line["metric"] for line in lines]


def test_parquet_without_its_library_is_refused_before_anything_runs(study, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run_program(["compare", str(study), "-o", str(tmp_path / "out"), "--parquet"]) == 1
    assert "install payloadfield[parquet]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
