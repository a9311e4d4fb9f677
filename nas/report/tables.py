"""The tables of a report: the front for terminal and markdown, hypervolume over seeds, operators by stage."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich import box
from rich.markup import escape
from rich.table import Table
from scipy.special import ndtri

from nas.metric import Metric
from nas.report.contents import INPUTS, DeviceReport
from nas.report.goal import HELP as GOAL_HELP
from nas.report.goal import standing
from nas.report.words import UNKNOWN, count, known, ms, ms_plus_minus, percent, plus_minus, quality
from search_spaces import SpaceError
from search_spaces.operators import family

LETTERS = {"conv": "C", "attention": "A", "linear attention": "L", "ssm": "S", "mlp": "M", "other": "-"}
LETTERS_HELP = "C convolution, A attention, L linear attention, S state space, - identity; stages split by /"
_MIXER = re.compile(r"stage(\d+)\.layer(\d+)\.mixer")


class Layer(NamedTuple):
    """One layer of an architecture: its place, its mixer, and the chosen sizes as text."""

    stage: int
    layer: int
    mixer: str
    sizes: str


def mixer_family(mixer: str) -> str:
    """The operator family of ``mixer``; ``other`` for an operator that this release does not know."""
    try:
        return family(mixer)
    except SpaceError:
        return "other"


def wilson(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval (low, high) of a proportion, fractions in [0, 1].

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Raises:
        ValueError: ``n`` is below 1 or ``successes`` is outside [0, n].
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"successes, n: got {successes} of {n}; legal is 0 <= successes <= n and n >= 1")
    z = float(ndtri(0.5 + confidence / 2))
    share, weight = successes / n, z * z / n
    centre = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * np.sqrt(share * (1 - share) / n + weight / (4 * n))
    return (0.0 if successes == 0 else float(centre - half), 1.0 if successes == n else float(centre + half))


def gene_values(genes: str) -> dict[str, Any]:
    """Gene name -> value of a front row's JSON text, which is an architecture or its genes alone.

    Raises:
        ValueError: the text is not a JSON object.
    """
    data = json.loads(genes)
    if not isinstance(data, dict):
        raise ValueError(f"genes: got {genes[:60]!r}; legal is a JSON object")
    inner = data.get("genes")
    return inner if isinstance(inner, dict) else data


def layers(genes: str) -> list[Layer]:
    """The layers of an architecture in the order in which they run."""
    values = gene_values(genes)
    found = []
    for name, mixer in values.items():
        if match := _MIXER.fullmatch(name):
            at = name.removesuffix("mixer") + f"{mixer}."
            sizes = ", ".join(f"{key.removeprefix(at)} {value}" for key, value in values.items() if key.startswith(at))
            found.append(Layer(int(match[1]), int(match[2]), str(mixer), sizes))
    return sorted(found)


def by_stage(genes: str) -> dict[int, list[str]]:
    """Stage -> its mixers in the order in which they run."""
    stages: dict[int, list[str]] = {}
    for layer in layers(genes):
        stages.setdefault(layer.stage, []).append(layer.mixer)
    return stages


def short_mixers(genes: str) -> str:
    """The families of an architecture's mixers, a letter a layer: 'CC/CSA/LS'. See `LETTERS_HELP`."""
    return "/".join("".join(LETTERS[mixer_family(m)] for m in mixers) for mixers in by_stage(genes).values())


def operator_mix(front: pd.DataFrame) -> pd.DataFrame:
    """How often each mixer stands in each stage of each front member.

    Returns:
        Columns hash, latency_ms, stage, mixer, family, count, share; ``share`` is of the stage's layers, so it sums
        to 1 within (hash, stage). Members from fast to slow.
    """
    rows = []
    for member in front.sort_values("latency_ms").itertuples():
        for stage, mixers in by_stage(str(member.genes)).items():
            for mixer in sorted(set(mixers)):
                times = mixers.count(mixer)
                rows.append(
                    (member.hash, member.latency_ms, stage, mixer, mixer_family(mixer), times, times / len(mixers))
                )
    return pd.DataFrame(rows, columns=["hash", "latency_ms", "stage", "mixer", "family", "count", "share"])


def final_hypervolumes(hypervolumes: pd.DataFrame) -> pd.DataFrame:
    """The last row of every (search, seed), in the order in which the searches come."""
    ordered = hypervolumes.reset_index(drop=True).sort_values("evaluations", kind="stable")
    return ordered.groupby(["search", "seed"], sort=False).tail(1).sort_index().reset_index(drop=True)


def hypervolume_summary(hypervolumes: pd.DataFrame) -> pd.DataFrame:
    """Final hypervolume of each search over its seeds.

    Returns:
        Columns search, seeds, evaluations (the fewest any seed ended with), mean, std (n - 1; NaN for one seed), min,
        max, ratio_to_random (of means; NaN without a random search), in the order in which the searches come.
    """
    groups = final_hypervolumes(hypervolumes).groupby("search", sort=False)
    values = groups["hypervolume"]
    summary = pd.DataFrame(
        {
            "seeds": groups["seed"].nunique(),
            "evaluations": groups["evaluations"].min(),
            "mean": values.mean(),
            "std": values.std(ddof=1),
            "min": values.min(),
            "max": values.max(),
        }
    )
    random = float(summary["mean"].get("random", np.nan))
    summary["ratio_to_random"] = summary["mean"] / (random if random > 0 else np.nan)
    return summary.rename_axis("search").reset_index()


