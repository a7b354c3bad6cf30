"""The figures of one run, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from payloadfield.errors import RunError
from payloadfield.report.courses import draw_courses
from payloadfield.report.distances import draw_distances
from payloadfield.report.slices import choose_outputs, draw_slices
from payloadfield.report.style import save_figure
from payloadfield.store.files import refusing_bad_disk
from payloadfield.store.reader import Run


def draw_run(
    run: Run,
    folder: Path,
    *,
    times: Sequence[float] = (),
    fields: Sequence[str] = (),
    axis: str = "y",
    position: float | None = None,
) -> list[Path]:
    """Draw slices, exposure against distance, and time courses into `folder`, and return the files.

    times: of the slices [s]; fields: to draw; both chosen from the run where none are given. position: of the slice
    as a share of its axis. Raises RunError for a field that the run does not hold, or a run without any output.
    """
    chosen = list(fields) or run.field_names
    for name in chosen:
        run.field(name, 0)  # refuses an unknown field before anything is drawn
    if not chosen:
        raise RunError(
            f"{run.directory}: no field was stored, so there is nothing to draw; see output.fields of the study"
        )
    with refusing_bad_disk(folder, 0):
        folder.mkdir(parents=True, exist_ok=True)
    made = [save_figure(draw_slices(run, chosen, choose_outputs(run, times), axis, position), folder / "fields.png")]
    if run.cells.n_rows:
        for exposure in run.manifest["exposures"]:
            made.append(save_figure(draw_distances(run, exposure), folder / f"distance_{exposure}.png"))
    if len(run.times) > 1:
        made.append(save_figure(draw_courses(run), folder / "time_courses.png"))
    return made
