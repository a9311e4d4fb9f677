"""The noise of a job's objectives, as it was measured: the resolutions that ``auto`` stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.special import ndtri

from nas.errors import JobError
from nas.job import DeviceSection, SearchSection
from nas.search.problem import Problem
from predictors.latency import LatencyModel
from search_spaces import SearchSpace

ROWS = 64


@runtime_checkable
class Erring(Protocol):
    """An ``evaluate`` that knows how far to trust its answers."""

    def standard_error(self) -> float:
        """Of one quality, in its own unit."""


def resolutions(
    problem: Problem,
    settings: SearchSection,
    evaluate: object,
    devices: Sequence[DeviceSection],
    predictors: Sequence[LatencyModel],
) -> dict[str, float]:
    """The resolution of each objective of a search for ``devices``, by name, where there is one. JobError where ``auto`` asks
    for a noise that is not known."""
    metric = metric_resolution(settings, evaluate)
    widths = [metric, *latency_resolutions(settings, problem.space, devices, predictors)]
    return {name: width for name, width in zip(problem.names, widths, strict=True) if width is not None}


def metric_resolution(settings: SearchSection, evaluate: object) -> float | None:
    """Of qualities, in their unit: the job's, or with ``auto`` the standard error on the search split; None: no boxes.

    JobError where that error is not known, or 0.
    """
    if settings.metric_resolution != "auto":
        return settings.metric_resolution
    error = evaluate.standard_error() if isinstance(evaluate, Erring) else 0.0
    if not error > 0:
        raise JobError(
            "search.metric_resolution: came auto, but the standard error of the metric is not known, or 0; "
            "legal here: a number, or null"
        )
    return error


def latency_resolutions(
    settings: SearchSection,
    space: SearchSpace,
    devices: Sequence[DeviceSection],
    predictors: Sequence[LatencyModel],
) -> list[float | None]:
    """Of each device's latency, as a share: the job's, or with ``auto`` one standard error of its predictions (their 90 %
    interval is 1.64 wide to either side; the median over networks drawn at random); None: no boxes.

    JobError where a device's predictions have no interval.
    """
    if settings.latency_resolution != "auto":
        return [settings.latency_resolution] * len(devices)
    rows = space.sample(ROWS, np.random.default_rng(0))
    found: list[float | None] = []
    for device, predictor in zip(devices, predictors, strict=True):
        predicted = predictor.predict(rows)
        error = float(np.median(np.log(predicted.high_ms / predicted.low_ms))) / 2 / float(ndtri(0.95))
        if not error > 0:
            raise JobError(
                f"search.latency_resolution: came auto, but the latencies on {device.name} have no known error; "
                "legal here: a number, or null"
            )
        found.append(float(np.expm1(error)))
    return found
