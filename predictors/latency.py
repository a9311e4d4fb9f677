"""Latency of architectures on one device, from its latency table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from predictors.correction import Correction
from predictors.errors import PredictorError
from predictors.minimum import minimise
from predictors.operator_model import OperatorError, OperatorModel
from search_spaces.architecture import Architecture
from search_spaces.build import check_spec
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace
from search_spaces.spec import OperatorSpec

if TYPE_CHECKING:
    from hardware.table import LatencyTable

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LatencyPrediction:
    """Latency in ms and its 90 % interval: arrays (n,), or floats from `predict_one`. An unknown interval is nan."""

    mean_ms: Any
    low_ms: Any
    high_ms: Any


class LatencyModel(Protocol):
    """What searches and reports ask of a device's latency, however it was learnt: see `LatencyPredictor`."""

    def predict(self, X: NDArray[np.int16]) -> LatencyPrediction: ...

    def ms(self, X: NDArray[np.int16]) -> Floats: ...


class LatencyPredictor:
    """Sum of operator latencies, then a correction for whole networks.

    An operator's latency is its measured median; specs that the table lacks are estimated (see `OperatorModel`). The
    correction (see `Correction`) is fitted to the table's "fit" networks and brings the 90 % interval; without such
    networks the prediction is the plain sum and the interval is nan. All is refitted from the table,
    deterministically.

    A table whose last check found a drift has wider intervals by that drift; a stale one is refused.

    Raises PredictorError when an operator of the space was never measured, the table has a key that cannot be read, or it is
    stale.
    """

    def __init__(self, space: SearchSpace, table: LatencyTable) -> None:
        self._space = space
        columns = (table.operators["key"], table.operators["median_ms"])
        self._operators = OperatorModel({_spec(key): float(ms) for key, ms in zip(*columns, strict=True)})
        used = self._operators.ms(space.specs())
        self._estimated = sum(not self._operators.is_measured(spec) for spec in used) / max(len(used), 1)
        fit, fit_ms = self._networks(table, "fit")
        self._correction = Correction(self._operators, [network.specs for network in fit], fit_ms)
        # a table that was measured again in part and had drifted is trusted that much less
        self._width = float(np.hypot(self._correction.interval, _drift(table)))
        parts = self._correction.parts(used)
        # specs beyond the legal ones (of a restricted space) are never scored, so they need no latency
        self._plain = space.additive(lambda spec: used.get(spec, 0.0))
        self._corrected = space.additive(lambda spec: parts.get(spec, 0.0))
        self._table = table

    @cached_property
    def _validated(self) -> dict[str, Any]:
        # when first asked: reading and predicting those networks takes longer than the fit
        validate, ms = self._networks(self._table, "validate")
        return errors_of(self.predict_all(validate), ms)

    @property
    def validation(self) -> dict[str, Any]:
        """Errors on the table's "validate" networks, which nothing was fitted to.

        mape (fraction), within_5 and within_10 (shares within 5 % and 10 %), spearman, kendall, coverage_90 (share inside
        the 90 % interval) and networks (how many). None where there are too few networks, or no interval.
        """
        return dict(self._validated)

    @property
    def expected_error(self) -> float:
        """Mean absolute relative error of the correction on the "fit" networks, each left out in turn; nan without any."""
        return self._correction.expected_error

    @property
    def estimated_share(self) -> float:
        """Share of the space's specs whose latency is an estimate, not a measurement."""
        return self._estimated

    @property
    def operators(self) -> OperatorModel:
        """The latencies of single operators that the sums are made of."""
        return self._operators

    @property
    def operator_errors(self) -> dict[str, OperatorError]:
        """Operator name -> leave-one-out error of the estimates for its unmeasured specs."""
        return self._operators.errors

    def predict(self, X: NDArray[np.int16]) -> LatencyPrediction:
        """Latencies of canonical rows (n, G), vectorised."""
        return self._interval(self._correction.finish(self._corrected.score(X), self._plain.score(X)))

    def ms(self, X: NDArray[np.int16]) -> Floats:
        """Latencies (n,) in ms of canonical rows (n, G), without their intervals: an objective of a search."""
        return np.asarray(self.predict(X).mean_ms)

    def predict_one(self, architecture: Architecture) -> LatencyPrediction:
        """Latency of one architecture of any space whose operators the table knows, as floats."""
        found = self.predict_all([architecture])
        return LatencyPrediction(float(found.mean_ms[0]), float(found.low_ms[0]), float(found.high_ms[0]))

    def predict_all(self, architectures: Sequence[Architecture]) -> LatencyPrediction:
        """Latencies (n,) of architectures of any spaces whose operators the table knows."""
        return self._interval(self._whole(architectures))

    def operator_ms(self, spec: OperatorSpec) -> float:
        """Latency of one operator alone in ms: measured, or estimated."""
        return self._operators.ms([spec])[spec]

    def minimum(self, rng: np.random.Generator) -> tuple[NDArray[np.int16], float]:
        """(row (G,), ms) of the fastest architecture that a bounded search finds."""
        return minimise(self._space, self.ms, rng)

    def _interval(self, ms: Floats) -> LatencyPrediction:
        factor = np.exp(self._width)
        return LatencyPrediction(ms, ms / factor, ms * factor)

    def _whole(self, architectures: Sequence[Architecture]) -> Floats:
        """(n,) ms, spec by spec: also of architectures that are none of the space."""
        specs = list(dict.fromkeys(spec for architecture in architectures for spec in architecture.specs))
        alone = self._operators.ms(specs)
        sums = [
            np.array([sum(ms[spec] for spec in architecture.specs) for architecture in architectures])
            for ms in (self._correction.parts(alone), alone)
        ]
        return self._correction.finish(*sums)

    @staticmethod
    def _networks(table: LatencyTable, role: str) -> tuple[list[Architecture], Floats]:
        if len(table.networks) == 0:
            return [], np.zeros(0)
        chosen = table.networks[table.networks["role"] == role]
        try:
            architectures = Architecture.from_lines(chosen["key"])
        except SpaceError as error:
            raise PredictorError(f"table: a {role!r} network has a key that is not an architecture: {error}") from error
        ms = np.asarray(chosen["median_ms"], dtype=np.float64)
        if not (np.isfinite(ms) & (ms > 0)).all():
            raise PredictorError(f"table: median_ms of the {role!r} networks must be positive, got {ms.tolist()}")
        return architectures, ms


