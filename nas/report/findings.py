"""The sentences of a report, computed from its numbers. They say so when a control ties or wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from nas.report.contents import DeviceReport, Report
from nas.report.tables import hypervolume_summary
from nas.report.words import SEARCHES, known, listed, ms, percent, plural

Outcome = Literal["better", "same", "worse", "unknown"]

# what it means that the search is better than, the same as or worse than a control
_MEANING: dict[str, dict[str, str]] = {
    "random": {
        "better": "guided search pays here",
        "same": "guided search found no more than random search here",
        "worse": "random search is the better choice here",
    },
    "no-ssm": {
        "better": "the state-space operators help here",
        "same": "the state-space operators did not help here",
        "worse": "the state-space operators only made the search harder here",
    },
}
for _name, _family in (("conv", "convolution"), ("attention", "attention"), ("ssm", "state-space operators")):
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


def controls_verdict(device: DeviceReport, search: str) -> str:
    """The controls in one sentence: who was beaten, and in full who was not."""
    comparisons = compare(device.hypervolumes, search)
    if not comparisons:
        return f"On {device.name} no control was run, so nothing shows that the search or the mix of families helped."
    beaten = [SEARCHES.get(c.control, c.control) for c in comparisons if c.outcome == "better"]
    others = [c.sentence for c in comparisons if c.outcome not in ("better", "unknown")]
    doubtful = [c for c in comparisons if c.outcome == "unknown"]
    if doubtful:
        figures = listed([f"{SEARCHES.get(c.control, c.control)} ({100 * (c.ratio - 1):+.1f} %)" for c in doubtful])
        others.append(f"one seed each cannot tell luck from skill against {figures}")
    start = f"On {device.name} the search beats {listed(beaten)} at equal cost" if beaten else f"On {device.name}"
    if not others:
        return start + "."
    return (start + "; " if beaten else start + " ") + "; ".join(others) + "."


def member_accuracy(member: pd.Series) -> tuple[float, str]:
    """The most honest accuracy of a front member and the split it is from."""
    tested = known(member["test_accuracy"])
    return (member["test_accuracy"], "test") if tested else (member["accuracy"], "search split")


def front_range(device: DeviceReport) -> str:
    """'from 91.2 % (test) at 0.31 ms to 97.9 % (test) at 1.20 ms', predicted latencies."""
    members = device.members
    ends = [members.iloc[0], members.iloc[-1]][: len(members)]
    texts = []
    for end in ends:
        accuracy, split = member_accuracy(end)
        texts.append(f"{percent(accuracy)} ({split}) at {ms(end['latency_ms'])} ms")
    return "from " + " to ".join(texts) if len(texts) > 1 else texts[0]


def latency_error(device: DeviceReport) -> str:
    """How far predicted latency is from measured, over networks that the table never saw; '' where it is not known."""
    validation = device.header.get("validation") or {}
    mape, networks = validation.get("mape"), validation.get("networks", len(device.validation))
    if not known(mape) and len(device.validation):
        measured, predicted = device.validation["measured_ms"], device.validation["predicted_ms"]
        mape, networks = float(((predicted - measured) / measured).abs().mean()), len(device.validation)
    if not known(mape):
        return ""
    return f"within {percent(mape)} of measured on average ({plural(int(networks), 'network')} never seen)"


def findings(report: Report) -> list[str]:
    """What was found: the fronts, the controls, the error of the latencies; plain text."""
    fronts = [f"{plural(len(d.front), 'architecture')} for {d.name}, {front_range(d)}" for d in report.devices]
    sentences = [f"One supernet, trained once, gives {'; '.join(fronts)}."]
    sentences += [controls_verdict(device, report.job.search.searcher) for device in report.devices]
    errors = [(device.name, latency_error(device)) for device in report.devices]
    told = [f"{error} on {name}" for name, error in errors if error]
    if told:
        sentences.append(f"Predicted latency is {'; '.join(told)}.")
    missing = [name for name, error in errors if not error]
    if missing:
        sentences.append(f"The latency table of {listed(missing)} was not validated: its latencies have no known error.")
    return sentences


def rank_sentence(ranks: pd.DataFrame | None) -> str:
    """Kendall's tau between inherited and stand-alone accuracy with a bootstrap interval (percentile, 2000 draws, 95 %)."""
    if ranks is None or len(ranks) < 3:
        return (
            "The rank correlation between inherited accuracy and the accuracy of networks trained alone was not measured in "
            "this run."
        )
    pairs = ranks[["inherited_accuracy", "standalone_accuracy"]].to_numpy(dtype=np.float64)
    tau = kendalltau(pairs[:, 0], pairs[:, 1]).statistic
    draws = np.random.default_rng(0).integers(len(pairs), size=(2000, len(pairs)))
    taus = [kendalltau(pairs[draw, 0], pairs[draw, 1]).statistic for draw in draws]
    low, high = np.nanquantile(taus, [0.025, 0.975]) if np.isfinite(taus).any() else (np.nan, np.nan)
    return (
        f"Over {len(pairs)} architectures trained alone, inherited accuracy ranks them with Kendall's tau {tau:.2f} "
        f"(95 % bootstrap interval {low:.2f} to {high:.2f})."
    )
