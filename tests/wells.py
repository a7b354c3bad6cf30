"""One cell in a closed and well-mixed medium, by modules of the built-in mechanism."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from tests import handmade
from tests.references import modules as reference
from tests.running import run
from tests.scenarios import ADC

from payloadfield.mechanism import load_mechanism
from payloadfield.study.resolve_state import all_values, typical_states

HOUR = 3600.0
MEDIUM = 2e5  # [um^3]
CELL = {
    "receptors": 2e5,
    "k_endo": 4.27e-5,
    "k_rec": 2.4e-5,
    "k_deg": 1.27e-4,
    "volume": 2200.0,
    "protease_secretion": 5.0,
}
# Membranes slow enough that a step of minutes resolves them; scales as in the mechanism.
VALUES = ADC | CELL | {"k_in": 2e-3, "k_out": 1e-3, "fu": 1.0, "k_decay": 0.0, "k_target": 5e-5}
CORE = {"trafficking": False, "naked_antibody": False, "payload_release": False, "target_binding": False,
        "protease": False, "extracellular_cleavage": False}  # fmt: skip
RTOL, AGREE = 1e-4, 3e-4  # relative to the largest value of each quantity


def settings(**own):
    """Every parameter by name, and the factors from nM to molecules of cell and medium."""
    values = VALUES | own
    return SimpleNamespace(**values, N=values["volume"] * reference.AVOGADRO, M=MEDIUM * reference.AVOGADRO)


def wells(tmp_path, modules, hours, *, start=None, states=None, **own):
    """Values by name at the hours, of one cell in a closed and well-mixed medium: (n_time,) each."""
    path = tmp_path / "composed.toml"
    path.write_text(load_mechanism("adc", CORE | modules).source_text)
    geometry = handmade.make_box((1, 1, 2), (MEDIUM / 2) ** (1 / 3))
    cells = handmade.make_cells([{0: 0.5, 1: 0.5}], geometry.grid.shape, geometry.grid.spacing)
    study = handmade.make_study(
        str(path), geometry, duration=hours[-1] * HOUR, cells=cells, parameters=VALUES | own, initial=start or {},
        initial_states=states or {}, outputs=np.array(hours) * HOUR, solver=handmade.make_solver(RTOL, max_step=HOUR),
    )  # fmt: skip
    mechanism = study.mechanism
    typical = typical_states(mechanism, all_values(mechanism, study.parameters, study.cell_parameters))
    trace = run(replace(study, typical_states=typical), "numpy")
    at = [trace.times.index(hour * HOUR) for hour in hours]
    found = dict(zip(mechanism.field_names, np.array(trace.fields)[at].mean(2).T, strict=True))
    return found | dict(zip(mechanism.state_names, np.array(trace.states)[at, :, 0].T, strict=True))


def agree(found, names, expected, within=AGREE):
    for name, values in zip(names, np.asarray(expected).T, strict=True):
        if name:
            assert np.abs(found[name] - values).max() <= within * np.abs(values).max(), name


def differ(found, other, name, by):
    """Off, the module leaves something else: the comparison could have failed."""
    assert np.abs(found[name] - other[name]).max() > by * np.abs(found[name]).max()
