"""`nas operators`, `nas check-operator` and `nas spaces ...`: one thin function a command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nas.options import AsJson

SpaceArgument = Annotated[
    str, typer.Argument(metavar="SPACE", help="name, name/preset, or the path of a space file (YAML or JSON)")
]

spaces_app = typer.Typer(help="List, describe and check search spaces.", rich_markup_mode=None)


def operators(as_json: AsJson = False) -> None:
    """List the operators: role, family, sizes, and the runtimes that they deploy to."""
    from nas.catalogue.operators import print_operators

    print_operators(as_json, Console())


def check_operator(
    operator: Annotated[str, typer.Argument(metavar="OPERATOR", help="my_module:MyOperator, or a registered name")],
    as_json: AsJson = False,
) -> None:
    """Put an operator through the contract: builds, slices, references, costs, causality, deployment. Exit 1 if it fails."""
    from nas.catalogue.operators import load_operator, print_check

    if not print_check(load_operator(operator), as_json, Console()):
        raise typer.Exit(1)


@spaces_app.callback(invoke_without_command=True)
def spaces(context: typer.Context, as_json: AsJson = False) -> None:
    """List the search spaces and their presets."""
    if context.invoked_subcommand is None:
        from nas.catalogue.spaces import print_spaces

        print_spaces(as_json, Console())


@spaces_app.command()
def designs(as_json: AsJson = False) -> None:
    """List the reference designs: known architectures, with published and counted parameters and MACs."""
    from nas.catalogue.designs import print_designs

    print_designs(as_json, Console())


@spaces_app.command()
def describe(
    space: SpaceArgument,
    table: Annotated[
        list[Path] | None, typer.Option("--table", help="a latency table or run directory; repeat for more")
    ] = None,
    max_: Annotated[
        list[str] | None, typer.Option("--max", help="a constraint: macs=3e8, parameters=5e6, cpu-torch=2.5 (ms)")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A space in numbers: size, smallest, median and largest cost, and the share of it that satisfies constraints."""
    from nas.catalogue.describe import print_description
    from search_spaces import get_space

    print_description(get_space(space), table or [], max_ or [], as_json, Console())


@spaces_app.command()
def check(space: SpaceArgument) -> None:
    """Check a space file before anything is trained: operators, sizes, shapes, divisibility. Exit 2 names what is wrong."""
    from search_spaces import get_space

    found = get_space(space)
    Console().print(
        f"{found.name}: fits; {found.size():.3g} architectures, {len(found.specs())} operator specs", highlight=False
    )