def errors_of(found: LatencyPrediction, ms: Floats) -> dict[str, Any]:
    """mape, within_5, within_10 (fractions), spearman, kendall, coverage_90 of predictions of ms (n,), and networks: n.

    None where they are too few to say.
    """
    from scipy.stats import kendalltau, spearmanr  # late: it takes long to import

    result: dict[str, Any] = dict.fromkeys(("mape", "within_5", "within_10", "spearman", "kendall", "coverage_90"))
    result["networks"] = len(ms)
    if len(ms) == 0:
        return result
    relative = np.abs(found.mean_ms / ms - 1.0)
    result["mape"] = float(relative.mean())
    result["within_5"], result["within_10"] = (float((relative <= limit).mean()) for limit in (0.05, 0.1))
    if len(ms) > 2 and np.ptp(ms) > 0 and np.ptp(found.mean_ms) > 0:
        result["spearman"] = float(spearmanr(found.mean_ms, ms)[0])
        result["kendall"] = float(kendalltau(found.mean_ms, ms)[0])
    if np.isfinite(found.high_ms).all():
        result["coverage_90"] = float(((found.low_ms <= ms) & (ms <= found.high_ms)).mean())
    return result


def _drift(table: LatencyTable) -> float:
    """How far the table's device has drifted since (log ratio) by its last check, 0 if it was never checked."""
    check = table.header.get("check")
    if check is None:
        return 0.0
    if check["verdict"] == "stale":
        reasons = "; ".join(check["changed"]) or f"its operators take {np.expm1(check['drift']):+.0%} of their time"
        raise PredictorError(
            f"table: is stale by its check of {check['time_utc']}: {reasons}; measure it again (`nas profile`)"
        )
    return 0.0 if check["verdict"] == "true" else abs(float(check["drift"]))


def _spec(key: str) -> OperatorSpec:
    try:
        spec = OperatorSpec.parse(key)
        check_spec(spec)
    except SpaceError as error:
        raise PredictorError(
            f"table: operator {key!r} is none of this release: {error}; measure the table again (`nas profile`)"
        ) from error
    return spec
