"""Latency of operator specs that a table has not measured, from those of the same operator that it has.

The trend of an operator is constant, or a law: so much for the call, a MAC and an activation, none negative. What it
leaves is a Gaussian process on log latency, linear in the logs of MACs, activations, tokens, channels and sizes (a
product of powers) plus a smooth deviation. Trend and kernel are chosen by leave-one-out, which is exact and in closed
form for a Gaussian process (Rasmussen and Williams, 2006, section 5.4.2): ten measurements are enough.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from predictors.errors import PredictorError
from predictors.features import spec_features
from predictors.threads import one_thread
from search_spaces.spec import OperatorSpec

Floats = NDArray[np.float64]
FLOOR_MS = 1e-6  # a latency is never taken to be less: logs stay finite
BEYOND = 2.0  # an estimate stays within this factor of the range measured for its operator
LEVEL = 10.0  # prior variance of the mean, which leave-one-out must not know from the row that it leaves out
SLOPES = (1.0, 10.0)  # prior variance of the linear trend
BENDS = (0.0, 0.3, 3.0)  # prior variance of the deviation; 0 is a purely linear model
LENGTHS = (1.0, 3.0)  # correlation length of the deviation, in standard deviations of the features
MOST = 150  # measurements of an operator that its model is fitted to, spread evenly over those there are
TERMS = 3  # coefficients of the law: a call, MACs, activations
NOISES = (1e-4, 1e-3, 1e-2, 1e-1)  # variance of log latency that no feature explains


@dataclass(frozen=True)
class OperatorError:
    """How well one operator's model does on its own measurements, each left out in turn."""

    measurements: int
    mape: float  # mean absolute relative error, a fraction; nan where there were fewer than 3


class _Process:
    """The model of one operator name: a trend, and a Gaussian process on what it leaves."""

    def __init__(self, specs: list[OperatorSpec], ms: Floats) -> None:
        self._sizes = sorted({size for spec in specs for size, _ in spec.sizes})
        F = spec_features(specs, self._sizes)
        self._centre, spread = F.mean(axis=0), F.std(axis=0)
        self._spread = np.where(spread > 1e-9, spread, 1.0)
        self._Z = (F - self._centre) / self._spread
        log = np.log(np.maximum(ms, FLOOR_MS))
        self._low, self._high = float(log.min() - np.log(BEYOND)), float(log.max() + np.log(BEYOND))
        self._law: Floats | None = None
        self._mean = float(log.mean())
        best, left = np.inf, np.full(len(ms), np.nan)
        self._shape = (1.0, 0.0, 1.0)
        self._weights = np.zeros(len(ms))
        if len(ms) >= 3:
            for law in (None, *((_fit_law(F, np.exp(log)),) if len(ms) >= 2 * TERMS else ())):
                trend = np.log(_terms(F) @ law) if law is not None else np.full(len(ms), self._mean)
                used = 0 if law is None else TERMS  # the law saw what leave-one-out leaves out: generalised as in GCV
                shape, weights, residual = self._fit(log - trend)
                residual = residual * len(ms) / (len(ms) - used)
                if (residual**2).mean() < best:
                    best, left = float((residual**2).mean()), residual
                    self._law, self._shape, self._weights = law, shape, weights
        self.error = OperatorError(len(ms), float(np.abs(np.expm1(-left)).mean()))

    def _fit(self, y: Floats) -> tuple[tuple[float, float, float], Floats, Floats]:
        """The kernel shape of smallest leave-one-out error on ``y`` (n,), its weights and its residuals."""
        best, found = np.inf, (self._shape, self._weights, y)
        for slope, bend, length in itertools.product(SLOPES, BENDS, LENGTHS):
            if bend == 0 and length != LENGTHS[0]:
                continue
            values, vectors = np.linalg.eigh(self._kernel(self._Z, (slope, bend, length)))
            values = np.maximum(values, 0.0)
            projected = vectors.T @ y
            for noise in NOISES:
                weights = vectors @ (projected / (values + noise))
                residual = weights / ((vectors**2) @ (1.0 / (values + noise)))
                if (residual**2).mean() < best:
                    best, found = float((residual**2).mean()), ((slope, bend, length), weights, residual)
        return found

    def _kernel(self, Z: Floats, shape: tuple[float, float, float]) -> Floats:
        """(k, n) covariance of rows ``Z`` (k, F) with the measured ones."""
        slope, bend, length = shape
        width = Z.shape[1]
        linear = slope * (Z @ self._Z.T) / width
        square = (Z**2).sum(axis=1)[:, None] + (self._Z**2).sum(axis=1) - 2.0 * Z @ self._Z.T
        return np.asarray(LEVEL + linear + bend * np.exp(-np.maximum(square, 0.0) / (2.0 * width * length**2)))

    def predict(self, specs: list[OperatorSpec]) -> Floats:
        """(n,) ms."""
        F = spec_features(specs, self._sizes)
        trend = np.log(_terms(F) @ self._law) if self._law is not None else np.full(len(specs), self._mean)
        log = trend + self._kernel((F - self._centre) / self._spread, self._shape) @ self._weights
        return np.exp(np.clip(log, self._low, self._high))


