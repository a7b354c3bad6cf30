"""`payloadfield mechanism`: reactions, what they conserve, and the code made from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from payloadfield.cli.output import json_option

if TYPE_CHECKING:
    from payloadfield.mechanism import Mechanism
    from payloadfield.mechanism.modules import Module


@click.group(
    short_help="Show reactions and the code made from them.", epilog="Example: payloadfield mechanism show adc"
)
def mechanism() -> None:
    """Look at mechanisms: the built-in ones, or a file of your own."""


@mechanism.command("list", epilog="Example: payloadfield mechanism list")
@json_option
def list_all(as_json: bool) -> None:
    """List the built-in mechanisms."""
    from payloadfield.cli.output import print_json
    from payloadfield.mechanism import built_in_mechanisms

    names = list(built_in_mechanisms())
    if as_json:
        print_json(names)
        return
    for name in names:
        click.echo(name)


@mechanism.command("modules", epilog="Example: payloadfield mechanism modules adc")
@click.argument("name", default="adc")
@json_option
def modules(name: str, as_json: bool) -> None:
    """List the modules of the mechanism NAME (built-in, or a file): what each adds, and whether it is on by default."""
    from payloadfield.cli.output import make_console, make_table, print_json
    from payloadfield.mechanism import find_modules

    found = [_module_facts(item) for item in find_modules(name if not Path(name).is_file() else Path(name)).values()]
    if as_json:
        print_json(found)
        return
    columns = ("module", "default", "what it is", "adds", "needs", "excludes")
    rows = [
        (
            item["name"],
            "on" if item["default"] else "off",
            item["doc"] + (f" ({' or '.join(item['choices'])})" if item["choices"] else ""),
            ", ".join(item["adds"]),
            *(", ".join(item[key]) for key in ("needs", "excludes")),
        )
        for item in found
    ]
    make_console().print(make_table(f"Modules of {name}", columns, rows))


def _module_facts(module: Module) -> dict[str, Any]:
    kinds = ("fields", "states", "exposures")
    return {
        "name": module.name,
        "default": module.is_default,
        "doc": module.doc,
        "adds": [name for kind in kinds for name in module.data.get(kind, {})],
        "needs": module.needs,
        "excludes": module.excludes,
        "choices": module.choices,
    }


@mechanism.command("show", epilog="Example: payloadfield mechanism show my-mechanism.toml --target numba")
@click.argument("name")
@click.option("--target", type=click.Choice(["numpy", "numba"]), help="Print the code generated for this backend.")
@click.option("--module", "chosen", multiple=True, metavar="NAME=true|false", help="Turn a module on or off.")
@json_option
def show(name: str, target: str | None, chosen: tuple[str, ...], as_json: bool) -> None:
    """Show the mechanism NAME (built-in, or a file): reactions, moieties, order of the fields, generated code."""
    from payloadfield.cli.output import print_json
    from payloadfield.mechanism import load_mechanism

    found = load_mechanism(name if not Path(name).is_file() else Path(name), _choice(chosen))
    source = _generated(found, target) if target else None
    if as_json:
        print_json({**_facts(found), "source": source})
    elif source is not None:
        click.echo(source)
    else:
        _print(found)


def _choice(chosen: tuple[str, ...]) -> dict[str, bool | str]:
    """Modules as given to --module: NAME, NAME=true, NAME=false or NAME=CHOICE."""
    pairs = (text.partition("=") for text in chosen)
    return {
        name.strip(): {"true": True, "false": False}.get(value.strip() or "true", value.strip())
        for name, _, value in pairs
    }


def _generated(found: Mechanism, target: str) -> str:
    from payloadfield.mechanism.codegen import generate

    return str(generate(found, target).source)


def _facts(found: Mechanism) -> dict[str, Any]:
    return {
        "name": found.name,
        "file": found.file,
        "doc": found.doc,
        "digest": found.digest,
        "modules": dict(found.modules),
        "moieties": found.moieties,
        "fields": [{"name": item.name, "contains": _contents(item.contains), "doc": item.doc} for item in found.fields],
        "states": [
            {
                "name": item.name,
                "kind": item.kind,
                "unit": item.unit,
                "contains": _contents(item.contains),
                "doc": item.doc,
            }
            for item in found.states
        ],
        "order_of_fields": [[found.fields[index].name for index in group] for group in found.field_groups],
        "parameters": [
            {
                "name": item.name,
                "unit": item.unit,
                "per": item.per,
                "from": item.source,
                "default": item.value,
                "doc": item.doc,
            }
            for item in found.parameters
        ],
        "reactions": [
            {
                "name": item.name,
                "scope": item.scope,
                "equation": item.text.partition("  at ")[0],
                "rate": str(item.rate),
            }
            for item in found.reactions
        ],
        "fates": "sampled" if found.is_sampled else "expected",
        "transitions": [
            {"name": item.name, "from": item.before, "to": item.after, "hazard": str(item.hazard), "doc": item.doc}
            for item in found.transitions
        ],
    }


def _contents(contains: dict[str, Any]) -> dict[str, str]:
    return {moiety: str(amount) for moiety, amount in contains.items()}


def _print(found: Mechanism) -> None:
    from payloadfield.cli.output import make_console, make_table

    facts = _facts(found)
    console = make_console()
    console.print(f"{found.name}: {found.doc}\n{found.file}", markup=False)
    console.print(f"Moieties: {', '.join(found.moieties)}", markup=False)
    groups = (" and ".join(group) for group in facts["order_of_fields"])
    console.print(f"Order of the fields: {', then '.join(groups)}\n", markup=False)
    columns: tuple[str, ...] = ("scope", "name", "equation", "rate")
    rows = [tuple(item[name] for name in columns) for item in facts["reactions"]]
    console.print(make_table("Reactions", columns, rows))
    if found.transitions:
        columns = ("name", "from", "to", "hazard", "doc")
        rows = [tuple(item[name] for name in columns) for item in facts["transitions"]]
        console.print(make_table(f"Transitions between fates ({facts['fates']})", columns, rows))
    console.print(make_table("Fields and states", ("name", "kind", "unit", "contains", "what it is"), _species(facts)))
    columns = ("name", "unit", "per", "from", "default", "doc")
    rows = [tuple("" if item[name] is None else item[name] for name in columns) for item in facts["parameters"]]
    console.print(make_table("Parameters", columns, rows))


def _species(facts: dict[str, Any]) -> list[tuple[Any, ...]]:
    fields: list[tuple[Any, ...]] = [
        (item["name"], "field", "nM", _spell(item["contains"]), item["doc"]) for item in facts["fields"]
    ]
    states: list[tuple[Any, ...]] = [
        (item["name"], item["kind"], item["unit"], _spell(item["contains"]), item["doc"]) for item in facts["states"]
    ]
    return fields + states


def _spell(contains: dict[str, str]) -> str:
    return ", ".join(f"{amount} {moiety}" for moiety, amount in contains.items())
