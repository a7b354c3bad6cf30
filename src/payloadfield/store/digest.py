"""A digest of everything numerical in a study, which tells whether a checkpoint belongs to it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from payloadfield.study import Study


def study_digest(study: Study) -> str:
    """SHA-256 over the arrays and settings that decide a run's numbers, bit for bit."""
    digest = hashlib.sha256()
    for name, value in _parts(study).items():
        digest.update(name.encode())
        digest.update(_bytes(value))
    return digest.hexdigest()


def _parts(study: Study) -> dict[str, Any]:
    geometry, cells = study.geometry, study.cells
    return {
        "mechanism": study.mechanism.digest,
        "parameters": study.parameters,
        "cell_parameters": study.cell_parameters,
        "open_fraction": geometry.open_fraction,
        "apertures": np.concatenate(
            [item.ravel() for item in (geometry.aperture_z, geometry.aperture_y, geometry.aperture_x)]
        ),
        "label": geometry.label,
        "footprints": cells.entry_voxel,
        "weights": cells.entry_weight,
        "diffusivity": study.diffusivity,
        "initial_fields": study.initial_fields,
        "initial_states": study.initial_states,
        "initial_bath": study.initial_bath,
        "duration": study.duration,
        "schedule": [(item.time, sorted(item.dose.items()), item.wash) for item in study.schedule],
        "outputs": [float(time) for time in study.output.times],
        "rtol": study.solver.rtol,
    }


def _bytes(value: Any) -> bytes:
    return np.ascontiguousarray(value).tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
