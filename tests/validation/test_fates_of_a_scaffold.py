"""Fates of several hundred cells in a gel under T-DXd: sampled ones against what each cell may expect."""

from dataclasses import replace

import numpy as np
import pytest
from tests.running import run

from payloadfield.study import load_study

TABLE = {
    "duration": "72 h",
    "grid": {"size": ["200 um", "160 um", "160 um"], "voxel": "20 um"},
    "boundary": {"z_high": "bath"},
    "scaffold": [{"shape": "box", "material": "GelMA", "low": ["0 um"] * 3, "high": ["200 um", "160 um", "120 um"]}],
    "cells": [
        {"type": "SK-BR-3", "count": 150, "place": "gel", "variation": {"receptors": 0.4}},
        {"type": "MDA-MB-231", "count": 150, "place": "gel"},
    ],
    "schedule": [{"at": "0 h", "dose": {"T-DXd": "20 nM"}}],
    "output": {"every": "24 h"},
}
FATES = ("cycling", "damaged", "senescent", "dead")
SEEDS = (0, 1, 2, 3)


def fates(mode, seed=0):
    """Fates of the cells at the outputs, (n_time, n_fate, n_cell); the cells stand where seed 0 put them."""
    study = replace(load_study({**TABLE, "modules": {"fate": mode}}), seed=seed)
    names, trace = study.mechanism.state_names, run(study)
    return np.array([[states[names.index(name)] for name in FATES] for states in trace.states])


@pytest.mark.validate
def test_sampled_fates_scatter_around_what_each_cell_may_expect():
    p = fates("expected")
    drawn = [fates("sampled", seed) for seed in SEEDS]
    spread = np.sqrt(np.maximum((p * (1 - p)).sum(axis=2), 1.0))
    away = np.array([(each.sum(axis=2) - p.sum(axis=2)) / spread for each in drawn])
    assert np.abs(away).max() < 4.0
    together = away[:, 1:].mean(axis=0) * np.sqrt(len(SEEDS))
    assert np.abs(together).max() < 3.5
    assert 0.1 < p[-1, 3].mean() < 0.9 and p[-1, 2].mean() > 0.1
    shuffled = p[..., ::-1]  # what other cells may expect fits these less well
    likelihood = [
        np.mean([np.log(np.clip((q[-1] * each[-1]).sum(axis=0), 1e-9, 1)).mean() for each in drawn])
        for q in (p, shuffled)
    ]
    assert likelihood[0] > likelihood[1] + 0.02
