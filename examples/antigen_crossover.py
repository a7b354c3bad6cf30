"""From how much antigen on does a linker that is cut inside the cell beat one that is cut outside?

Run it from anywhere: python examples/antigen_crossover.py [FOLDER FOR THE PICTURE] [--full]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from payloadfield.compare.metrics import as_mapping
from payloadfield.compare.solve import solve_and_measure
from payloadfield.compare.space import make_points
from payloadfield.study import make_variants
from payloadfield.study.sweep_file import read_sweep_file

SWEEP = Path(__file__).parents[1] / "seeds/escape-routes/crossover.toml"  # `payloadfield sweep` solves it too
SMALL = {"grid.voxel": "60 um"}
RECEPTORS, LINKER = "cell_types.clone A.antigens.HER2.receptors", "agents.ADC.linker"
TUMOUR, NEIGHBOUR, EXPOSURE = "clone A", "fibroblast", "bound_payload_exposure_mean"


def solve(changes: dict[str, str] = SMALL, overrides: list[str] | None = None) -> dict[str, np.ndarray]:
    """Exposures at every point of the sweep, in memory: (linker, level of antigen) by cell type; receptors, linkers."""
    sweep = read_sweep_file(SWEEP)
    variants = {point.name: {**point.changes, **changes} for point in make_points(sweep)}
    rows: dict[tuple[float, str], dict[str, float]] = {}
    for each in make_variants(sweep.study, variants, overrides or []):
        measured = as_mapping(solve_and_measure(each.study).metrics)
        rows[each.changes[RECEPTORS], each.changes[LINKER]] = {
            name: measured[name, EXPOSURE] for name in (TUMOUR, NEIGHBOUR)
        }
    receptors, linkers = (list(dict.fromkeys(key[k] for key in rows)) for k in (0, 1))
    table = {
        name: np.array([[rows[level, linker][name] for level in receptors] for linker in linkers])
        for name in (TUMOUR, NEIGHBOUR)
    }
    return table | {"receptors": np.array(receptors), "linkers": np.array(linkers)}


def crossover(table: dict[str, np.ndarray]) -> float:
    """Receptors per cell at which both linkers expose tumour cells alike; nan where they never do.

    Between points by a straight line of logarithms.
    """
    gain = np.log(table[TUMOUR][1] / table[TUMOUR][0])
    (changes,) = np.nonzero(np.diff(np.sign(gain)))
    if not changes.size:
        return float("nan")
    k, place = int(changes[0]), np.log(table["receptors"])
    return float(np.exp(place[k] - gain[k] * (place[k + 1] - place[k]) / (gain[k + 1] - gain[k])))


def main(folder: Path, changes: dict[str, str] = SMALL) -> Path:
    """Solve, print the crossover, and draw exposures against antigen."""
    table = solve(changes)
    found = crossover(table)
    print(f"below {found:.3g} receptors per cell the linker that is cut outside brings more to the tumour")
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for index, linker in enumerate(table["linkers"]):
        for name, style in ((TUMOUR, "-"), (NEIGHBOUR, "--")):
            label = f"{'tumour' if name == TUMOUR else name}, {linker}"
            axes.loglog(table["receptors"], table[name][index], style, color=f"C{index}", label=label)
    axes.axvline(found, color="grey", linewidth=1)
    axes.set(xlabel="HER2 per tumour cell", ylabel="exposure to bound payload, mean [nM h]")
    axes.set_title("Where release outside overtakes release inside (illustrative)", fontsize=10)
    axes.legend(fontsize=8)
    picture = folder / "crossover.png"
    figure.savefig(picture, dpi=100)
    return picture


if __name__ == "__main__":
    given = [each for each in sys.argv[1:] if each != "--full"]
    print(main(Path(given[0] if given else "."), {} if "--full" in sys.argv else SMALL))
