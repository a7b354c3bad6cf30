"""payloadfield verify: the quick targets on this machine, the exit code, and the table of docs/validation.md."""

import json
from pathlib import Path

import pytest

from payloadfield.compare.verify import Check, Target, as_markdown, targets

PAGE = Path(__file__).resolve().parents[2] / "docs" / "validation.md"
QUICK = ("1", "2", "5", "6", "7")


def published():
    """Rows of the table of the page, by target and what is compared."""
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in PAGE.read_text().splitlines()]
    return {(row[0], row[1]): row for row in rows if len(row) == 7 and row[-1] in ("yes", "NO")}


def number(text):
    return float(next(word for word in text.split() if word[0].isdigit()))


def agree(found, page):
    """Rows that are not on the page as they are found now."""
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in found.splitlines()[2:]]
    assert rows
    return [
        row
        for row in rows
        if (there := page.get((row[0], row[1]))) is None
        or (row[2], row[5], row[6]) != (there[2], there[5], there[6])
        or number(row[3]) != pytest.approx(number(there[3]), rel=0.01, abs=1e-4)
    ]


def test_quick_targets_hold_as_the_page_says(call):
    outcome = call("verify", *QUICK, "--backend", "numpy", "--markdown")
    assert outcome.code == 0
    assert agree(outcome.out, published()) == []


def test_a_page_with_another_number_would_not_agree(call):
    outcome = call("verify", "2", "--backend", "numpy", "--markdown")
    page = {key: [*row[:3], "1 nM", *row[4:]] for key, row in published().items()}
    assert len(agree(outcome.out, page)) == 4


def test_json_has_each_check_with_its_verdict(call):
    outcome = call("verify", "pulse-chase-others", "--backend", "numpy", "--json")
    checks = json.loads(outcome.out)
    assert [each["passed"] for each in checks] == [True] * 4
    assert all(each["deviation"] < each["allowed"] == 0.01 for each in checks)


def test_a_target_that_fails_is_an_exit_code_of_one(call, monkeypatch):
    wrong = Target(
        1, "wrong", "a wrong one", "nowhere", lambda solver: iter([Check("wrong", "x", 1, 2, "1", "relative")])
    )
    monkeypatch.setattr(targets, "TARGETS", (wrong,))
    outcome = call("verify", "wrong")
    assert outcome.code == 1 and "0 of 1 hold" in outcome.out and "NO" in outcome.out


def test_an_unknown_target_is_refused_with_the_nearest(call):
    outcome = call("verify", "pulse-chas")
    assert outcome.code == 1 and "did you mean 'pulse-chase'?" in outcome.err


def test_the_list_names_all_ten(call):
    assert [each["number"] for each in json.loads(call("verify", "--list", "--json").out)] == list(range(1, 11))
    assert "co-culture" in call("verify", "--list").out


@pytest.mark.parametrize(("rule", "got", "deviation", "passed"), [
    ("relative", 1.02, 0.02, True), ("relative", 0.8, 0.2, False), ("factor", 0.5, 2.0, False),
    ("difference", 1.04, 0.04, True), ("at most", 0.3, 0.0, True), ("at most", 1.5, 0.5, False),
    ("at least", 0.9, 0.1, False), ("at least", float("nan"), float("nan"), False)])  # fmt: skip
def test_rules_of_comparison(rule, got, deviation, passed):
    check = Check("t", "x", 1.0, got, "1", rule, 0.05 if rule in ("relative", "difference") else 0.0)
    assert check.deviation == pytest.approx(deviation, nan_ok=True)
    assert check.passed is passed


def test_numbers_that_were_fitted_to_a_value_say_so():
    assert "x (fitted)" in as_markdown([Check("t", "x", 1, 1, "1", "factor", 2, is_fitted=True)])
