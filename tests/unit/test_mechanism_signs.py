"""Rates that can only be negative are refused; those that may have either sign are not."""

import numpy as np
import pytest
from tests import handmade

from payloadfield.errors import StudyError
from payloadfield.mechanism.expressions import parse
from payloadfield.mechanism.signs import possible_signs
from payloadfield.study import load_study

TEXT = (handmade.MECHANISMS / "contacts.toml").read_text()
VALUES = {"k": 2.0, "back": -3.0, "none": 0.0, "of_cells": np.array([1.0, 2.0]), "mixed": np.array([-1.0, 2.0])}


def load(folder, text, **parameters):
    (folder / "mine.toml").write_text(text)
    table = {
        "mechanism": str(folder / "mine.toml"), "duration": "1 h", "grid": {"size": ["60 um"] * 3, "voxel": "20 um"},
        "cells": [{"type": "SK-BR-3", "count": 2, "place": "medium"}], "parameters": parameters,
    }  # fmt: skip
    return load_study(table)


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ("k * a", {0, 1}), ("-k * a", {-1, 0}), ("back * a", {-1, 0}), ("back * back * a", {0, 1}), ("none * a", {0}),
        ("of_cells * a", {0, 1}), ("mixed * a", {-1, 0, 1}), ("k * a - k * b", {-1, 0, 1}), ("-k * a - k * b", {-1, 0}),
        ("k - a", {-1, 0, 1}), ("a * (1 - k)", {-1, 0}), ("a / back", {-1, 0}), ("a * (1 - a / k)", {-1, 0, 1}),
        ("-max(a - b, 0)", {-1, 0}), ("min(a, back)", {-1}), ("-hill(a, k, 1)", {-1, 0}), ("-exp(a)", {-1}),
        ("-(a ** 2)", {-1, 0}), ("free ** 2", {0, 1}), ("-k * free", {-1, 0, 1}), ("log(a)", {-1, 0, 1}),
        ("a / (k + b)", {0, 1}), ("sqrt(a) + exp(b)", {1}), ("-a + back", {-1}),
        ("-held(a)", {-1, 0}), ("a / (1 + held(b))", {0, 1}),
    ],
)  # fmt: skip
def test_signs_that_an_expression_can_have(text, signs):
    assert possible_signs(parse(text, "here"), VALUES, {"free"}) == signs


@pytest.mark.parametrize(
    ("good", "bad", "place"),
    [
        ("k_in * N_A * drug", "-k_in * N_A * drug", "reactions.cell.entry.rate"),
        ("k_off * bound", "-0.5 * bound / volume * D / D * k_off * volume", "reactions.cell.binding_back.rate"),
        ("k_bridge * inside / volume", "-1 * k_bridge * inside / volume", "contacts.bridge.rate"),
    ],
)
def test_a_rate_that_only_runs_backwards_is_refused(good, bad, place, tmp_path):
    load(tmp_path, TEXT)
    with pytest.raises(StudyError, match=rf"mechanism, {place}: .* is never positive, so that it would run backwards"):
        load(tmp_path, TEXT.replace(f'"{good}"', f'"{bad}"'))


def test_a_negative_parameter_that_turns_a_rate_round_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"entry\.rate: k_in \* N_A \* drug is never positive \(k_in is -0\.5\)"):
        load(tmp_path, TEXT, k_in="-0.5 um^3/s")


def test_a_rate_that_goes_both_ways_is_let_be(tmp_path):
    load(tmp_path, TEXT.replace('"k_in * N_A * drug"', '"k_in * (N_A * drug - inside / volume)"'))
