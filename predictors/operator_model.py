"""Latency of operator specs that a table has not measured, from those that it has: one `OperatorProcess` an operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from predictors.errors import PredictorError
from predictors.features import work
from predictors.operator_process import FLOOR_MS, OperatorError, OperatorProcess, shared_laws
from predictors.threads import one_thread
from search_spaces.spec import OperatorSpec

Floats = NDArray[np.float64]
MOST = 150  # measurements of an operator that its model is fitted to, spread evenly over those there are


class OperatorModel:
    """Latency in ms of any spec: its measured median where there is one, otherwise the estimate of its operator's
    model.

    ``measured`` maps specs to median latencies in ms. What an estimate deviates from the trend of its operator is clipped
    to twice beyond what the measured ones do.
    """

    def __init__(self, measured: Mapping[OperatorSpec, float]) -> None:
        self._measured = dict(measured)
        groups: dict[str, list[OperatorSpec]] = {}
        for spec, ms in self._measured.items():
            if not (np.isfinite(ms) and ms >= 0):
                raise PredictorError(f"measured: {spec.canonical} has latency {ms!r} ms, expected a finite number >= 0")
            groups.setdefault(spec.name, []).append(spec)
        self._groups = groups
        self._models: dict[str, OperatorProcess] = {}  # fitted when first needed
        self._laws: dict[str, Floats] = {}

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
            result.update(zip(unknown, map(float, self._model(name).predict(unknown)), strict=True))
        return result

    @one_thread
    def covariance(self, specs: Sequence[OperatorSpec], others: Sequence[OperatorSpec] | None = None) -> Floats:
        """(k, m) covariance of the errors of `ms` in log latency between ``specs`` and ``others`` (the same if none), all of
        one operator; a measured one has no error."""
        others = specs if others is None else others
        (name,) = {spec.name for spec in (*specs, *others)}
        covariance = self._model(name).covariance(list(specs), list(others))
        covariance[[i for i, spec in enumerate(specs) if spec in self._measured], :] = 0.0
        covariance[:, [i for i, spec in enumerate(others) if spec in self._measured]] = 0.0
        return covariance

    def _model(self, name: str) -> OperatorProcess:
        if name not in self._groups:
            legal = ", ".join(sorted(self._groups)) or "none"
            raise PredictorError(f"table: operator {name!r} was never measured; measured operators: {legal}")
        if not self._laws:
            self._laws = shared_laws(
                {name: (self._work(specs), self._ms(specs)) for name, specs in self._groups.items()}
            )
        if name not in self._models:
            specs = self._groups[name]
            specs = [specs[i] for i in np.unique(np.linspace(0, len(specs) - 1, MOST).round().astype(int))]
            self._models[name] = OperatorProcess(specs, self._ms(specs), self._laws[name])
        return self._models[name]

    def _ms(self, specs: Sequence[OperatorSpec]) -> Floats:
        return np.maximum([self._measured[spec] for spec in specs], FLOOR_MS)

    @staticmethod
    def _work(specs: Sequence[OperatorSpec]) -> Floats:
        return np.array([work(spec) for spec in specs], dtype=np.float64)
