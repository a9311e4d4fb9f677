"""The computed sentences: they must follow the numbers, also when these are bad news."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from nas.report.findings import compare, control_sentences, controls_title, controls_verdict, findings, front_range
from nas.report.trust import rank_sentence, trust_sentences


def volumes(**finals: list[float]) -> pd.DataFrame:
    rows = [(name.replace("_", "-"), seed, 10, v) for name, values in finals.items() for seed, v in enumerate(values)]
    return pd.DataFrame(rows, columns=["search", "seed", "evaluations", "hypervolume"])


def test_a_control_ties_where_ranges_overlap_and_wins_or_loses_where_they_do_not():
    table = volumes(nsga2=[0.8, 0.9], random=[0.6, 0.7], conv=[0.85, 1.2], ssm=[0.95, 1.0], no_ssm=[0.9, 0.91])
    outcomes = {c.control: c.outcome for c in compare(table, "nsga2")}
    assert outcomes == {"random": "better", "conv": "same", "ssm": "worse", "no-ssm": "same"}
    assert {c.control: c.ratio for c in compare(table, "nsga2")}["random"] == pytest.approx(0.85 / 0.65)


def test_one_seed_decides_nothing(device_of):
    device = device_of(hypervolumes=volumes(nsga2=[0.9], random=[0.8]))
    (comparison,) = compare(device.hypervolumes, "nsga2")
    assert comparison.outcome == "unknown"
    assert "luck" in controls_verdict(device, "nsga2")
    assert "beats" not in controls_verdict(device, "nsga2") + controls_title(device, "nsga2")


def test_the_report_admits_ties_and_defeats(device_of, report_of):
    device = device_of(hypervolumes=volumes(predictor_nsga2=[0.8, 0.9], no_ssm=[0.81, 0.89], random=[0.95, 0.96]))
    said = " ".join(control_sentences(device, "predictor-nsga2"))
    assert (
        "No state space reaches the same hypervolume within seed spread: the state-space operators did not help" in said
    )
    assert "random search is the better choice here" in said.lower()
    summary = " ".join(findings(report_of(device)))
    assert "loses to random search" in summary
    assert "beats" not in summary


def test_without_controls_the_report_claims_nothing(device_of):
    device = device_of(hypervolumes=volumes(nsga2=[0.9, 0.8]))
    for said in (controls_verdict(device, "nsga2"), *control_sentences(device, "nsga2")):
        assert "nothing shows that the search" in said


def test_front_range_never_mixes_splits(device_of):
    partly, fully = device_of(tested=2), device_of(tested=1000)
    first, last = partly.members.iloc[0], partly.members.iloc[-1]
    assert f"{100 * first['accuracy']:.1f} %" in front_range(partly)
    assert front_range(partly).endswith("(search accuracy)")
    assert f"{100 * fully.members.iloc[-1]['test_accuracy']:.1f} %" in front_range(fully)
    assert front_range(fully).endswith("(test accuracy)")
    assert last["hash"] == fully.members.iloc[-1]["hash"]


def test_latency_error_is_told_or_its_absence(device, device_of, report_of):
    mape = device.header["validation"]["mape"]
    assert (
        f"within {100 * mape:.1f} % of measured on average (50 networks never seen)" in findings(report_of(device))[-1]
    )
    blind = device_of(header={}, validation=device.validation[:0])
    assert "was not validated" in findings(report_of(blind))[-1]
    # without a header the error is computed from the networks themselves
    bare = device_of(header={})
    assert f"within {100 * mape:.1f} %" in findings(report_of(bare))[-1]


def test_rank_sentence_gives_tau_and_an_interval_around_it():
    rng = np.random.default_rng(0)
    inherited = rng.uniform(0.8, 0.9, 25)
    ranks = pd.DataFrame({"inherited_accuracy": inherited, "standalone_accuracy": inherited + rng.normal(0, 0.02, 25)})
    tau = kendalltau(ranks["inherited_accuracy"], ranks["standalone_accuracy"]).statistic
    said = rank_sentence(ranks)
    assert f"tau {tau:.2f} " in said
    low, high = (float(word.strip(").")) for word in said.split("interval ")[1].split(" to "))
    assert -1 <= low < tau < high <= 1
    assert "no rank correlation" in rank_sentence(ranks.assign(standalone_accuracy=0.5))


def test_trust_tells_ranks_splits_and_remeasurement(report):
    said = " ".join(trust_sentences(report))
    assert "was not measured in this run" in said
    assert "1198 train images, 239 search images, 360 test images" in said
    both = report.devices[0].front.dropna(subset=["measured_ms"])
    off = (both["latency_ms"] / both["measured_ms"] - 1).abs()
    assert f"6 front members measured again, where prediction is off by {100 * off.mean():.1f} %" in said
