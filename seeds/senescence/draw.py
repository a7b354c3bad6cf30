"""Draws a comparison of this study: SASP after T-DXd, and fates of cells against their exposure to bound payload.

python draw.py FOLDER PICTURES, with the folder of `payloadfield compare study.toml -o FOLDER`, best at several doses;
writes sasp.png and fates.png into the folder PICTURES.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import payloadfield
from payloadfield.compare.layout import read_comparison
from payloadfield.report.slices import choose_outputs, draw_slices
from payloadfield.report.style import COLOURS, make_figure, save_figure, shown
from payloadfield.store.reader import Run

SCENARIO = "washout"
DAY, PLACE = 86400.0, 0.51  # sasp.png: at the washout and at the end; the cut lies through strands, at this share of y


def main(folder: Path, pictures: Path) -> None:
    """Draw the designs under the washout, at every dose that was compared."""
    cases = [case for case in read_comparison(folder)["cases"] if case["scenario"] == SCENARIO]
    runs = [(case, payloadfield.open_run(folder / case["folder"])) for case in cases]
    draw_sasp(next(run for case, run in runs if (case["design"], case["dose_factor"]) == ("T-DXd", 1)), pictures)
    draw_fates(runs, pictures)


def draw_sasp(run: Run, pictures: Path) -> None:
    """SASP in a cut at the washout and at the end."""
    figure = draw_slices(run, ["sasp"], choose_outputs(run, [DAY, float(run.times[-1])]), "y", PLACE)
    figure.suptitle("SASP after T-DXd; solid is grey (illustrative)", fontsize=11, fontweight="bold")
    save_figure(figure, pictures / "sasp.png")


def draw_fates(runs: list[tuple[dict[str, Any], Run]], pictures: Path) -> None:
    """Share of every cell that is senescent, and that no longer cycles, against its exposure; one colour a design."""
    figure = make_figure(6.4, 3.2, "Fates against exposure to bound payload (illustrative)")
    senescent, stopped = figure.subplots(1, 2, sharex=True, sharey=True)
    designs = list(dict.fromkeys(case["design"] for case, _ in runs))
    for case, run in runs:
        exposure, unit = shown(run.cells["bound_payload_exposure"], "nM*s")
        alike = case["design"] == "free payload"  # all cells lie within one dot, drawn large and last
        look = {"color": COLOURS[designs.index(case["design"])], "markersize": 6 if alike else 1.5, "zorder": 2 + alike}
        look["label"] = case["design"] if case["dose_factor"] == 1 else "_"
        senescent.plot(exposure, 100 * run.cells["senescent"], ".", **look)
        stopped.plot(exposure, 100 * (1 - run.cells["cycling"]), ".", **look)
    senescent.set(xscale="log", ylabel="share after a week [%]", title="senescent")
    stopped.set(title="no longer cycling")
    for axes in (senescent, stopped):
        axes.set(xlabel=f"exposure to bound payload [{unit}]")
    legend = stopped.legend(fontsize=8, frameon=False)
    for handle in legend.legend_handles:
        handle.set_markersize(7)
    save_figure(figure, pictures / "fates.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
