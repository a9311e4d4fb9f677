"""What a run knows of the latency on a device: a measured table, or a calibration. Both are folders that a run copies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hardware.device import Device, changes
from hardware.errors import HardwareError
from hardware.hosts import Host
from hardware.table import LatencyTable
from nas.errors import JobError
from nas.latency.calibration import VALIDATE, Calibration, is_calibration
from predictors import LatencyPredictor, PredictorError
from predictors.latency import LatencyModel
from predictors.translation import Translation
from search_spaces import Architecture, SearchSpace
from search_spaces.errors import SpaceError

CONDITIONS = ("mode", "runtime", "precision", "threads", "batch")


class LatencySource(Protocol):
    """The latency on one device.

    Attributes:
        header: how it was measured, and its ``validation``: errors on whole networks that nothing was fitted to.
        seconds: what measuring cost.
    """

    header: dict[str, Any]
    seconds: float

    def check(self, space: SearchSpace) -> None:
        """JobError or PredictorError where it cannot tell the latency of networks of ``space``."""
        ...

    def predictor(self, space: SearchSpace) -> LatencyModel:
        """Of rows of ``space``. JobError or PredictorError as `check`."""
        ...

    def held_out(self, space: SearchSpace) -> pd.DataFrame:
        """Columns predicted_ms, low_ms, high_ms, measured_ms: networks that their prediction was not fitted to."""
        ...

    def text(self) -> str:
        """How far to trust it, in one line."""
        ...

    def save(self, folder: Path) -> None:
        """Writes it, whole, as a folder of its own."""
        ...


class TableSource:
    """A device's own latency table."""

    def __init__(self, table: LatencyTable) -> None:
        self._table = table
        self.header = table.header
        self.seconds = float(table.header["seconds"])

    def check(self, space: SearchSpace) -> None:
        """See `LatencySource`."""
        self.predictor(space)

    def predictor(self, space: SearchSpace) -> LatencyPredictor:
        """See `LatencySource`."""
        return LatencyPredictor(space, self._table)

    def held_out(self, space: SearchSpace) -> pd.DataFrame:
        """See `LatencySource`."""
        held = self._table.networks[self._table.networks["role"] == "validate"]
        # spec by spec: the table may be of a larger space, and its networks none of this one
        found = self.predictor(space).predict_all(Architecture.from_lines(held["key"]))
        return _frame(found, held["median_ms"].to_numpy())

    def text(self) -> str:
        """See `LatencySource`."""
        return validation_text(self.header["validation"], "the latency table", "never seen")

    def save(self, folder: Path) -> None:
        """See `LatencySource`."""
        self._table.save(folder)


class CalibrationSource:
    """A device that was only calibrated: some whole networks measured there, and the tables of other devices.

    Its validation is that on the networks measured to judge it; without any, on those it was fitted to, each left out in turn.
    """

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        header = calibration.header
        self.seconds = float(sum(session["seconds"] for session in header.sessions))
        kept = header.model_dump(
            mode="json", by_alias=True, exclude={"known", "refused", "sessions", "left_out", "validation"}
        )
        self._left_out = header.validation is None
        self.header = {
            **kept,
            "seconds": self.seconds,
            "calibrated_from": list(calibration.tables),
            "left_out": self._left_out,
            "validation": header.left_out if self._left_out else header.validation,
        }

    def check(self, space: SearchSpace) -> None:
        """See `LatencySource`; also where its runtime was found to refuse an operator of the space."""
        calibration, where = self._calibration, self._calibration.path
        calibration.require_finished()
        refused = calibration.header.refused
        for name in dict.fromkeys(spec.name for spec in space.specs()):
            if name in refused:
                raise JobError(
                    f"{where}: {calibration.header.runtime} cannot run operator {name!r} of {space.name}: {refused[name]}; "
                    "legal: a space without it (space.mixers)"
                )
        if space.definition != calibration.space.definition:
            try:
                Translation(space, calibration.space)
            except PredictorError as error:
                raise JobError(
                    f"{where}: was made for {calibration.space.definition}, not for {space.definition} or a space that has "
                    f"it as a part ({error}); legal: `nas latency ARCHITECTURES --calibrate N` with architectures of that "
                    "space"
                ) from None

    def predictor(self, space: SearchSpace) -> LatencyModel:
        """See `LatencySource`."""
        self.check(space)
        return self._calibration.predictor().of(space)

    def held_out(self, space: SearchSpace) -> pd.DataFrame:
        """See `LatencySource`."""
        predictor = self._calibration.predictor()
        if self._left_out:
            return _frame(*predictor.left_out_predictions())
        rows, ms = self._calibration.of(VALIDATE)
        return _frame(predictor.predict(rows), ms)

    def text(self) -> str:
        """See `LatencySource`."""
        count = self._calibration.header.count
        seen = "each left out in turn" if self._left_out else "never seen"
        return f"calibrated by {count} networks: " + validation_text(self.header["validation"], "the calibration", seen)

    def save(self, folder: Path) -> None:
        """See `LatencySource`."""
        self._calibration.copy_to(folder)


def open_source(folder: Path) -> LatencySource:
    """The latency table or the calibration in ``folder``. HardwareError or JobError where there is none, or a broken one."""
    if is_calibration(folder):
        return CalibrationSource(Calibration.load(folder))
    return TableSource(LatencyTable.load(folder))


def conditions_of(folder: Path) -> dict[str, Any]:
    """runtime, precision, threads, batch and mode of the table or finished calibration in ``folder``.

    Raises:
        JobError: there is none, or it cannot be read or used.
    """
    try:
        if is_calibration(folder):
            calibration = Calibration.load(folder)
            calibration.require_finished()
            header = calibration.header.model_dump()
        else:
            header = LatencyTable.load(folder).header
    except (HardwareError, SpaceError) as error:
        raise JobError(str(error)) from None
    return {key: header.get(key, "forward" if key == "mode" else None) for key in CONDITIONS}


def not_of_here(header: dict[str, Any], runtime: str) -> str | None:
    """What of the device of that ``header`` is not this machine's, in one line; None if nothing is, or it cannot be told."""
    try:
        found = changes(Device.from_json(header["device"]), Host().device(runtime))
    except HardwareError:  # a GPU's table, where there is none
        return None
    if not found:
        return None
    return f"latency is of another machine than this ({'; '.join(found)}); `nas profile --check` tells whether it holds"


def validation_text(found: dict[str, Any] | None, what: str, seen: str) -> str:
    """How far to trust ``what``, whose errors (see `predictors.latency.errors_of`) were found on networks so ``seen``."""
    if not found or found.get("mape") is None:
        return f"{what} was not validated on whole networks"
    text = f"latency within {found['mape']:.1%} on average of {found['networks']} networks {seen}; "
    text += f"{found['within_10']:.0%} within 10 %"
    return text if found.get("spearman") is None else f"{text}, Spearman {found['spearman']:.3f}"


def _frame(found: Any, ms: NDArray[np.float64] | Sequence[float]) -> pd.DataFrame:
    columns = {"predicted_ms": found.mean_ms, "low_ms": found.low_ms, "high_ms": found.high_ms, "measured_ms": ms}
    return pd.DataFrame(columns)
