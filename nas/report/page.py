"""One self-contained HTML page: it loads nothing, so that it can be mailed, archived and opened without a network."""

from __future__ import annotations

from html import escape

from plotly.offline import get_plotlyjs

from nas.report.agreement import agreement_figure, agreement_html
from nas.report.assets import SCRIPT, STYLE
from nas.report.contents import DeviceReport, Report
from nas.report.curves import hypervolume_figure, training_figure, validation_figure
from nas.report.figures import front_figure, fronts_figure
from nas.report.findings import control_sentences, findings
from nas.report.genes import agreement
from nas.report.importance import importance_html
from nas.report.markup import flat, front_html, hypervolume_html, pairs, plot
from nas.report.mix import mix_figure, share_figure
from nas.report.separation import separation_sentence
from nas.report.trust import trust_sentences, validation_sentence
from nas.report.unexplored import unexplored


def render_html(report: Report) -> str:
    """The whole report as one HTML document (about 5 MB, most of it plotly.js); the same report gives the same text."""
    job = report.job
    sections = [("found", "What was found", _found(report))]
    sections += [(f"device-{i}", device.name, _device(report, device, i)) for i, device in enumerate(report.devices)]
    sections += [
        ("training", "Training", _training(report)),
        ("trust", "How much to trust this", _trust(report)),
        ("conditions", "Conditions", _conditions(report)),
        ("export", "Export an architecture", _export(report)),
    ]
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, _ in sections)
    body = "\n".join(
        f'<section id="{name}"><h2>{escape(title)}</h2>\n{text}</section>' for name, title, text in sections
    )
    strip = {
        "data set": job.data.name,
        "search space": f"{job.space.name}/{job.space.preset}",
        "devices": ", ".join(f"{device.name} ({device.runtime})" for device in report.devices),
        "searcher": job.search.searcher,
        **report.facts,
    }
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<link rel="icon" href="data:,">
<title>{escape(job.name)}: architecture search report</title>
<style>{STYLE}</style>
<script>{get_plotlyjs()}</script>
</head>
<body>
<header>
<h1>{escape(job.name)}</h1>
<p class="soft">Neural architecture search report, {escape(report.created)}</p>
{pairs(strip, "strip")}
</header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main>
{body}
<footer class="soft">Made by hybrid-nas. This page loads nothing from a network.</footer>
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _found(report: Report) -> str:
    text = "".join(f"<p>{escape(sentence)}</p>" for sentence in findings(report))
    made = f'<div class="found">{text}</div>'
    if len(report.devices) > 1:
        caption = "The front of each device; bars are the 90 % interval of predicted latency. Click a name to hide it."
        made += plot(fronts_figure(report.devices), "plot-fronts", caption)
    return made


def _device(report: Report, device: DeviceReport, index: int) -> str:
    search, title = report.job.search.searcher, device.metric.title
    sentences = control_sentences(device, search)
    limit = (
        f", limit {device.max_latency_ms:g} ms a call" if device.max_latency_ms is not None else ", no latency limit"
    )
    if device.goal_latency_ms is not None:
        limit += (
            f", goal {device.goal_latency_ms:g} ms: what is slower pays for it in {title}, and is judged by the rest"
        )
    bars = "90 % interval of predicted latency"
    if report.search_images:
        bars += f", 95 % interval of accuracy over {report.search_images} search images"
    parts = [
        f'<p class="soft">Runtime {escape(device.runtime)}{limit}. A call is {_call(device)}.</p>',
        plot(
            front_figure(device, search, report.search_images),
            f"plot-front-{index}",
            f"Filled dots: {bars}. Diamonds: members tested on the test split and measured again, with 95 % intervals. "
            "Rings: other networks of the search that the data cannot separate from the front. "
            "The view starts near the front; double-click to see every evaluation, click a name to hide it.",
        ),
        f"<p>{escape(separation_sentence(device, search, report.search_images))}</p>",
        front_html(device),
        f'<p class="soft">{title.capitalize()} on the search split is inherited from the supernet and chosen among many, so it '
        f"flatters; {title} on the test split was measured once, after the search. Click a heading to sort.</p>",
        "<h3>The search against its controls</h3>",
        "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>",
    ]
    if len(device.hypervolumes):
        parts += [
            plot(
                hypervolume_figure(device, search),
                f"plot-hypervolume-{index}",
                "Lines are means over seeds, bands the range over seeds; higher is better. Equal evaluations for all.",
            ),
            hypervolume_html(device.hypervolumes, search),
        ]
    parts += [
        "<h3>Operators along the front</h3>",
        plot(
            share_figure(device),
            f"plot-share-{index}",
            "Every layer counts the same, whatever its stage. Ticks on top are the front's members.",
        ),
        plot(
            mix_figure(device),
            f"plot-mix-{index}",
            "One row a member, the fastest on top, labelled with its predicted latency and the start of its hash; "
            "one box a layer.",
        ),
        *_genes(device, index),
        f"<h3>What carries {escape(title)}</h3>",
        importance_html(report.importance, title, device.name, f"plot-importance-{index}"),
        "<h3>What was never explored</h3>",
        "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in unexplored(device)) + "</ul>",
        "<h3>Predicted against measured latency</h3>",
        plot(validation_figure(device), f"plot-validation-{index}", validation_sentence(device)),
    ]
    return "\n".join(parts)


def _genes(device: DeviceReport, index: int) -> list[str]:
    """What the front agrees on; nothing where genes were not counted or the front uses none that has a choice."""
    if device.genes is None or (agreed := agreement(device.genes)).empty:
        return []
    return [
        "<h3>What the front agrees on</h3>",
        plot(
            agreement_figure(device.genes, agreed, device.name),
            f"plot-genes-{index}",
            "The genes that most members use (how many, in brackets), the decided ones on top. A bar is the share of each "
            "value: mixers in the colour of their family, other values from the first (light) to the last (dark). Dark "
            "bars of entropy: more agreement than fronts drawn by chance show. Members bred from one another also agree by "
            "descent. Pale bars: matters little, or too few members to tell.",
        ),
        agreement_html(agreed),
    ]


def _call(device: DeviceReport) -> str:
    return "one token, with the state before it" if device.mode == "decode" else "a whole input"


def _training(report: Report) -> str:
    return plot(
        training_figure(report.training, report.metric),
        "plot-training",
        "The largest subnet learns from the labels; the others learn from the labels and from the largest. One "
        "supernet serves every device.",
    )


def _trust(report: Report) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in trust_sentences(report)) + "</ul>"


def _conditions(report: Report) -> str:
    parts = []
    for device in report.devices:
        facts = {key: value for key, value in device.header.items() if key not in ("validation", "space")}
        parts.append(f"<h3>{escape(device.name)}</h3>{pairs(flat(facts))}")
    return "\n".join(parts)


def _export(report: Report) -> str:
    example = escape(str(report.devices[0].members["hash"].iloc[0]))
    for device in report.devices[:1]:
        if len(knee := device.members[device.members["knee"].astype(bool)]):
            example = escape(str(knee["hash"].iloc[0]))
    return (
        "<p>Every architecture of a front table can be exported with its weights, checked against the supernet and "
        "measured again. RUN is the directory of this report:</p><pre><code>nas export RUN --hash HASH</code></pre>"
        f"<p>For example <code>nas export RUN --hash {example}</code>.</p>"
    )
