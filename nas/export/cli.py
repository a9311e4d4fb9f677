"""`nas export`: a front member as a stand-alone package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nas.options import PICKS, RunArgument


def export(
    run: RunArgument,
    member: Annotated[
        str | None, typer.Option("--hash", help="first digits of a front member's hash; `nas front` lists them")
    ] = None,
    pick: Annotated[str | None, typer.Option(help=f"instead of a hash: {PICKS}; see `nas front`")] = None,
    device: Annotated[str | None, typer.Option(help="only on this device's front")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the package; default <hash> here")] = None,
) -> None:
    """Export a front member as a stand-alone package, proved equal to what was searched."""
    from nas.errors import JobError
    from nas.export.step import export_member, find_member, pick_member
    from nas.progress import Terminal
    from nas.run import RunDirectory
    from nas.search.picks import Pick
    from nas.session import Session

    if (member is None) == (pick is None):
        raise JobError(f"export: got {'both' if pick else 'neither'} --hash and --pick; legal: one of the two")
    chosen = None if pick is None else Pick.parse(pick)
    console = Console()
    with RunDirectory.open(run, read_only=True) as opened, Terminal(console) as progress:
        import torch

        torch.set_num_threads(opened.job.threads)
        session = Session(opened, progress)
        found = pick_member(session, chosen, device) if chosen else find_member(session, member or "", device)
        section, row = found
        folder = out or Path(row["hash"])
        manifest = export_member(session, section, row, folder)
    for name, figures in manifest["parity"].items():
        console.print(
            f"{name}: largest difference {figures['max_relative']:.2g} relative on {figures['images']} images"
        )
    console.print(f"package: {folder}", soft_wrap=True, highlight=False)
