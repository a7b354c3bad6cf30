"""Draws a comparison of this study: living cells, persisters and TROP2 over time, and what the fibroblasts pay.

python draw.py FOLDER PICTURE, with the folder of `payloadfield compare study.toml -o FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import payloadfield
from payloadfield.compare.layout import read_comparison

TUMOUR, NEIGHBOUR = "PC-9", "fibroblast"
LIVING = ("cycling", "damaged", "senescent", "persister")
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")  # Okabe and Ito 2008
LAST_DAY = 11  # of the treatment


def main(folder: Path, picture: Path) -> None:
    """Draw every design of a comparison that is there."""
    figure = Figure(figsize=(9.5, 7), layout="constrained")
    figure.suptitle("TROP2 conjugates against persisters of osimertinib (illustrative)", fontweight="bold")
    living, persisters, antigen, price = figure.subplots(2, 2).ravel()
    cases = read_comparison(folder)["cases"]
    for case, colour in zip(cases, COLOURS, strict=True):
        run = payloadfield.open_run(folder / case["folder"])
        types = run.cells["type"].astype(str)
        course = {
            name: run.cell_series(name)[:, types == TUMOUR].sum(axis=1) / np.count_nonzero(types == TUMOUR)
            for name in (*LIVING, "receptor")
        }
        alive = sum(course[name] for name in LIVING)
        look = {"color": colour, "linewidth": 1.6, "label": case["design"]}
        look["linestyle"] = "--" if case["design"].endswith("govitecan") else "-"
        living.semilogy(run.times / 86400, alive, **look)
        persisters.semilogy(run.times / 86400, np.maximum(course["persister"], 1e-6), **look)
        antigen.plot(run.times / 86400, course["receptor"] / alive / 1000, **look)
        lost = run.cells["dead"][types == NEIGHBOUR].mean()
        price.barh(case["design"], 100 * lost, color=colour)
    living.axhline(1, color="0.5", linewidth=0.8)
    living.set(ylabel="living tumour cells over those at the start", ylim=(0.008, 40))
    persisters.set(ylabel="persisters over cells at the start", ylim=(5e-4, 0.1))
    antigen.set(ylabel="free TROP2 on a living cell [thousands]", ylim=(0, None))
    for axes in (living, persisters, antigen):
        axes.axvspan(0, LAST_DAY, color="0.93", zorder=0)
        axes.set(xlabel="time [day]; grey: treatment", xlim=(0, 35))
    price.set(xlabel="fibroblasts killed [%]")
    price.invert_yaxis()
    price.set_yticks([])
    figure.legend(*living.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.savefig(picture, dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
