"""How much to trust a report: errors, seeds, splits and ranks, each as one sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nas.metric import ACCURACY, Metric
from nas.report.contents import DeviceReport, Report
from nas.report.findings import latency_error
from nas.report.words import known, percent, plain, plural


def validation_sentence(device: DeviceReport) -> str:
    """What the header of the latency table or calibration says about networks that it was not fitted to."""
    validation = device.header.get("validation") or {}
    told = []
    for key, text in (("within_10", "{} within 10 %"), ("coverage_90", "90 % intervals held for {}")):
        if known(value := validation.get(key)):
            told.append(text.format(percent(value)))
    for key, name in (("spearman", "Spearman"), ("kendall", "Kendall")):
        if known(value := validation.get(key)):
            told.append(f"{name} {value:.3f}")
    if "calibrated_from" not in device.header:
        start = "Whole networks that neither the table nor its correction was fitted to"
    elif device.header["left_out"]:
        start = f"The {device.header['count']} networks of the calibration, each left out of a fit to the others"
    else:
        start = "Whole networks that the calibration was not fitted to"
    return f"{start}: {', '.join(told)}." if told else f"{start}."


def rank_sentence(ranks: pd.DataFrame | None) -> str:
    """Kendall's tau of inherited against stand-alone accuracy, with its 95 % percentile bootstrap interval."""
    from scipy.stats import kendalltau  # late: it takes long to import

    if ranks is None or len(ranks) < 3:
        return (
            "The rank correlation between inherited accuracy and the accuracy of networks trained alone was not "
            "measured in this run."
        )
    pairs = ranks[["inherited_accuracy", "standalone_accuracy"]].to_numpy(dtype=np.float64)
    tau = kendalltau(pairs[:, 0], pairs[:, 1]).statistic
    draws = np.random.default_rng(0).integers(len(pairs), size=(2000, len(pairs)))
    taus = np.array([kendalltau(pairs[draw, 0], pairs[draw, 1]).statistic for draw in draws])
    if not np.isfinite(tau):
        return f"Over {len(pairs)} architectures trained alone, accuracies do not vary: no rank correlation is defined."
    low, high = np.nanquantile(taus, [0.025, 0.975])
    return (
        f"Over {len(pairs)} architectures trained alone, inherited accuracy ranks them with Kendall's tau {tau:.2f} "
        f"(95 % bootstrap interval {low:.2f} to {high:.2f})."
    )


def _device_sentences(device: DeviceReport) -> list[str]:
    error = latency_error(device)
    if error:
        said = [f"{device.name}: predicted latency is {error}. {validation_sentence(device)}"]
    else:
        said = [f"{device.name}: the latency table was not validated, so its error is not known."]
    both = device.front.dropna(subset=["measured_ms"])
    if len(both):
        off = ((both["latency_ms"] - both["measured_ms"]) / both["measured_ms"]).abs()
        said.append(
            f"{device.name}: {plural(len(both), 'front member')} measured again, where prediction is off by "
            f"{percent(float(off.mean()))} on average and by {percent(float(off.max()))} at most."
        )
    return said


def _plural(metric: Metric) -> str:
    return "accuracies" if metric == ACCURACY else f"figures in {metric.title}"


def trust_sentences(report: Report) -> list[str]:
    """Everything a reader should know before believing the numbers."""
    search = report.job.search
    said = [sentence for device in report.devices for sentence in _device_sentences(device)]
    if search.seeds == 1:
        luck = "one seed does not tell luck from skill"
    else:
        luck = "a control counts as a tie where the ranges over seeds overlap"
    every = "The search and every control" if search.controls else "The search"
    said.append(f"{every} had {plural(search.seeds, 'seed')} of {search.evaluations} evaluations a device: {luck}.")
    keys = [key for key in report.facts if key.split(" ")[0] in ("train", "search", "test") and key.count(" ") == 1]
    keys = [key for key in keys if key.endswith(("images", "sequences"))]
    sizes = ", ".join(f"{plain(report.facts[key])} {key}" for key in keys)
    said.append(
        "Weights were fitted on the train split, architectures chosen on the search split, and the test split was "
        f"opened once, for front members only{f' ({sizes})' if sizes else ''}."
    )
    said.append(
        f"All {_plural(report.metric)} are those of subnets with weights inherited from the supernet; the same architectures "
        "trained alone would score differently, and may rank differently."
    )
    return [*said, rank_sentence(report.ranks)]
