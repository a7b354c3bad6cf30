"""Two linkers on the same scaffold with the same cells: what each cell is exposed to, in a script or a notebook.

Run it from anywhere: python examples/compare_linkers.py [FOLDER FOR THE PICTURE AND THE RUN]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import payloadfield

STUDY = Path(__file__).parents[1] / "seeds/t-dxd-scaffold/study.toml"
SMALL = ["grid.voxel=40 um", "cells[0].count=200", "cells[1].count=100", "duration=48 h", "output.every=4 h"]
LINKERS = {  # any value of the study can be replaced; the same texts work after --set
    "as in the library": [],
    "cleaved outside 100 times faster": ["agents.T-DXd.linker.kcat_over_km=1e-3 / nM / s"],
}


def main(folder: Path) -> Path:
    """Simulate each linker, print the median exposure per cell type, and draw the time courses."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for label, changes in LINKERS.items():
        study = payloadfield.load_study(STUDY, [*SMALL, *changes])
        result = payloadfield.simulate(study)  # in memory; output="my-run" would write a run directory
        exposure = result.cell_series("payload_exposure") / 3600  # (n_time, n_cell) [nM h]
        for cell_type in study.cells.type_names:
            chosen = result.cells["type"] == cell_type
            median = np.median(exposure[:, chosen], axis=1)
            print(f"{label}, {cell_type}: median payload exposure {median[-1]:.4g} nM h")
            axes.plot(result.times / 3600, median, label=f"{cell_type}, {label}")
    axes.set(xlabel="time [h]", ylabel="payload exposure, median [nM h]")
    axes.legend(fontsize=8)
    picture = folder / "linkers.png"
    figure.savefig(picture, dpi=120)

    payloadfield.simulate(payloadfield.load_study(STUDY, SMALL), output=folder / "my-run")
    run = payloadfield.open_run(folder / "my-run")  # reads what is on disk, now or years later
    adc = run.field("adc", -1)  # (nz, ny, nx) [nM], NaN in solid voxels
    print(f"{run}; mean concentration of the conjugate at the end: {np.nanmean(adc):.3g} nM")
    return picture


if __name__ == "__main__":
    print(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