def _headings(device: DeviceReport) -> tuple[str, ...]:
    title = device.metric.title
    goal = [] if device.goal_latency_ms is None else [f"goal {ms(device.goal_latency_ms)} ms"]
    return (
        *("architecture", f"{title}, search", f"{title}, test", "predicted, ms"),
        *goal,
        *("measured, ms", "MACs", "parameters"),
    )


def _note(device: DeviceReport) -> str:
    title = device.metric.title
    note = f"{UNKNOWN} not tested; latency ± its 90 % interval, test {title} ± its 95 % interval, the larger side"
    return note if device.goal_latency_ms is None else f"{note}; {GOAL_HELP}"


def input_size(member: Any) -> tuple[str, int]:
    """The input of a front member as text ('28 px', '128 tokens') and as a number."""
    column = next(name for name in INPUTS if hasattr(member, name))
    return f"{getattr(member, column)} {INPUTS[column]}", getattr(member, column)


def _cells(member: Any, device: DeviceReport) -> list[str]:
    tested = getattr(member, device.test_quality)
    return [
        str(member.hash) + (" *" if member.knee else ""),
        quality(getattr(member, device.quality), device.metric),
        plus_minus(tested, member.test_low, member.test_high, device.metric),
        ms_plus_minus(member.latency_ms, member.latency_low_ms, member.latency_high_ms),
        *([] if device.goal_latency_ms is None else [standing(member, device.goal_latency_ms)]),
        ms_plus_minus(member.measured_ms, member.measured_low_ms, member.measured_high_ms),
        count(member.macs),
        count(member.parameters),
    ]


def front_title(device: DeviceReport, picked: pd.DataFrame | None = None) -> str:
    """'cpu-torch (torch): 8 Pareto-optimal architectures, predicted latency off by 4.1 % on average'; of those ``picked`` also
    how many."""
    mape = (device.header.get("validation") or {}).get("mape")
    error = f", predicted latency off by {percent(mape)} on average" if known(mape) else ""
    noun = "architecture" if len(device.front) == 1 else "architectures"
    count_of = f"{len(device.front)}" if picked is None else f"{len(picked)} of {len(device.front)}"
    return f"{device.name} ({device.runtime}): {count_of} Pareto-optimal {noun}{error}"


def front_table(device: DeviceReport, picked: pd.DataFrame | None = None) -> Table:
    """The front for the terminal, from the fastest member to the slowest; or only the members ``picked``, in their order."""
    table = Table(
        title=escape(front_title(device, picked)),
        caption=f"* knee; {_note(device)}\nmixers: {LETTERS_HELP}",
        box=box.SIMPLE_HEAD,
        padding=(0, 0),
        title_justify="left",
        caption_justify="left",
    )
    for heading in (*_headings(device), "mixers"):
        left = heading in ("architecture", "mixers")
        table.add_column(heading, justify="left" if left else "right", no_wrap=left, overflow="fold")
    for member in (device.members if picked is None else picked).itertuples():
        table.add_row(*(escape(cell) for cell in [*_cells(member, device), short_mixers(str(member.genes))]))
    return table


def front_markdown(device: DeviceReport) -> str:
    """The front as a markdown table, with the mixers written out; ends with a newline."""
    heads = _headings(device)
    lines = ["| " + " | ".join((*heads, "mixers")) + " |", "| --- |" + " ---: |" * (len(heads) - 1) + " --- |"]
    for member in device.members.itertuples():
        mixers = " / ".join(" ".join(names) for names in by_stage(str(member.genes)).values())
        cells = [*_cells(member, device), mixers]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + f"\n\n\\* knee; {_note(device)}.\n"


def _beside(member: dict[Any, Any], device: str) -> str:
    """How a member stands to the goal of one of several devices, if it has one."""
    over = member.get(f"over_goal_{device}")
    return "" if over is None else f" (goal {100 * over:+.1f} %)"


def together_table(front: pd.DataFrame, metric: Metric) -> Table:
    """The front of all devices together (see `together_frame`) for the terminal."""
    heads = [column.removeprefix("latency_ms_") for column in front.columns if column.startswith("latency_ms_")]
    table = Table(title="all devices together", caption="* knee", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("architecture", no_wrap=True)
    for heading in (f"{metric.title}, search", *(f"{name}, ms" for name in heads)):
        table.add_column(escape(heading), justify="right")
    table.add_column("mixers", no_wrap=True)
    for member in front.to_dict("records"):
        latencies = [f"{member[f'latency_ms_{name}']:.3g}{_beside(member, name)}" for name in heads]
        name = member["hash"] + (" *" if member["knee"] else "")
        table.add_row(name, metric.text(member[metric.name]), *latencies, escape(short_mixers(str(member["genes"]))))
    return table
