"""The sentences of a report, computed from its numbers. They say so when a control ties or wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from nas.report.contents import DeviceReport, Report
from nas.report.goal import goal_sentence
from nas.report.tables import hypervolume_summary
from nas.report.words import SEARCHES, known, listed, ms, percent, plural, quality

Outcome = Literal["better", "same", "worse", "unknown"]

# what it means that the search is better than, the same as or worse than a control
_MEANING: dict[str, dict[str, str]] = {
    "random": {
        "better": "guided search pays here",
        "same": "guided search found no more than random search here",
        "worse": "random search is the better choice here",
    },
    "local-search": {
        "better": "looking beyond the neighbours of what is known pays here",
        "same": "plain local search would have done here",
        "worse": "plain local search is the better choice here",
    },
    "no-ssm": {
        "better": "the state-space operators help here",
        "same": "the state-space operators did not help here",
        "worse": "the state-space operators only made the search harder here",
    },
}
for _name, _family in (
    ("conv", "convolution"),
    ("attention", "attention"),
    ("ssm", "state-space operators"),
    ("linear-attention", "linear attention"),
):
    _MEANING[_name] = {
        "better": f"going beyond {_family} helps here",
        "same": f"going beyond {_family} did not help here",
        "worse": f"{_family} alone would have been the better space here",
    }


@dataclass(frozen=True)
class Comparison:
    """The search against one control: ``ratio`` of mean final hypervolumes, and what follows from it.

    ``same``: the ranges over seeds overlap. ``unknown``: the means differ but one of the two has a single seed, so that
    nobody can tell the difference from luck.
    """

    control: str
    ratio: float
    outcome: Outcome

    @property
    def sentence(self) -> str:
        """One sentence without its full stop."""
        name, change = SEARCHES.get(self.control, self.control), percent(abs(self.ratio - 1))
        meaning = _MEANING.get(self.control, {}).get(self.outcome)
        if self.outcome == "unknown":
            way = "less" if self.ratio > 1 else "more"
            return f"{name} reaches {change} {way} hypervolume, but with one seed this may be luck"
        end = f": {meaning}" if meaning else ""
        if self.outcome == "same":
            return f"{name} reaches the same hypervolume within seed spread{end}"
        return f"{name} reaches {change} {'less' if self.outcome == 'better' else 'more'} hypervolume{end}"


def compare(hypervolumes: pd.DataFrame, search: str) -> list[Comparison]:
    """``search`` against every other search of the table; empty where there is nothing to compare."""
    summary = hypervolume_summary(hypervolumes).set_index("search")
    if search not in summary.index:
        return []
    own, found = summary.loc[search], []
    for name, other in summary.drop(index=search).iterrows():
        ratio = float(own["mean"] / other["mean"]) if other["mean"] > 0 else (np.inf if own["mean"] > 0 else 1.0)
        outcome: Outcome
        if own["min"] <= other["max"] and other["min"] <= own["max"]:
            outcome = "same"
        elif min(own["seeds"], other["seeds"]) < 2:
            outcome = "unknown"
        else:
            outcome = "better" if ratio > 1 else "worse"
        found.append(Comparison(str(name), ratio, outcome))
    return found


def control_sentences(device: DeviceReport, search: str) -> list[str]:
    """What the controls say about ``search`` on this device; one sentence also where there were none."""
    comparisons = compare(device.hypervolumes, search)
    if not comparisons:
        return ["No control was run, so nothing shows that the search or the mix of families helped."]
    return [comparison.sentence[0].upper() + comparison.sentence[1:] + "." for comparison in comparisons]


def controls_title(device: DeviceReport, search: str) -> str:
    """Who was beaten, who tied, who won, in few words: the title of the hypervolume plot."""
    comparisons = compare(device.hypervolumes, search)
    if not comparisons:
        return f"{device.name}: no control was run"
    kinds = {"better": "beats", "same": "ties with", "worse": "loses to", "unknown": "cannot be told (one seed) from"}
    told = []
    for outcome, verb in kinds.items():
        names = [SEARCHES.get(c.control, c.control) for c in comparisons if c.outcome == outcome]
        told += [f"{verb} {listed(names)}"] if names else []
    return f"{device.name}: the search {'; '.join(told)}"


def controls_verdict(device: DeviceReport, search: str) -> str:
    """The controls in one sentence that also says what a tie or a defeat means."""
    comparisons = compare(device.hypervolumes, search)
    if not comparisons:
        return f"On {device.name} no control was run, so nothing shows that the search or the mix of families helped."
    told = []
    for outcome, verb in (
        ("better", "beats {}"),
        ("same", "ties with {} within seed spread"),
        ("worse", "loses to {}"),
    ):
        group = [c for c in comparisons if c.outcome == outcome]
        if group:
            meanings = [_MEANING[c.control][outcome] for c in group if c.control in _MEANING and outcome != "better"]
            reason = f" ({', '.join(m.removesuffix(' here') for m in meanings)})" if meanings else ""
            told.append(verb.format(listed([SEARCHES.get(c.control, c.control) for c in group])) + reason)
    doubtful = [c for c in comparisons if c.outcome == "unknown"]
    if doubtful:
        figures = [f"{SEARCHES.get(c.control, c.control)} ({100 * (c.ratio - 1):+.1f} %)" for c in doubtful]
        told.append(f"differs from {listed(figures)} by what may be luck, as one seed each cannot tell")
    return f"On {device.name}, at equal evaluations, the search {'; it '.join(told)}."


def front_range(device: DeviceReport) -> str:
    """'from 91.2 % at 0.310 ms to 97.9 % at 1.20 ms (test accuracy)', predicted latencies.

    Both ends are of one split: the test split where both were tested, else the search split.
    """
    members = device.members
    ends = members.iloc[[0, -1]] if len(members) > 1 else members
    split = "test" if ends[device.test_quality].notna().all() else "search"
    column = device.test_quality if split == "test" else device.quality
    texts = [f"{quality(end[column], device.metric)} at {ms(end['latency_ms'])} ms" for _, end in ends.iterrows()]
    return f"{'from ' if len(texts) > 1 else ''}{' to '.join(texts)} ({split} {device.metric.title})"


def latency_error(device: DeviceReport) -> str:
    """How far predicted latency is from measured, over networks that the table never saw; '' where it is not known."""
    validation = device.header.get("validation") or {}
    mape, networks = validation.get("mape"), validation.get("networks", len(device.validation))
    if not known(mape) and len(device.validation):
        measured, predicted = device.validation["measured_ms"], device.validation["predicted_ms"]
        mape, networks = float(((predicted - measured) / measured).abs().mean()), len(device.validation)
    if not known(mape):
        return ""
    seen = "left out in turn" if device.header.get("left_out") else "never seen"
    return f"within {percent(mape)} of measured on average ({plural(int(networks), 'network')} {seen})"


def findings(report: Report) -> list[str]:
    """What was found: the fronts, the controls, the error of the latencies; plain text."""
    fronts = [f"{plural(len(d.front), 'architecture')} for {d.name}, {front_range(d)}" for d in report.devices]
    sentences = [f"One supernet, trained once, gives {'; '.join(fronts)}."]
    sentences += [controls_verdict(device, report.job.search.searcher) for device in report.devices]
    sentences += [sentence for device in report.devices if (sentence := goal_sentence(device))]
    errors = [(device.name, latency_error(device)) for device in report.devices]
    told = [f"{error} on {name}" for name, error in errors if error]
    if told:
        sentences.append(f"Predicted latency is {'; '.join(told)}.")
    missing = [name for name, error in errors if not error]
    if missing:
        sentences.append(
            f"The latency table of {listed(missing)} was not validated: its latencies have no known error."
        )
    return sentences
