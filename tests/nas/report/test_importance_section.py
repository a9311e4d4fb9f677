"""What carries the score, on the page: the choices of both ends with their intervals, or why it is not told."""

from __future__ import annotations

import dataclasses
import json
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nas.importance import study as importance_study
from nas.importance.correlation import Correlation
from nas.importance.study import Importance
from nas.metric import ACCURACY, BITS_PER_BYTE
from nas.progress import Silent
from nas.report.importance import PERHAPS, SHOWN, SURELY, importance_figure, importance_title
from nas.report.page import render_html
from nas.report.step import assemble
from nas.run import RunDirectory
from nas.session import Session
from search_spaces import get_space

DEVICES = ("cpu-torch", "cpu-onnxruntime")
EVIL = "</script><img src=x onerror=alert(1)>\"'&"


def importance(
    count: int = 40, tells: bool = True, devices: tuple[str, ...] = DEVICES, **changes: object
) -> Importance:
    """A study with made-up figures: the report only shows them."""
    rng = np.random.default_rng(count)
    gain = np.sort(rng.normal(0, 0.01, count))[::-1]
    table = {
        "gene": [f"stage*.layer*.gene{i}" for i in range(count)],
        "value": [["mhsa", 3, 0.5][i % 3] for i in range(count)],
        "importance": gain, "low": gain - 0.008, "high": gain + 0.008, "seen": rng.integers(1, 60, count),
    }  # fmt: skip
    for name in devices:
        ms = rng.normal(0, 0.1, count)
        table |= {f"ms_{name}": ms, f"low_ms_{name}": ms - 0.05, f"high_ms_{name}": ms + 0.05}
    held = Correlation(0.6, 0.5 if tells else -0.1, 0.7)
    model: object = None  # not shown
    parts = (held, held, model, {}, np.zeros((0, 1), np.int16), pd.DataFrame(table), pd.DataFrame())
    return dataclasses.replace(Importance(get_space("nas-bench-201"), ACCURACY, 60, *parts), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [3, 2 * SHOWN, 40])
def test_the_plot_holds_both_ends_with_their_intervals(count: int) -> None:
    found = importance(count)
    figure = importance_figure(found, "cpu-onnxruntime")
    rows = found.choices
    shown = rows if count <= 2 * SHOWN else pd.concat([rows[:SHOWN], rows[-SHOWN:]])
    labels = [f"{r['gene']} = {r['value']} ({r['seen']})" for r in shown.to_dict("records")]
    assert list(figure.layout.yaxis.categoryarray) == labels[::-1]
    for axis, columns in (
        ("x", ("importance", "low", "high")),
        ("x2", tuple(f"{e}ms_cpu-onnxruntime" for e in ("", "low_", "high_"))),
    ):
        traces = [trace for trace in figure.data if trace.xaxis == axis]
        drawn = {
            label: (x, half, trace.name)
            for trace in traces
            for label, x, half in zip(trace.y, trace.x, trace.error_x.array, strict=True)
        }
        assert sorted(drawn) == sorted(labels)
        for label, row in zip(labels, shown.to_dict("records"), strict=True):
            value, low, high = (row[column] for column in columns)
            x, half, name = drawn[label]
            assert (x, half) == pytest.approx((value, (high - low) / 2), rel=1e-3)
            assert name == (SURELY if low > 0 or high < 0 else PERHAPS)
    lines = [shape for shape in figure.layout.shapes if shape.y0 == SHOWN - 0.5]
    assert bool(lines) == (count > 2 * SHOWN)


def test_a_latency_of_unknown_error_is_drawn_without_one() -> None:
    found = importance()
    found.choices["low_ms_cpu-torch"] = found.choices["high_ms_cpu-torch"] = np.nan
    traces = [trace for trace in importance_figure(found, "cpu-torch").data if trace.xaxis == "x2"]
    assert [len(trace.x) for trace in traces] == [0, 2 * SHOWN]
    assert not any(traces[1].error_x.array)
    assert "±" not in importance_title(found, "cpu-torch")


def test_the_title_says_what_carries_most_or_that_it_cannot_be_told() -> None:
    found = importance()
    best, sure = found.choices.iloc[0], int(((found.choices["low"] > 0) | (found.choices["high"] < 0)).sum())
    said = importance_title(found, "cpu-torch")
    assert said.startswith(
        f"cpu-torch: {sure} of 40 choices surely carry or cost accuracy; {best['gene']} = {best['value']} "
    )
    assert f"{100 * best['importance']:+.2f} %" in said
    assert f"{best['ms_cpu-torch']:+.3f}\u00a0±0.050 ms" in said
    assert (
        importance_title(importance(tells=False), "a") == "a: 60 evaluations are too few to tell what carries accuracy"
    )
    assert "+0.0" in importance_title(importance(metric=BITS_PER_BYTE), "cpu-torch")


def test_every_device_has_its_section_and_the_page_is_made_the_same(report, report_of) -> None:
    found = importance()
    whole = report_of(*report.devices, importance=found)
    html, bare = render_html(whole), render_html(report)
    for i, device in enumerate(whole.devices):
        assert f'id="plot-importance-{i}"' in html
        assert escape(importance_title(found, device.name)) in html
    assert html.count(escape(found.verdict)) == 2
    assert render_html(whole) == html
    assert len(html) - len(bare) < 2 * 12_000
    assert bare.count("What carries accuracy is not told: it was not studied.") == 2
    assert "too few to tell what carries accuracy" in render_html(
        report_of(*report.devices, importance=importance(tells=False))
    )


def test_names_from_outside_cannot_inject(report, report_of) -> None:
    found = importance(devices=tuple(device.name for device in report.devices))
    found.choices["gene"], found.choices["value"] = EVIL, [f"{EVIL}{i}" for i in range(len(found.choices))]
    html = render_html(report_of(*report.devices, importance=found))
    assert EVIL not in html
    assert "<img src=x" not in html
    assert escape(EVIL) in html
    assert EVIL not in render_html(report_of(*report.devices, importance=EVIL))


def test_a_run_shows_it_and_one_with_too_few_evaluations_says_so(
    calibrated_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> str:
        with RunDirectory.open(calibrated_run, read_only=True) as run:
            return render_html(assemble(Session(run, Silent())))

    html = read()
    assert html == (calibrated_run / "report.html").read_text()
    assert 'id="plot-importance-0"' in html
    evaluated = pd.read_parquet(calibrated_run / "search" / "new.parquet")["hash"].nunique()
    assert f"{evaluated} evaluations; left out, they are ranked with Spearman" in html
    monkeypatch.setattr(importance_study, "FEWEST", 10_000)
    few = read()
    assert f"is not told: this run has {evaluated} evaluations; legal: at least 10000 (search.evaluations)." in few
    assert "plot-importance-0" not in few
    assert json.dumps(str(calibrated_run)) not in few
