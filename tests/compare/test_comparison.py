"""Whole comparisons: from a study with designs and scenarios to ranks, over the command line and in Python."""

import csv
import json
import shutil
import sys

import numpy as np
import pytest

from payloadfield.cli.program import run_program
from payloadfield.compare.comparison import Request, compare_designs
from payloadfield.errors import RunError, StudyError
from payloadfield.report.page.build import build_page
from payloadfield.report.page.document import read_document
from payloadfield.store.export import export_run
from payloadfield.store.reader import open_run
from payloadfield.store.runner import Observer


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


def mean_of(lines, types, name):
    values = {(row["cell_type"], row["metric"]): float(row["value"]) for row in lines}
    weights = [values[each, "n_cells"] for each in types]
    return float(np.average([values[each, name] for each in types], weights=weights))


def test_the_window_is_the_effect_where_neighbours_are_exposed_as_by_the_first_design(compared):
    metrics = rows(compared.folder / "metrics.csv")

    def ladder(scenario, design, types, name):
        chosen = [row for row in metrics if (row["scenario"], row["design"]) == (scenario, design)]
        return [mean_of([row for row in chosen if row["dose_factor"] == dose], types, name) for dose in ("1.0", "10.0")]

    found = {(row["scenario"], row["design"]): row for row in rows(compared.folder / "windows.csv")}
    assert len(found) == 4
    for (scenario, design), row in found.items():
        price = ladder(scenario, design, ["fibroblast"], "bound_payload_exposure_mean")
        limit = ladder(scenario, "inside", ["fibroblast"], "bound_payload_exposure_mean")[0]
        assert float(row["neighbour_limit"]) == pytest.approx(limit, rel=1e-12)
        if design == "inside":
            effect = ladder(scenario, design, ["SK-BR-3"], "fraction_killed")[0]
            assert float(row["fraction_killed"]) == pytest.approx(effect, rel=1e-12)
            assert (float(row["dose_factor"]), row["limit"]) == (pytest.approx(1.0), "reached")
        elif price[0] > limit:
            assert (row["limit"], row["fraction_killed"]) == ("exceeded", "nan")


def test_every_metric_has_its_interval_over_the_samples(compared):
    samples = rows(compared.folder / "samples.csv")
    found = {
        (row["scenario"], row["design"], row["cells"], row["metric"]): row
        for row in rows(compared.folder / "spread.csv")
    }
    for cell_type, metric in (("fibroblast", "payload_exposure_p95"), ("SK-BR-3", "fraction_spared")):
        wanted = ("amplified", "outside", cell_type, metric)
        keys = ("scenario", "design", "cell_type", "metric")
        values = [float(row["value"]) for row in samples if tuple(row[key] for key in keys) == wanted]
        assert len(values) == int(found[wanted]["n_samples"]) == 3
        low, high = np.percentile(values, (5, 95))
        assert float(found[wanted]["p05"]) == pytest.approx(low) and float(found[wanted]["p95"]) == pytest.approx(high)
    assert ("amplified", "outside", "all neighbours", "payload_exposure_mean") in found
    assert ("amplified", "outside", "all neighbours", "payload_exposure_p95") not in found  # no mean of percentiles


def test_shares_by_source_and_by_fate_add_up_to_one(compared):
    metrics = rows(compared.folder / "metrics.csv")
    sums = {}
    for row in metrics:
        for start, names in (
            ("share_from_", None),
            ("fate", ("fraction_killed", "fraction_senescent", "fraction_spared")),
        ):
            if row["metric"].startswith(start) or (names and row["metric"] in names):
                key = (row["scenario"], row["design"], row["dose_factor"], row["cell_type"], start)
                sums[key] = sums.get(key, 0.0) + float(row["value"])
    assert len(sums) == 2 * 2 * 2 * 2 * 2
    assert all(total == pytest.approx(1.0, abs=1e-9) for total in sums.values())


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_comparison_killed_while_it_ran_is_told_as_such_and_goes_on(study, tmp_path):
    def announce(index, case):
        if index == 2:
            raise Killed
        return Observer()

    request = Request(study, overrides=["duration=10 min", "output.every=5 min"])
    with pytest.raises(Killed):
        compare_designs(request, tmp_path / "out", backend="numpy", announce=announce)
    document = read_document([tmp_path / "out"])
    assert [(case.design, case.state) for case in document.cases] == [("inside", "finished"), ("outside", "finished")]
    assert document.not_begun == ["inside, antigen lost", "outside, antigen lost"]
    assert "was not begun" in build_page(document)
    compared = compare_designs(request, tmp_path / "out", backend="numpy")
    assert {each.state for each in compared.outcomes} == {"finished"}
    assert read_document([tmp_path / "out"]).not_begun == []


def test_samples_of_other_designs_are_not_taken_for_those_of_these(study, tmp_path):
    overrides = ["duration=10 min", "output.every=5 min", "modules.fate=false", "modules.sources=false"]
    text = study.read_text().replace('[[scenario]]\nname = "antigen lost"', "[[scenario]]\nname = 'low'")
    (tmp_path / "study.toml").write_text(text)
    request = Request(tmp_path / "study.toml", overrides, n_samples=1)
    compare_designs(request, tmp_path / "out", backend="numpy")
    before = (tmp_path / "out" / "samples.csv").read_bytes()
    kept = tmp_path / "out" / "samples" / "range-000-of-1.json"
    facts = json.loads(kept.read_text())
    facts["cases"] = facts["cases"][::-1]
    facts["metrics"] = facts["metrics"][::-1]
    kept.write_text(json.dumps(facts))
    compare_designs(request, tmp_path / "out", backend="numpy")
    assert (tmp_path / "out" / "samples.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"rank_by": "fraction_kiled"}, "did you mean 'fraction_killed'"),
        ({"neighbour_limit": 30.0}, "it needs more doses"),
        ({"neighbour_limit": -1.0, "dose_factors": [10.0]}, "an exposure above 0 is needed"),
        (
            {"neighbour_limit": 1.0, "dose_factors": [10.0], "targets": ["SK-BR-3", "fibroblast"]},
            "cells that are no targets",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(study, tmp_path, request_, message):
    with pytest.raises(StudyError, match=message):
        compare_designs(Request(study, **request_), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_limit_of_ones_own_holds_in_every_scenario(compared, study, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(compared.folder, folder)
    compare_designs(Request(study, dose_factors=[10.0], neighbour_limit=1.5), folder)
    found = rows(folder / "windows.csv")
    assert {row["neighbour_limit"] for row in found} == {"1.5"} and len(found) == 4
    page = build_page(read_document([folder]))
    assert "is 1.5 nM h" in page and "--neighbour-limit=1.5 nM h" in page
    assert not (folder / "spread.csv").exists()  # no samples were asked for this time


def test_targets_are_the_types_that_carry_the_antigen(compared):
    facts = json.loads((compared.folder / "comparison.json").read_text())
    assert (facts["targets"], facts["neighbours"]) == (["SK-BR-3"], ["fibroblast"])


def test_a_second_time_computes_nothing_and_gives_the_same_files(compared, whole_request):
    names = ("comparison.json", "metrics.csv", "ranks.csv", "samples.csv", "refinement.csv", "benchmark.json")
    before = [(compared.folder / name).read_bytes() for name in names]
    compare_designs(whole_request, compared.folder, backend="numpy")
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
        is_share = row["metric"] == "fraction_killed"  # solved to a part of 1: what is a millionth has no more digits
        assert finer == pytest.approx(value, rel=0.02, abs=1e-6 if is_share else 1e-9)
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
