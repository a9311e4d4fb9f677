"""A finished run as a small study folder: CSV files, a picture, and a README with the figures and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from nas.metric import Metric
from nas.progress import Silent
from nas.report.contents import DeviceReport, Report
from nas.report.findings import control_sentences
from nas.report.picture import front_png
from nas.report.step import assemble
from nas.report.tables import front_markdown, hypervolume_summary
from nas.report.trust import trust_sentences
from nas.run import RunDirectory
from nas.session import Session


def bench_evidence(folder: Path, out: Path, command: str) -> dict[str, Any]:
    """Writes the study of the finished run in ``folder`` to ``out``; ``command`` is what remakes the run.

    Returns:
        the figures of the README: device -> members tested, re-measured error, hypervolumes, validation.
    """
    with RunDirectory.open(folder, read_only=True) as run:
        report = assemble(Session(run, Silent()))
        steps = dict(run.manifest["steps"])
    out.mkdir(parents=True, exist_ok=True)
    front_png(report, out / "front.png")
    figures: dict[str, Any] = {}
    sections = []
    for device in report.devices:
        summary = hypervolume_summary(device.hypervolumes)
        device.members.drop(columns="genes").to_csv(out / f"front-{device.name}.csv", index=False)
        architectures = [json.loads(text) for text in device.members["genes"]]
        (out / f"architectures-{device.name}.json").write_text(json.dumps(architectures, indent=1) + "\n")
        summary.to_csv(out / f"hypervolume-{device.name}.csv", index=False)
        device.validation.to_csv(out / f"validation-{device.name}.csv", index=False)
        figures[device.name] = _figures(device, summary)
        sections.append(_section(report, device, summary, figures[device.name]))
    (out / "README.md").write_text(_readme(report, sections, steps, command))
    return figures


def _figures(device: DeviceReport, summary: pd.DataFrame) -> dict[str, Any]:
    front = device.members
    tested, measured = front[front[device.test_quality].notna()], front[front["measured_ms"].notna()]
    error = (measured["latency_ms"] / measured["measured_ms"] - 1).abs()
    inside = (measured["latency_low_ms"] <= measured["measured_ms"]) & (
        measured["measured_ms"] <= measured["latency_high_ms"]
    )
    return {
        "members": len(front),
        "tested": len(tested),
        f"{device.test_quality}_best": _best(tested[device.test_quality], device.metric) if len(tested) else None,
        "remeasured_mape": float(error.mean()) if len(measured) else None,
        "remeasured_in_interval": float(inside.mean()) if len(measured) else None,
        "hypervolume": summary.set_index("search")[["mean", "std"]].round(5).to_dict("index"),
        "table_seconds": device.header["seconds"],
        "validation": device.header.get("validation"),
    }


def _best(values: pd.Series, metric: Metric) -> float:
    return float(values.max() if metric.higher else values.min())


def _section(report: Report, device: DeviceReport, summary: pd.DataFrame, figures: dict[str, Any]) -> str:
    shown = summary.round({"mean": 4, "std": 4, "min": 4, "max": 4, "ratio_to_random": 3})
    rows = ["| " + " | ".join(shown.columns) + " |", "| " + " | ".join("---" for _ in shown.columns) + " |"]
    rows += ["| " + " | ".join(str(value) for value in row) + " |" for row in shown.itertuples(index=False)]
    found = device.header.get("validation")
    checked = (
        f"{found['networks']} whole networks it never saw: MAPE {found['mape']:.1%}, within 10 %: {found['within_10']:.0%}, "
        f"Spearman {found['spearman']:.3f}, Kendall {found['kendall']:.3f}"
        if found
        else "not checked on whole networks"
    )
    return "\n".join(
        [
            f"## {device.name}",
            "",
            f"Latency table: {checked}; the table took {device.header['seconds']:.0f} s. Front members measured again: "
            f"predicted latency is off by {_percent(figures['remeasured_mape'])} on average, "
            f"{_percent(figures['remeasured_in_interval'])} lie in the "
            "predicted 90 % interval.",
            "",
            front_markdown(device),
            "",
            f"Hypervolume over (inherited {device.metric.title}, predicted latency) with one reference point for all searches "
            "of the device, over the seeds:",
            "",
            *rows,
            "",
            *[f"- {sentence}" for sentence in control_sentences(device, report.job.search.searcher)],
            "",
        ]
    )


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1%}"


def _readme(report: Report, sections: list[str], steps: dict[str, Any], command: str) -> str:
    seconds = ", ".join(f"{name} {step['seconds']:.0f} s" for name, step in steps.items() if "seconds" in step)
    return "\n".join(
        [
            f"# {report.job.name}",
            "",
            "Made, and remade, by:",
            "",
            f"    {command}",
            "",
            f"One supernet training, then a front for each device without training again. {seconds}.",
            "",
            "![fronts](front.png)",
            "",
            *sections,
            "## How far to trust this",
            "",
            *[f"- {sentence}" for sentence in trust_sentences(report)],
            "",
        ]
    )