def _terms(F: Floats) -> Floats:
    """(n, 3): one, MACs and activations, back from the logs of `spec_features`."""
    return np.column_stack((np.ones(len(F)), np.expm1(F[:, 0]), np.expm1(F[:, 1])))


def _fit_law(F: Floats, ms: Floats) -> Floats:
    """(3,) non-negative ms of a call, of a MAC and of an activation, by least squares on relative errors."""
    columns = _terms(F) / ms[:, None]
    scale = np.maximum(columns.max(axis=0), 1e-300)
    law = nnls(columns / scale, np.ones(len(ms)))[0] / scale
    return np.asarray(law if (_terms(F) @ law > 0).all() else np.array([float(np.exp(np.log(ms).mean())), 0.0, 0.0]))


class OperatorModel:
    """Latency in ms of any spec: its measured median where there is one, otherwise the estimate of its operator's
    model.

    ``measured`` maps specs to median latencies in ms. Estimates are clipped to twice beyond the range measured for the
    operator. With one or two measurements of an operator the estimate is their geometric mean.
    """

    def __init__(self, measured: Mapping[OperatorSpec, float]) -> None:
        self._measured = dict(measured)
        groups: dict[str, list[OperatorSpec]] = {}
        for spec, ms in self._measured.items():
            if not (np.isfinite(ms) and ms >= 0):
                raise PredictorError(f"measured: {spec.canonical} has latency {ms!r} ms, expected a finite number >= 0")
            groups.setdefault(spec.name, []).append(spec)
        self._groups = groups
        self._models: dict[str, _Process] = {}  # fitted when first needed

    @property
    @one_thread
    def errors(self) -> dict[str, OperatorError]:
        """Operator name -> its leave-one-out error."""
        return {name: self._model(name).error for name in self._groups}

    def is_measured(self, spec: OperatorSpec) -> bool:
        """Whether the latency of ``spec`` is a measurement rather than an estimate."""
        return spec in self._measured

    @one_thread
    def ms(self, specs: Sequence[OperatorSpec]) -> dict[OperatorSpec, float]:
        """Latency in ms of each spec. PredictorError when an operator was never measured at any size."""
        result = {spec: self._measured[spec] for spec in specs if spec in self._measured}
        missing: dict[str, list[OperatorSpec]] = {}
        for spec in dict.fromkeys(specs):
            if spec not in result:
                missing.setdefault(spec.name, []).append(spec)
        for name, unknown in missing.items():
            if name not in self._groups:
                legal = ", ".join(sorted(self._groups)) or "none"
                raise PredictorError(f"table: operator {name!r} was never measured; measured operators: {legal}")
            result.update(zip(unknown, map(float, self._model(name).predict(unknown)), strict=True))
        return result

    def _model(self, name: str) -> _Process:
        if name not in self._models:
            specs = self._groups[name]
            specs = [specs[i] for i in np.unique(np.linspace(0, len(specs) - 1, MOST).round().astype(int))]
            self._models[name] = _Process(specs, np.array([self._measured[spec] for spec in specs]))
        return self._models[name]
