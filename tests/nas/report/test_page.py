"""The page: self-contained, complete, escaped, and whole also where little was measured."""

from __future__ import annotations

import dataclasses
import json
import re
from html import escape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from nas.report.curves import hypervolume_figure, training_figure, validation_figure
from nas.report.figures import front_figure
from nas.report.genes import agreement
from nas.report.mix import mix_figure, share_figure
from nas.report.page import render_html
from nas.report.picture import front_png
from nas.report.separation import unseparated
from nas.report.style import SEARCH_COLOURS
from nas.report.tables import mixer_family
from nas.report.words import ms

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Tags with their attributes, the text outside scripts and styles, and a check that tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)


@pytest.fixture(scope="module")
def html(report):
    return render_html(report)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_it_loads_nothing(html, page):
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action"):
            if (value := attributes.get(name)) is not None:
                assert value.startswith(("#", "data:")), (tag, value)
    sheet = re.search(r"<style>(.*?)</style>", html, re.S)[1]
    assert "url(" not in sheet
    assert "@import" not in sheet
    assert html.count("plotly.js v") == 1
    # no button that uploads a plot
    assert html.count('"showSendToCloud": false') == html.count("Plotly.newPlot(") - _calls_inside_plotly(html) > 5


def _calls_inside_plotly(html: str) -> int:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs().count("Plotly.newPlot(")


def test_every_member_and_every_latency_with_its_error_is_there(report, page):
    for device in report.devices:
        for member in device.front.itertuples():
            assert member.hash in page.text
            around = f"{ms(member.latency_ms)} {ms(member.latency_low_ms)} to {ms(member.latency_high_ms)}"
            assert around in page.text
            if not np.isnan(member.measured_ms):
                assert (
                    f"{ms(member.measured_ms)} {ms(member.measured_low_ms)} to {ms(member.measured_high_ms)}"
                    in page.text
                )


def test_tables_have_a_row_a_member_and_a_row_a_search(report, html):
    tables = re.findall(r'<table class="sortable.*?</table>', html, re.S)
    rows = [len(re.findall("<tr", table.partition("<tbody>")[2])) for table in tables]
    wanted = []
    for device in report.devices:
        wanted += [len(device.front), device.hypervolumes["search"].nunique(), len(agreement(device.genes))]
    assert rows == wanted
    for table in tables:
        cells = {row.count("<td") for row in table.partition("<tbody>")[2].split("</tr>")[:-1]}
        assert cells == {table.count('<th scope="col">')}
        assert table.count("data-value=") == sum(row.count("<td") for row in table.split("</tr>"))


