"""Six designs of a conjugate against two escape routes: who kills the tumour, and what the neighbours pay for it.

Run it from anywhere: python examples/compare_linkers.py [FOLDER FOR THE PICTURE AND THE RUNS] [--full]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import payloadfield
from payloadfield.compare.comparison import Compared, Request, compare_designs
from payloadfield.compare.layout import METRICS, read_comparison, read_rows

STUDY = Path(__file__).parents[1] / "seeds/escape-routes/study.toml"  # its [[design]] and [[scenario]] are compared
SMALL = ["grid.voxel=60 um", "output.every=24 h"]  # any value of the study can be replaced, as after --set


def main(folder: Path, overrides: list[str] = SMALL) -> Path:
    """Solve every design under every scenario, print the ranks, and draw what became of targets and neighbours."""
    compared = compare_designs(Request(STUDY, overrides), folder / "comparison")  # `payloadfield compare` does the same
    for scenario, ranks in compared.ranks.items():
        print(f"{scenario}: " + ", ".join(f"{each.rank} {each.design} ({each.value:.1%})" for each in ranks))
    picture = draw(compared, folder / "designs.png")

    run = payloadfield.open_run(folder / "comparison" / compared.outcomes[0].case.folder)  # now or years later
    print(f"{run}; mean concentration of the conjugate at the end: {np.nanmean(run.field('adc', -1)):.3g} nM")
    return picture


def draw(compared: Compared, picture: Path) -> Path:
    """Share of the target cells killed, and of the neighbours, which is the price; a bar for each design."""
    facts, rows = read_comparison(compared.folder), read_rows(compared.folder / METRICS)
    price = {
        (row["scenario"], row["design"]): 100 * float(row["value"])
        for row in rows
        if row["cell_type"] in facts["neighbours"] and row["metric"] == "fraction_killed"
    }
    killed = {(name, rank.design): 100 * rank.value for name, ranks in compared.ranks.items() for rank in ranks}
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = {
        "target cells killed [%]": killed,
        f"neighbours killed ({', '.join(facts['neighbours'])}) [%]": price,
    }
    for axes, (label, values) in zip(figure.subplots(1, 2, sharex=True, sharey=True), panels.items(), strict=True):
        _bars(axes, values, facts["scenarios"], facts["designs"])
        axes.set(xlabel=label)
    figure.axes[1].legend(fontsize=8)
    figure.suptitle(facts["title"], fontsize=10)
    figure.savefig(picture, dpi=100)
    return picture


def _bars(axes, values: dict[tuple[str, str], float], scenarios: list[str], designs: list[str]) -> None:
    height, place = 0.8 / len(scenarios), np.arange(len(designs))
    for index, scenario in enumerate(scenarios):
        lengths = [values[scenario, design] for design in designs]
        axes.barh(place + index * height - 0.4 + height / 2, lengths, height, label=scenario)
    axes.set_yticks(place, designs)
    axes.yaxis.set_inverted(True)


if __name__ == "__main__":
    given = [each for each in sys.argv[1:] if each != "--full"]
    print(main(Path(given[0] if given else "."), [] if "--full" in sys.argv else SMALL))
