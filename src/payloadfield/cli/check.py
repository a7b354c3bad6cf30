"""`payloadfield check`: what a study means, before it is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from payloadfield.cli.geometry import check_picture_name, draw
from payloadfield.cli.output import json_option
from payloadfield.cli.run import BackendName

if TYPE_CHECKING:
    from rich.table import Table

    from payloadfield.store.drivers import Driver
    from payloadfield.study import Study


@click.command(
    short_help="Show what a study means and what it will take.",
    epilog="Example: payloadfield check seeds/t-dxd-scaffold/study.toml --set solver.rtol=1e-3",
)
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Replace a value of the study; repeatable."
)
@click.option(
    "--sensitivity", is_flag=True, help="Move each assumed number over its range and show what it does to exposures."
)
@click.option("--backend", type=BackendName(), help="Count the memory of this backend; cupy: on the GPU.")
@click.option(
    "--preview", type=click.Path(path_type=Path), is_flag=False, flag_value="preview.png", metavar="[PNG]",
    help="Draw scaffold and cells too, as `geometry preview` does.  [preview.png where no name is given]",
)  # fmt: skip
@json_option
def check(
    study: Path,
    overrides: tuple[str, ...],
    sensitivity: bool,
    backend: str | None,
    preview: Path | None,
    as_json: bool,
) -> None:
    """Check STUDY without running it: every value with its source, the geometry, the cost, and warnings."""
    from payloadfield.cli.output import print_json
    from payloadfield.study import load_study

    if preview is not None:
        check_picture_name(preview, "--preview")
    found = load_study(study, overrides)
    picture = draw(found, preview) if preview is not None else None
    drivers = _find_drivers(found) if sensitivity else None
    on_gpu = _count_on_gpu(found) if (backend or found.solver.backend) == "cupy" else None
    if as_json:
        more: dict[str, Any] = {"drivers": [asdict(each) for each in drivers]} if drivers is not None else {}
        more |= {"gpu": on_gpu} if on_gpu is not None else {}
        more |= {"preview": picture} if picture is not None else {}
        print_json(describe_study(found) | more)
        return
    _print(found)
    if on_gpu is not None:
        _print_gpu(on_gpu)
    if drivers is not None:
        _print_drivers(drivers)
    if picture is not None:
        click.echo(picture)


def _count_on_gpu(study: Study) -> dict[str, Any]:
    """Memory that a study takes on a GPU and locks on the host [bytes], what is free on the usable GPUs, and what is
    against it."""
    from payloadfield.backends.cuda.status import examine
    from payloadfield.solver.device.limits import reason_against
    from payloadfield.solver.device.memory import count_device_memory

    status = examine()
    free = {device.number: device.memory_free for device in status.devices if not device.reason_against}
    against = reason_against(study) or status.reason
    memory, locked = count_device_memory(study)
    return {"memory": memory, "memory_locked": locked, "memory_free": free, "reason_against": against}


def _print_gpu(facts: dict[str, Any]) -> None:
    from payloadfield.cli.output import make_console
    from payloadfield.store.files import format_bytes

    free = [f"{format_bytes(value)} free on GPU {number}" for number, value in facts["memory_free"].items()]
    against = [f"not usable here: {facts['reason_against']}"] if facts["reason_against"] else []
    locked = f"{format_bytes(facts['memory_locked'])} of the host's locked for outputs"
    text = "; ".join([f"{format_bytes(facts['memory'])} of memory", locked, *free, *against])
    make_console().print(f"On a GPU: {text}", markup=False)


def _find_drivers(study: Study) -> list[Driver]:
    from payloadfield.store.drivers import find_drivers  # which brings the solver

    return find_drivers(study)


def describe_study(study: Study) -> dict[str, Any]:
    """What a study means, as plain data."""
    from payloadfield.cli.prints import prints_of
    from payloadfield.store.estimate import estimate_run

    return {
        "title": study.title,
        "mechanism": study.mechanism.name,
        "modules": dict(study.mechanism.modules),
        "left_out": list(study.mechanism.left_out),
        "duration_s": study.duration,
        "n_outputs": len(study.output.times),
        "schedule": [_event(study, event) for event in study.schedule],
        "geometry": _describe_geometry(study),
        "prints": prints_of(study),
        "cells": _count_cells(study),
        "estimate": asdict(estimate_run(study)),
        "sources": [asdict(source) for source in study.sources],
        "warnings": study.warnings,
    }


def _event(study: Study, event: Any) -> dict[str, Any]:
    names = [field.name for field in study.mechanism.fields]
    dose = {names[index]: concentration for index, concentration in event.dose.items()}
    curve = [names[index] for index in event.curve]
    return {"at_s": event.time, "dose_nM": dose, "wash": event.wash, "curve": curve}


def _describe_geometry(study: Study) -> dict[str, Any]:
    geometry, pockets = study.geometry, study.pockets
    nz, ny, nx = geometry.grid.shape
    is_open = geometry.open_fraction > 0
    return {
        "voxels_xyz": [nx, ny, nz],
        "spacing_um": geometry.grid.spacing,
        "n_voxels": int(is_open.size),
        "n_open": int(is_open.sum()),
        "porosity": float(geometry.open_fraction.mean()),
        "materials": [material.name for material in geometry.materials],
        "n_pockets": len(pockets.volume),
        "n_pockets_closed": int((~pockets.touches_bath).sum()),
        "gels": [material.name for material in geometry.materials if material.kind == "gel"],
        "boundary": dict(study.boundary),
    }


def _count_cells(study: Study) -> dict[str, int]:
    import numpy as np

    counts = np.bincount(study.cells.type_index, minlength=len(study.cells.type_names))
    return {name: int(amount) for name, amount in zip(study.cells.type_names, counts, strict=True)}


def _print(study: Study) -> None:
    from payloadfield.cli.output import count, duration, make_console
    from payloadfield.cli.prints import summary_lines

    facts = describe_study(study)
    console = make_console()
    lines = [
        f"{study.title}",
        f"Mechanism {facts['mechanism']}, {duration(study.duration)}, {count(facts['n_outputs'], 'output')}",
        *_module_lines(facts),
        *(_spell_event(event) for event in facts["schedule"]),
        *_geometry_lines(facts["geometry"]),
        *(line for each in facts["prints"] for line in summary_lines(each)),
        *_cell_lines(study, facts["cells"]),
        *_cost_lines(facts["estimate"]),
    ]
    console.print("\n".join(lines), markup=False)
    console.print(_source_table(study))
    for warning in study.warnings:
        console.print(f"Warning: {warning}", markup=False)


def _module_lines(facts: dict[str, Any]) -> list[str]:
    on = [name if setting is True else f"{name} ({setting})" for name, setting in facts["modules"].items() if setting]
    lines = [f"Modules: {', '.join(on)}"] if on else []
    if facts["left_out"]:
        lines.append(f"Left out, as nothing brings or makes it: {', '.join(facts['left_out'])}")
    return lines


def _spell_event(event: dict[str, Any]) -> str:
    from payloadfield.cli.output import duration, number

    wash = [f"{event['wash']:.0%} of the bath replaced"] if event["wash"] else []
    doses = [f"{name} in the bath set to {number(value)} nM" for name, value in event["dose_nM"].items()]
    doses += [f"{name} in the bath follows a curve" for name in event["curve"]]
    return f"  at {duration(event['at_s'])}: {', '.join([*wash, *doses])}"


def _geometry_lines(facts: dict[str, Any]) -> list[str]:
    voxels = " x ".join(str(count) for count in facts["voxels_xyz"])
    pockets = "one connected space" if facts["n_pockets"] == 1 else f"{facts['n_pockets']:,} disconnected pockets"
    closed = f", {facts['n_pockets_closed']:,} without a bath" if facts["n_pockets_closed"] else ""
    sides = ", ".join(f"{side} {kind}" for side, kind in facts["boundary"].items())
    gels = [f"Gel surfaces ({', '.join(facts['gels'])}) follow voxels: first order"] if facts["gels"] else []
    return [
        f"Grid {voxels} (x, y, z) of {facts['spacing_um']:g} um; {facts['n_open']:,} of {facts['n_voxels']:,} "
        f"voxels open, porosity {facts['porosity']:.1%}; {pockets}{closed}",
        f"Materials: {', '.join(facts['materials'])}; sides: {sides}",
        *gels,
    ]


def _cell_lines(study: Study, cells: dict[str, int]) -> list[str]:
    if not len(study.cells.type_index):
        return ["No cells"]
    voxels = len(study.cells.entry_voxel) / len(study.cells.type_index)
    return [f"Cells: {', '.join(f'{n:,} {name}' for name, n in cells.items())}; {voxels:.1f} voxels a cell"]


def _cost_lines(facts: dict[str, float]) -> list[str]:
    from payloadfield.cli.output import duration
    from payloadfield.store.files import format_bytes

    return [
        f"Estimate: {format_bytes(facts['memory'])} of memory, {format_bytes(facts['disk'])} on disk, "
        f"about {facts['n_steps']:.0f} steps and {duration(facts['seconds'])} of CPU time",
    ]


def _source_table(study: Study) -> Table:
    from payloadfield.cli.output import make_table, number

    rows = [
        (item.key, number(item.value, 6), item.unit, item.grade, item.origin, item.citation) for item in study.sources
    ]
    return make_table("Values", ("key", "value", "unit", "grade", "from", "source"), rows, right=(1,), whole=(0,))


def _print_drivers(drivers: Sequence[Driver]) -> None:
    from payloadfield.cli.output import make_console, make_table, number

    rows = [
        (
            each.key,
            number(each.value),
            f"{number(each.low)} to {number(each.high)}",
            each.unit,
            f"{each.result} of {each.cell_type}" if each.moved is not None else "could not be solved",
            f"{100 * each.change:+.1f}%" if each.moved is not None else "",
        )
        for each in drivers
    ]
    columns = ("assumed", "value", "moved over", "unit", "changes most", "by")
    make_console().print(make_table("What assumed numbers do, in the study in small", columns, rows, right=(1, 5)))
