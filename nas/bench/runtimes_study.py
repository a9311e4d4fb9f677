"""`bench_runtimes` as a study: CSV files, a picture of every mixer in every runtime, and why a winner changes."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from hardware.runtimes import get_runtime
from hardware.runtimes.base import Runtime
from nas.bench.runtimes import Asked, bench_runtimes, gains, winners
from nas.errors import JobError
from nas.files import write_atomically
from nas.progress import Progress
from search_spaces import OperatorSpec, SearchSpace, build_operator
from search_spaces.decode import example_inputs

FEWEST = 0.01  # kinds of kernels below this share of the time are summed up


def study_runtimes(
    space: SearchSpace, shapes: list[tuple[int, ...]], asked: Asked, workers: int, out: Path, progress: Progress
) -> dict[str, Any]:
    """Measures and writes ``operators.csv``, ``winners.csv``, ``int8.csv`` (if it was asked for), ``explained.csv`` (where
    a winner changes most, by the runtimes' own profiles) and ``runtimes.png`` to ``out``.

    Returns:
        runtimes (noise floor, warnings and versions of each), operators, refused, winners (rows), explained (rows).
    """
    if out.exists() and not out.is_dir():
        raise JobError(f"--out: {out} is a file; legal: a folder")
    frame, record = bench_runtimes(space, shapes, asked, workers, progress)
    won, why = winners(frame), explained(frame)
    files = {"operators.csv": frame, "winners.csv": won, "explained.csv": why}
    if (frame["precision"] == "int8").any():
        files["int8.csv"] = gains(frame, "int8")
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomically(out / name, content.to_csv(index=False, float_format="%.4g").encode())
    draw(frame, out / "runtimes.png")
    return {
        "runtimes": record,
        "operators": int(frame["median_ms"].notna().sum()),
        "refused": int(frame["refused"].notna().sum()),
        "winners": won.to_dict("records"),
        "explained": why.to_dict("records"),
    }


def explained(frame: pd.DataFrame) -> pd.DataFrame:
    """Where the fastest mixer in one runtime is not the one in another, by the most: both mixers in both runtimes, by the
    runtimes' own profilers: shape, runtime, mixer, kind of kernel, kernels, ms. Empty where it never changes."""
    columns = ["shape", "runtime", "mixer", "kind", "kernels", "ms"]
    ready = frame[frame["competes"] & frame["median_ms"].notna() & (frame["precision"] == "fp32")]
    profiled = [name for name in ready["runtime"].unique() if type(get_runtime(name)).profile is not Runtime.profile]
    best: tuple[float, str, tuple[str, str], tuple[str, str]] | None = None
    for shape, part in ready.groupby("shape", sort=False):
        ms = part.pivot_table("median_ms", "mixer", "runtime")
        for one, other in combinations([name for name in profiled if name in ms], 2):
            both = ms[[one, other]].dropna()
            first, second = str(both[one].idxmin()), str(both[other].idxmin())
            swing = float(
                both.loc[second, one] / both.loc[first, one] * both.loc[first, other] / both.loc[second, other]
            )
            if first != second and (best is None or swing > best[0]):
                best = (swing, str(shape), (one, other), (first, second))
    if best is None:
        return pd.DataFrame(columns=columns)
    _, shape, runtimes, mixers = best
    rows = []
    for runtime in runtimes:
        for mixer in mixers:
            text = ready[(ready["shape"] == shape) & (ready["mixer"] == mixer)]["spec"].iloc[0]
            spec = OperatorSpec.parse(text)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                kernels = get_runtime(runtime).profile(build_operator(spec).eval(), example_inputs(spec, 1))
            kinds = pd.DataFrame([(k.kind, k.ms) for k in kernels], columns=["kind", "ms"]).groupby("kind")["ms"]
            total = kinds.agg(["size", "sum"]).sort_values("sum", ascending=False)
            few = total["sum"] < FEWEST * total["sum"].sum()
            for kind, (count, ms_) in total[~few].iterrows():
                rows.append((shape, runtime, mixer, kind, int(count), ms_))
            if few.any():
                rows.append((shape, runtime, mixer, "others", int(total[few]["size"].sum()), total[few]["sum"].sum()))
    return pd.DataFrame(rows, columns=columns)


def draw(frame: pd.DataFrame, path: Path) -> None:
    """A row a mixer by family, a column a runtime: the median over shapes of its latency over the runtime's middle mixer."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.figure import Figure

    frame = frame.assign(column=frame["runtime"] + " " + frame["precision"])
    middle = frame.groupby(["shape", "column"])["median_ms"].transform("median")
    frame = frame.assign(relative=np.log2(frame["median_ms"] / middle))
    columns = list(dict.fromkeys(frame["column"]))
    table = frame.pivot_table("relative", ["family", "mixer"], "column", "median", dropna=False)
    known = frame[["family", "mixer"]].drop_duplicates().sort_values(["family", "mixer"])
    table = table.reindex(index=pd.MultiIndex.from_frame(known), columns=columns)
    figure = Figure(figsize=(2.6 + 0.75 * len(columns), 1.6 + 0.165 * len(table)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_facecolor("#bbbbbb")  # where a runtime refused the mixer
    image = axes.imshow(table.to_numpy(), aspect="auto", cmap="RdBu_r", norm=TwoSlopeNorm(0, -3, 3))
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(table)), [mixer for _, mixer in table.index], fontsize=6)
    families = [kind for kind, _ in table.index]
    for i in range(1, len(families)):
        if families[i] != families[i - 1]:
            axes.axhline(i - 0.5, color="black", linewidth=1)
    bar = figure.colorbar(image, ax=axes, shrink=0.4)
    bar.set_ticks([-3, -2, -1, 0, 1, 2, 3], labels=["1/8", "1/4", "1/2", "1", "2", "4", "8"])
    bar.set_label("latency over the runtime's median mixer")
    axes.set_title("grey: refused", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
