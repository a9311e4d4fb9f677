"""What the data cannot tell from the front: networks that nothing beats by more than the errors."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nas.report.contents import DeviceReport
from nas.report.tables import wilson
from nas.report.words import listed, plural
from nas.search.pareto import surely_dominated

INTERVAL = ("latency_low_ms", "latency_high_ms")


def unseparated(device: DeviceReport, search: str, search_images: int | None = None) -> pd.DataFrame | None:
    """The evaluations of ``search``, a network once, that are not on the front and that nothing surely dominates.

    The errors are the bars of the front's plot: half the 90 % interval of the logarithm of latency, half the 95 % interval of
    accuracy over ``search_images``. With a goal, dominance is of what is charged. See `nas.search.pareto.surely_dominated`.

    Returns:
        Rows of ``device.evaluations``; None where neither error is known, or no evaluation.
    """
    own = device.evaluations[device.evaluations["search"] == search].drop_duplicates("hash")
    width, doubt = _latency_error(own), _quality_error(own[device.quality], search_images)
    if own.empty or (width is None and doubt is None):
        return None
    nothing = np.zeros(len(own))
    points = np.column_stack((-device.metric.oriented(own[device.judged].to_numpy()), np.log(own["latency_ms"])))
    errors = np.column_stack([nothing if known is None else known for known in (doubt, width)])
    return own[~surely_dominated(points, errors) & ~own["hash"].isin(device.front["hash"]).to_numpy()]


def separation_sentence(device: DeviceReport, search: str, search_images: int | None = None) -> str:
    """How many more networks the data cannot separate from the front, or why nobody can say."""
    near = unseparated(device, search, search_images)
    if near is None:
        return (
            "How many more networks the data cannot separate from this front is not known: the run does not hold the "
            "evaluations of its search with their errors."
        )
    own = device.evaluations[device.evaluations["search"] == search]
    kinds = ["the 90 % interval of latency"] if _latency_error(own) is not None else []
    if search_images:
        kinds.append(f"the 95 % interval of accuracy over {search_images} search images")
    total = own["hash"].nunique()
    if near.empty:
        return f"The data separate every other network of the {total} evaluated from this front, by {listed(kinds)}."
    return (
        f"The data cannot separate {plural(len(near), 'more network')} of the {total} evaluated from this front: what beats "
        f"{'it' if len(near) == 1 else 'one of them'} does so by less than the errors ({listed(kinds)})."
    )


def _latency_error(own: pd.DataFrame) -> np.ndarray | None:
    """Half-width of the interval of log latency; None where it is not known."""
    if not set(INTERVAL) <= set(own.columns) or own[list(INTERVAL)].isna().any(axis=None):
        return None
    low, high = (own[name].to_numpy(dtype=np.float64) for name in INTERVAL)
    return np.asarray(np.log(high / low) / 2)


def _quality_error(quality: pd.Series, search_images: int | None) -> np.ndarray | None:
    """Half-width of Wilson's interval of accuracies; None where it is not known."""
    if not search_images:
        return None
    spans = np.array([wilson(share * search_images, search_images) for share in quality]).reshape(-1, 2)
    return np.asarray((spans[:, 1] - spans[:, 0]) / 2)
