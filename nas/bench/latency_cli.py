"""`nas bench tables`, `link` and `runtimes`: claims on measured latencies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from nas.bench.show import Space, show
from nas.options import AsJson


def tables(
    table: Annotated[list[Path], typer.Argument(metavar="TABLE...", help="latency tables that `nas profile` measured")],
    out: Annotated[Path | None, typer.Option(help="folder for the figures as CSV and Markdown")] = None,
    as_json: AsJson = False,
) -> None:
    """How well tables predict networks they never saw, beside a plain sum, MACs, parameters and a random forest."""
    from hardware.table import LatencyTable
    from nas.bench.tables import write_comparison

    rows = write_comparison({path.name: LatencyTable.load(path) for path in table}, out)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    shown = Table("table", "method", "MAPE", "within 5 %", "within 10 %", "Spearman", "Kendall", "noise floor")
    for row in rows:
        percents = [f"{row[name]:.1%}" for name in ("mape", "within_5", "within_10")]
        ranks = [f"{row[name]:.3f}" for name in ("spearman", "kendall")]
        shown.add_row(row["table"], row["method"], *percents, *ranks, f"{row['noise_floor'] or 0:.1%}")
    Console().print(shown)


def link(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="this machine, described as a device reached by ssh")],
    space: Space = "hybrid-vision/tiny",
    operators: Annotated[int, typer.Option(min=1, help="operator specs to time both ways")] = 60,
    cuts: Annotated[int, typer.Option(min=0, help="how often the link is cut meanwhile")] = 20,
    folder: Annotated[Path, typer.Option(help="folder of the programs that run without ssh")] = Path("/tmp/nas-here"),
    as_json: AsJson = False,
) -> None:
    """Measure over an ssh link that is cut again and again: nothing finished is lost, and the latencies stay the same."""
    from nas.bench.link import bench_link
    from search_spaces import get_space

    found = get_space(space)
    show(lambda progress: bench_link(found, device, str(folder), operators, cuts, progress), as_json)


def runtimes(
    out: Annotated[Path, typer.Option(help="folder of the study")],
    shapes: Annotated[
        list[str], typer.Option(help="input of the mixers, channels x height x width, e.g. 24x16x16; repeat for more")
    ],
    runtime: Annotated[
        list[str], typer.Option(help="and its precisions: onnxruntime, or onnxruntime:fp32,int8; repeat for more")
    ],
    space: Space = "hybrid-vision/full",
    workers: Annotated[int, typer.Option(min=1, help="processes that convert")] = 2,
    as_json: AsJson = False,
) -> None:
    """Every mixer at about equal work in every runtime: the fastest of each, why it changes, and what int8 gains."""
    from nas.bench.runtimes_study import study_runtimes
    from nas.errors import JobError
    from search_spaces import get_space

    sizes = []
    for text in shapes:
        if not all(part.isdigit() for part in text.split("x")):
            raise JobError(f"--shapes: got {text!r}; legal: numbers as in 24x16x16")
        sizes.append(tuple(map(int, text.split("x"))))
    asked = {}
    for text in runtime:
        name, _, precisions = text.partition(":")
        asked[name] = (precisions or "fp32").split(",")
    found = get_space(space)
    show(lambda progress: study_runtimes(found, sizes, asked, workers, out, progress), as_json)