def test_sections_links_and_labels(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"][1:] for tag, attributes in page.tags if tag == "a"]
    assert links
    assert set(links) <= set(ids)
    plots = [attributes for _, attributes in page.tags if attributes.get("class") == "plot"]
    assert len(plots) == 14
    assert all(attributes["aria-label"].startswith("Plot: ") for attributes in plots)
    for title in ("What was found", "Training", "How much to trust this", "Conditions", "nas export RUN --hash HASH"):
        assert title in page.text


def test_the_same_report_gives_the_same_page(report, html):
    assert render_html(report) == html


EVIL = "</script><img src=x onerror=alert(1)>\"'&"


def test_text_from_outside_cannot_inject(device_of, report_of):
    base = device_of(tested=2)
    front = base.front.assign(genes=json.dumps({"stage1.layer1.mixer": EVIL, f"stage1.layer1.{EVIL}.size": EVIL}))
    front.loc[0, "hash"] = EVIL
    evaluations = base.evaluations.assign(hash=EVIL, search=base.evaluations["search"].replace("random", EVIL))
    hypervolumes = base.hypervolumes.assign(search=base.hypervolumes["search"].replace("random", EVIL))
    genes = base.genes.replace({"value": {"mbconv": EVIL}, "gene": {"stage1.depth": EVIL}}).assign(evaluated=0)
    header = {**base.header, EVIL: {EVIL: [EVIL]}, "device": EVIL}
    device = dataclasses.replace(
        base, front=front, evaluations=evaluations, hypervolumes=hypervolumes, header=header, runtime=EVIL, genes=genes
    )
    report = dataclasses.replace(report_of(device, facts={EVIL: EVIL}), created=EVIL)
    object.__setattr__(device, "name", EVIL)
    html = render_html(report)
    assert EVIL not in html
    assert escape(EVIL) in html
    assert not [attributes for tag, attributes in Page(html).tags if tag == "img" or "onerror" in attributes]


@pytest.mark.parametrize("limit", [None, 1.0])
def test_one_device_one_member_nothing_tested_no_controls(device_of, report_of, tmp_path, limit):
    device = device_of(searches=("predictor-nsga2",), seeds=1, tested=0, max_latency_ms=limit)
    device = dataclasses.replace(device, front=device.front[:1], validation=device.validation[:0], header={})
    report = report_of(device, facts={})
    page = Page(render_html(report))
    for said in (
        "not tested",
        "not measured",
        "nothing shows that the search",
        "not validated",
        device.front["hash"].iloc[0],
    ):
        assert said in page.text
    assert "nan" not in page.text.lower().split()
    assert front_png(report, tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")


def test_no_hypervolumes_and_a_training_log_without_roles(device, report_of):
    bare = dataclasses.replace(device, hypervolumes=device.hypervolumes[:0], evaluations=device.evaluations[:0])
    training = pd.DataFrame({"step": [1], "epoch": [0.1], "loss": [2.0]})
    page = Page(render_html(report_of(bare, training=training)))
    assert not [a for _, a in page.tags if a.get("id", "").startswith("plot-hypervolume")]


def test_front_plot_holds_the_front_the_knee_and_the_error_bars(device):
    figure = front_figure(device, "predictor-nsga2", 239)
    traces = {trace.name: trace for trace in figure.data}
    front = traces["Pareto front, predicted latency, search accuracy"]
    members = device.members
    assert list(front.x) == members["latency_ms"].tolist()
    assert np.asarray(front.x) + np.asarray(front.error_x.array) == pytest.approx(members["latency_high_ms"])
    assert np.asarray(front.x) - np.asarray(front.error_x.arrayminus) == pytest.approx(members["latency_low_ms"])
    assert all(h in text for h, text in zip(members["hash"], front.text, strict=True))
    assert len(traces["tested: re-measured latency, test accuracy"].x) == 6
    assert len(traces["knee"].x) == 1
    assert sum(len(trace.x) for trace in figure.data if trace.name.startswith("evaluated")) == len(device.evaluations)
    assert any(shape.x0 == device.max_latency_ms for shape in figure.layout.shapes)
    low, high = figure.layout.yaxis.range
    assert low <= members["accuracy"].min()
    assert high >= device.evaluations["accuracy"].max()


def test_the_front_plot_rings_what_the_data_cannot_separate(device):
    near = unseparated(device, "predictor-nsga2", 239)
    assert len(near) > 0
    rings = [t for t in front_figure(device, "predictor-nsga2", 239).data if (t.name or "").startswith("not separated")]
    assert [list(ring.x) for ring in rings] == [near["latency_ms"].tolist()]
    bare = dataclasses.replace(device, evaluations=device.evaluations.drop(columns=["latency_low_ms"]))
    assert not [t for t in front_figure(bare, "predictor-nsga2").data if (t.name or "").startswith("not separated")]


def test_curves_hold_the_means_the_limits_and_the_roles(device, report):
    figure = hypervolume_figure(device, "predictor-nsga2")
    random = next(trace for trace in figure.data if (trace.name or "").startswith("random"))
    rows = device.hypervolumes[device.hypervolumes["search"] == "random"]
    assert list(random.y) == pytest.approx(rows.groupby("evaluations")["hypervolume"].mean().tolist())
    assert random.line.color == SEARCH_COLOURS["random"]
    bands = [trace for trace in figure.data if trace.fill == "toself"]  # one a search: the range over seeds
    assert len(bands) == device.hypervolumes["search"].nunique()
    for name, own in device.hypervolumes.groupby("search"):
        (band,) = [trace for trace in bands if trace.legendgroup == name]
        ends = own.groupby("evaluations")["hypervolume"]
        assert list(band.y) == pytest.approx([*ends.max(), *ends.min()[::-1]])
    names = [trace.name for trace in validation_figure(device).data]
    assert names == ["predicted = measured", "10 % off", "10 % off", "50 networks never seen, 90 % interval"]
    assert len(training_figure(report.training).data) == 6


def test_mix_plot_has_a_box_a_layer(device):
    bars = mix_figure(device).data
    layers = sum(len(re.findall(r'layer\d+\.mixer"', genes)) for genes in device.front["genes"])
    assert sum(len(bar.x) for bar in bars) == layers
    assert len([bar for bar in bars if bar.showlegend]) == len({bar.name for bar in bars})


def test_shares_over_latency_sum_to_one_and_are_those_of_the_members(device):
    *areas, ticks = share_figure(device).data
    members = device.members
    assert list(ticks.x) == members["latency_ms"].tolist()
    assert np.sum([area.y for area in areas], axis=0) == pytest.approx(1)
    mixers = re.findall(r'mixer":\s*"(\w+)"', members["genes"].iloc[0].replace("channel_mixer", ""))
    conv = next(area for area in areas if area.name == "convolution")
    assert conv.y[0] == pytest.approx(np.mean([mixer_family(mixer) == "conv" for mixer in mixers]))
    nothing = dataclasses.replace(device, front=device.front.assign(genes="{}"))
    assert "no layer" in share_figure(nothing).layout.title.text


@pytest.mark.parametrize("table", ["front", "evaluations", "hypervolumes", "validation", "genes"])
def test_a_missing_column_is_named(device, table):
    frame = getattr(device, table)
    with pytest.raises(ValueError, match=f"{table}: missing columns {frame.columns[0]}"):
        dataclasses.replace(device, **{table: frame.drop(columns=frame.columns[0])})


def test_empty_reports_are_refused(device, report):
    with pytest.raises(ValueError, match="no member"):
        dataclasses.replace(device, front=device.front[:0])
    with pytest.raises(ValueError, match="devices: got none"):
        dataclasses.replace(report, devices=())


def test_picture_replaces_what_was_there(report, tmp_path):
    target = tmp_path / "new" / "front.png"
    first = front_png(report, target).read_bytes()
    assert front_png(report, target).read_bytes() == first
    assert [file.name for file in target.parent.iterdir()] == ["front.png"]
