"""`payloadfield geometry`: what the scaffold of a study is like."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from payloadfield.cli.output import json_option
from payloadfield.errors import RunError

if TYPE_CHECKING:
    from payloadfield.study import Study


@click.group(short_help="Measure the scaffold of a study.", epilog="Example: payloadfield geometry measure study.toml")
def geometry() -> None:
    """Look at the scaffold of a study, before it is run."""


@geometry.command("measure", epilog="Example: payloadfield geometry measure seeds/t-dxd-scaffold/study.toml --json")
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Replace a value of the study; repeatable."
)
@click.option("--field", help="Field whose diffusion is measured; the one that materials hinder is worth a look.")
@click.option("--no-diffusion", is_flag=True, help="Leave out effective diffusivity and tortuosity.")
@json_option
def measure(study: Path, overrides: tuple[str, ...], field: str | None, no_diffusion: bool, as_json: bool) -> None:
    """Measure the scaffold of STUDY: porosity, surface, sizes of pores and struts, connectivity, tortuosity."""
    from payloadfield.cli.output import print_json
    from payloadfield.study import load_study

    found = load_study(study, overrides)
    facts = measure_study(found, _field(found, field), with_diffusion=not no_diffusion)
    if as_json:
        print_json(facts)
    else:
        _print(facts)


@geometry.command("preview", epilog="Example: payloadfield geometry preview study.toml -o preview.png")
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default="preview.png", show_default=True, help="The PNG file."
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Replace a value of the study; repeatable."
)
@click.option("--azimuth", type=float, default=-58.0, show_default=True, help="Where the eye is, in degrees from x.")
@click.option(
    "--elevation", type=click.FloatRange(-90, 90), default=28.0, show_default=True, help="How high, in degrees."
)
def preview(study: Path, output: Path, overrides: tuple[str, ...], azimuth: float, elevation: float) -> None:
    """Draw the scaffold and cells of STUDY: a shaded view and sections, before anything is run.

    Where a scaffold is G-code, what was understood of the print is told too.
    """
    from payloadfield.cli.prints import prints_of, summary_lines
    from payloadfield.study import load_study

    check_picture_name(output, "-o")
    found = load_study(study, overrides)
    for facts in prints_of(found):
        for line in summary_lines(facts):
            click.echo(line)
    for warning in found.geometry.warnings:
        click.echo(f"Warning: {warning}")
    click.echo(draw(found, output, azimuth=azimuth, elevation=elevation))


def check_picture_name(path: Path, option: str) -> None:
    """Refuse a picture that is no PNG before anything is read."""
    if path.suffix.lower() != ".png":
        raise click.BadParameter(f"got '{path}'; a name that ends in .png is needed", param_hint=option)


def draw(study: Study, output: Path, **view: float) -> Path:
    """Write the preview of a study."""
    from payloadfield.report.preview import draw_preview
    from payloadfield.report.style import save_figure

    return save_figure(draw_preview(study, **view), output)


@geometry.command("make", epilog="Example: payloadfield geometry make study.toml -o geometry.vtkhdf")
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default="geometry.vtkhdf", show_default=True, help="The file."
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Replace a value of the study; repeatable."
)
def make(study: Path, output: Path, overrides: tuple[str, ...]) -> None:
    """Write the voxels of STUDY for ParaView: material, open fraction, and distance to the nearest surface."""
    from payloadfield.store.files import write_atomically
    from payloadfield.store.writer import geometry_bytes
    from payloadfield.study import load_study

    if output.exists():
        raise RunError(f"{output}: exists already; choose another name with -o, or remove it")
    write_atomically(output, geometry_bytes(load_study(study, overrides)))
    click.echo(output)


@geometry.command("read", epilog="Example: payloadfield geometry read print.gcode --on M760 --off M761")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--unit", help="Unit of lengths in a G-code file, whatever it says: um, mm, cm, m or inch.")
@click.option("--on", metavar="CODE", help="Command that opens a head driven by pressure; goes with --off.")
@click.option("--off", metavar="CODE", help="Command that closes it.")
@json_option
def read(file: Path, unit: str | None, on: str | None, off: str | None, as_json: bool) -> None:
    """Show what is understood of FILE, which is G-code, or a study whose scaffolds are.

    A study's keys decide which strands are taken and how wide they are; a file alone shows its paths.
    """
    from payloadfield.cli.output import print_json
    from payloadfield.cli.prints import as_data, print_summary, read_summaries

    if (on is None) != (off is None):
        raise click.UsageError("--on and --off go together: what opens a head, and what closes it.")
    found = [as_data(summary) for summary in read_summaries(file, unit, on, off)]
    if as_json:
        print_json(found)
        return
    for facts in found:
        print_summary(facts)
    if not found:
        click.echo(f"{file}: no scaffold of shape 'gcode'")


def _field(study: Study, name: str | None) -> str:
    """The field asked for, or the first of the mechanism."""
    names = study.mechanism.field_names
    if name is not None and name not in names:
        raise click.BadParameter(f"{name!r} is no field of the mechanism; there are: {', '.join(names)}")
    return name or names[0]


def measure_study(study: Study, field: str, *, with_diffusion: bool = True) -> dict[str, Any]:
    """Measures of the scaffold of a study, as plain data; lengths in um."""
    from payloadfield.geometry import measure_geometry

    nz, ny, nx = study.geometry.grid.shape
    return {
        "title": study.title,
        "voxels_xyz": [nx, ny, nz],
        "spacing_um": study.geometry.grid.spacing,
        **asdict(measure_geometry(study.geometry, study.pockets)),
        "diffusion": _diffusion(study, field) if with_diffusion else None,
        "warnings": study.geometry.warnings,
    }


def _diffusion(study: Study, field: str) -> dict[str, Any]:
    from payloadfield.solver.effective_diffusivity import effective_diffusivity

    diffusivity = float(study.diffusivity[study.mechanism.field_names.index(field)])
    # A field that stays put is measured as if it moved: the number is relative to its motion in the medium.
    along = {
        axis: asdict(effective_diffusivity(study.geometry, axis, field=field, diffusivity=diffusivity or 1.0))
        for axis in ("x", "y", "z")
    }
    return {"field": field, **along}


def _print(facts: dict[str, Any]) -> None:
    from payloadfield.cli.output import make_console, make_table

    console = make_console()
    voxels = " x ".join(str(n) for n in facts["voxels_xyz"])
    console.print(f"{facts['title']}\nGrid {voxels} (x, y, z) of {facts['spacing_um']:g} um", markup=False)
    console.print(make_table("Scaffold", ("measure", "value", "unit"), _rows(facts), right=(1,)))
    columns = ("um", "mean", "10%", "50%", "90%", "largest")
    console.print(make_table("Lengths", columns, _lengths(facts), right=range(1, 6)))
    if facts["diffusion"]:
        title = f"Diffusion of {facts['diffusion']['field']}"
        console.print(make_table(title, ("along", "D_eff / D", "tortuosity"), _along(facts), right=(1, 2)))
    for warning in facts["warnings"]:
        console.print(f"Warning: {warning}", markup=False)


def _rows(facts: dict[str, Any]) -> list[tuple[str, str, str]]:
    from payloadfield.cli.output import number

    of_solid = facts["specific_surface_of_solid"]
    return [
        ("porosity", number(facts["porosity"]), "1"),
        ("  reached by the bath", number(facts["porosity_open"]), "1"),
        ("  closed to the bath", number(facts["porosity_closed"]), "1"),
        ("pockets", f"{facts['n_pockets']:,}", ""),
        ("  closed to the bath", f"{facts['n_pockets_closed']:,}", ""),
        ("wall area", number(facts["wall_area"]), "um^2"),
        ("  per volume of the grid", number(facts["specific_surface"]), "1/um"),
        ("  per volume of solid", "-" if of_solid is None else number(of_solid), "1/um"),
    ]


def _lengths(facts: dict[str, Any]) -> list[tuple[str, ...]]:
    from payloadfield.cli.output import number

    names = {
        "pore_size": "pore size",
        "strut_thickness": "strut thickness",
        "surface_distance": "distance to a surface",
    }
    rows = []
    for key, name in names.items():
        values = list(facts[key].values()) if facts[key] else [None] * 5
        rows.append((name, *("-" if value is None else number(value) for value in values)))
    return rows


def _along(facts: dict[str, Any]) -> list[tuple[str, str, str]]:
    from payloadfield.cli.output import number

    along = [facts["diffusion"][axis] for axis in ("x", "y", "z")]
    return [(item["axis"], number(item["relative"]), number(item["tortuosity"])) for item in along]
