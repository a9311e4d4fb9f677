"""`nas bench slices`, `ranks`, ...: claims on operators, networks cut from a supernet, and what they score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from nas.bench.show import Seed, Space, show
from nas.options import AsJson


def operators(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="only these operators")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the table operator x item")] = None,
    workers: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    as_json: AsJson = False,
) -> None:
    """Every operator through every item of the contract; the table of outcomes."""
    from nas.bench.operators import bench_operators

    result = show(lambda progress: bench_operators(out, names or [], progress, workers), as_json)
    if result["failures"] or result["untested"]:
        raise typer.Exit(1)


def slices(
    space: Space = "hybrid-vision",
    count: Annotated[int, typer.Option(min=1, help="random architectures")] = 1000,
    onnx: Annotated[int, typer.Option(min=0, help="how many of them are exported and run in ONNX Runtime")] = 0,
    executorch: Annotated[int, typer.Option(min=0, help="how many of them are lowered and run in ExecuTorch")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="processes that convert")] = 1,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Subnet in the supernet == extracted network == ONNX export == ExecuTorch program, on random architectures."""
    from nas.bench.slices import bench_slices
    from nas.errors import JobError
    from search_spaces import get_space

    for option, value in (("--onnx", onnx), ("--executorch", executorch)):
        if value > count:
            raise JobError(f"{option}: got {value}; legal: at most --count ({count})")
    found = get_space(space)
    show(
        lambda progress: bench_slices(found, count, onnx, seed, progress, executorch=executorch, workers=workers),
        as_json,
    )


def slicing_cost(
    space: Space = "hybrid-vision",
    count: Annotated[int, typer.Option(min=1, help="random architectures")] = 20,
    batch: Annotated[int, typer.Option(min=1, help="images a step")] = 64,
    threads: Annotated[int, typer.Option(min=1, help="PyTorch threads")] = 1,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Step time (forward and backward) of a subnet in the supernet over the same network extracted."""
    import torch

    from nas.bench.slicing_cost import bench_slicing_cost
    from search_spaces import get_space

    torch.set_num_threads(threads)
    show(lambda progress: bench_slicing_cost(get_space(space), count, batch, seed, progress), as_json)


def cores(
    tokens: Annotated[list[int] | None, typer.Option(min=2, help="196 and 1024 unless given, once or often")] = None,
    batch: Annotated[int, typer.Option(min=1, help="sequences a pass")] = 1,
    repeats: Annotated[int, typer.Option(min=6, help="rounds in which every core runs once")] = 50,
    loop_repeats: Annotated[int, typer.Option(min=0, help="rounds in which the recurrences run too")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="PyTorch threads")] = 1,
    device: Annotated[str, typer.Option(help="cpu, or cuda (compiled cores, share of the card's limit)")] = "cpu",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Forward and backward of the linear mixers' cores over softmax attention and over their own recurrences."""
    import torch

    from nas.bench.cores import bench_cores

    torch.set_num_threads(threads)
    loops = min(loop_repeats, repeats)
    show(lambda progress: bench_cores(tokens or [196, 1024], batch, repeats, loops, device, seed, progress), as_json)


def ranks(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a trained run directory")],
    count: Annotated[int, typer.Option(min=4, help="architectures to train alone")] = 24,
    seeds: Annotated[int, typer.Option(min=1, help="trainings of each")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="trainings at a time, one thread each if more than one")] = 1,
    as_json: AsJson = False,
) -> None:
    """Rank correlation of inherited accuracy with training each architecture alone by the same recipe."""
    from nas.bench.ranks import bench_ranks

    show(lambda progress: bench_ranks(run, count, seeds, workers, progress), as_json)


def recall(
    context: Annotated[int, typer.Option(help="tokens a sequence; a quarter of it is the most pairs")] = 64,
    mixer: Annotated[list[str] | None, typer.Option(help="mixer of the second layer; repeat for more")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="trainings of each")] = 3,
    steps: Annotated[int, typer.Option(min=20, help="of a training")] = 500,
    learning_rate: Annotated[float, typer.Option(min=1e-6, max=1.0, help="peak")] = 0.003,
    workers: Annotated[int, typer.Option(min=1, help="trainings at a time, one thread each")] = 2,
    as_json: AsJson = False,
) -> None:
    """Train small networks of one mixer each to recall values by their keys: what does a state of fixed size hold?"""
    from nas.bench.recall import MIXERS, bench_recall

    chosen = mixer or list(MIXERS)
    result = show(
        lambda progress: bench_recall(context, chosen, seeds, steps, learning_rate, workers, progress), as_json
    )
    if not as_json:
        pairs = list(dict.fromkeys(row["pairs"] for row in result["rows"]))
        title = f"right answers on unseen sequences, mean ± std over {seeds} seed(s)"
        table = Table("mixer", "state", *(f"{count} pairs" for count in pairs), title=title)
        for name in dict.fromkeys(row["mixer"] for row in result["rows"]):
            rows = [row for row in result["rows"] if row["mixer"] == name]
            cells = [f"{row['accuracy']:.0%} ± {row['std']:.0%}" for row in rows]
            table.add_row(name, str(rows[0]["state"]), *cells)
        Console().print(table)
