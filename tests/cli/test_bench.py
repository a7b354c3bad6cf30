"""`payloadfield bench`: what it measures, on small grids and without looking at how fast."""

import json

import pytest


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_bench_measures_bandwidth_operations_and_three_runs(backend, call, tmp_path):
    outcome = call("bench", "--backend", backend, "--sizes", "8,9,10", "--json", "-o", tmp_path / "kept.json")
    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert found == json.loads((tmp_path / "kept.json").read_text())
    assert found["backend"] == backend and found["bandwidth_bytes_per_second"] > 1e8
    operations = {item["name"]: item for item in found["operations"]}
    assert any(name.startswith("solve, ") for name in operations) and len(operations) >= 6
    assert all(item["seconds"] > 0 and item["share_of_bandwidth"] > 0 for item in operations.values())
    assert [run["n"] for run in found["runs"]] == [8, 9, 10]
    assert all(run["steps"] > 20 and 0 < run["n_open"] <= run["n"] ** 3 for run in found["runs"])


def test_bench_prints_a_table(call):
    lines = call("bench", "--backend", "numpy", "--sizes", "8,8,8").out.splitlines()
    assert lines[0].startswith("Backend numpy (asked for by name)") and any("of copy" in line for line in lines)


@pytest.mark.parametrize("sizes", ["4,8,16", "eight", "", "8,,8"])
def test_sizes_that_cannot_be_are_refused(sizes, call):
    outcome = call("bench", "--sizes", sizes)
    assert outcome.code == 2 and "numbers from 8 to 1024" in outcome.err
