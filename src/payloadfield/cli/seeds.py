"""`payloadfield seeds`: the studies that come with the package."""

from __future__ import annotations

from pathlib import Path

import click

from payloadfield.cli.output import json_option


@click.group(
    short_help="List, show or copy the studies that come with the package.",
    epilog="Example: payloadfield seeds copy t-dxd-scaffold my-study",
)
def seeds() -> None:
    """Look at, or start from, the studies from the literature that come with the package."""


@seeds.command("list", epilog="Example: payloadfield seeds list --json")
@json_option
def list_all(as_json: bool) -> None:
    """List the studies with their titles."""
    from payloadfield.cli.output import make_console, make_table, print_json
    from payloadfield.resources import list_seeds

    found = [{"name": name, "title": _title(name)} for name in list_seeds()]
    if as_json:
        print_json(found)
        return
    rows = [(item["name"], item["title"]) for item in found]
    make_console().print(
        make_table("Studies", ("name", "title"), rows) if rows else "No studies come with this installation."
    )


@seeds.command("show", epilog="Example: payloadfield seeds show t-dxd-scaffold")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the README and the study file of the study NAME."""
    from payloadfield.cli.output import print_json
    from payloadfield.resources import find_seed

    folder = find_seed(name)
    texts = {
        path.name: path.read_text(encoding="utf-8")
        for path in (folder / "README.md", folder / "study.toml")
        if path.is_file()
    }
    if as_json:
        print_json({"name": name, "folder": folder, "files": texts})
        return
    for file, text in texts.items():
        click.echo(f"--- {file}\n{text}")


@seeds.command("copy", epilog="Example: payloadfield seeds copy t-dxd-scaffold my-study")
@click.argument("name")
@click.argument("destination", type=click.Path(path_type=Path), required=False)
def copy(name: str, destination: Path | None) -> None:
    """Copy the folder of the study NAME to DESTINATION (a folder of the same name here, where none is given)."""
    import shutil

    from payloadfield.cli.output import in_shell
    from payloadfield.errors import RunError
    from payloadfield.resources import find_seed
    from payloadfield.store.files import refusing_bad_disk

    source = find_seed(name)
    target = destination or Path(name)
    if target.exists():
        raise RunError(f"{target}: exists already; choose another name or remove it")
    with refusing_bad_disk(target, 0):
        shutil.copytree(source, target)
    click.echo(f"Copied to {target}. Next: payloadfield check {in_shell(target / 'study.toml')}")


def _title(name: str) -> str:
    import tomllib

    from payloadfield.resources import find_seed

    with (find_seed(name) / "study.toml").open("rb") as file:
        return str(tomllib.load(file).get("title", ""))
