"""A calibration as a folder: a device without a table, told by a few whole networks and the tables of known devices.

    calibration.json   what was measured, on what, how well it predicts
    measurements.csv   a network a row: role ("fit" or "validate"), hash, genes, and the columns of a Measurement
    known/NAME/        the latency tables of the known devices, whole: the folder works wherever it is moved

The predictor is fitted anew from these whenever it is loaded, deterministically.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hardware.measurement import Measurement
from hardware.table import LatencyTable
from nas.errors import JobError
from nas.files import append_rows, read_rows, write_atomically
from predictors import PredictorError
from predictors.calibrated import FEWEST, CalibratedPredictor
from search_spaces import Architecture, SearchSpace, cost, make_space
from search_spaces.errors import SpaceError

HEADER, MEASUREMENTS, KNOWN = "calibration.json", "measurements.csv", "known"
FIT, VALIDATE = "fit", "validate"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnownTable(_Section):
    """A table in ``known/``: its folder there, and the SHA-256 of its files."""

    name: str = Field(pattern=r"^[^./\\][^/\\]*$")
    sha256: str


class CalibrationHeader(_Section):
    """``calibration.json``.

    count, validate: networks asked for, to fit and to judge. refused: operator or network -> why the runtime does not run it.
    sessions: what each timing was like; its ``drift`` is the log ratio of the first network's latency then to that of the
    first session. left_out: errors on the fit networks, each left out in turn; None until all were measured. validation: on
    the validate networks; both as `predictors.calibrated.errors_of`.
    """

    schema_version: Literal[1]
    space: dict[str, Any]
    device: dict[str, Any]
    runtime: str
    precision: str
    threads: int = Field(ge=1)
    batch: int = Field(ge=1)
    mode: str
    versions: dict[str, str]
    options: dict[str, Any]
    known: list[KnownTable] = Field(min_length=1)
    seed: int
    count: int = Field(ge=FEWEST)
    validate_count: int = Field(ge=0, alias="validate")
    refused: dict[str, str] = {}
    sessions: list[dict[str, Any]] = []
    left_out: dict[str, Any] | None = None
    validation: dict[str, Any] | None = None


@dataclass(frozen=True)
class Measured:
    """One network of a calibration, and its median."""

    role: str
    architecture: Architecture
    median_ms: float


@dataclass(frozen=True)
class Calibration:
    """The folder ``path`` as it was read: its header, space, known tables and what was measured so far, in order."""

    path: Path
    header: CalibrationHeader
    space: SearchSpace
    tables: Mapping[str, LatencyTable]
    measured: tuple[Measured, ...]

    @classmethod
    def start(cls, path: Path, header: CalibrationHeader, tables: Mapping[str, LatencyTable]) -> Calibration:
        """A new folder with these known tables, the header last."""
        for name, table in tables.items():
            table.save(path / KNOWN / name)
        known = [KnownTable(name=name, sha256=content_hash(path / KNOWN / name)) for name in tables]
        made = cls(path, header.model_copy(update={"known": known}), make_space(header.space), dict(tables), ())
        made.write()
        return made

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Reads and checks a folder. JobError naming the file and what is wrong in it."""
        where = path / HEADER
        try:
            header = CalibrationHeader.model_validate(json.loads(where.read_text(encoding="utf-8")))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "it"
            raise JobError(f"{where}: {key}: got {_short(first['input'])}; {first['msg']}") from None
        except (OSError, ValueError, RecursionError) as error:
            raise JobError(f"{where}: cannot be read: {error}; legal: what `nas latency --calibrate` wrote") from None
        tables = {}
        for known in header.known:
            folder = path / KNOWN / known.name
            tables[known.name] = LatencyTable.load(folder)
            if content_hash(folder) != known.sha256:
                raise JobError(f"{folder}: was changed since the calibration began; legal: the table as it was")
        space = make_space(header.space)
        return cls(path, header, space, tables, tuple(_read(path / MEASUREMENTS, space)))

    def write(self) -> None:
        """Writes the header."""
        text = json.dumps(self.header.model_dump(mode="json", by_alias=True), indent=2, allow_nan=False)
        write_atomically(self.path / HEADER, (text + "\n").encode())

    def with_header(self, **changes: Any) -> Calibration:
        """With these changes in the header, written."""
        changed = replace(self, header=self.header.model_copy(update=changes))
        changed.write()
        return changed

    def with_measured(
        self, role: str, networks: Sequence[Architecture], measured: Sequence[Measurement]
    ) -> Calibration:
        """With these networks added to the file: once this returns, a kill does not lose them."""
        rows = []
        for network, found in zip(networks, measured, strict=True):
            facts = found.to_json()
            del facts["key"]
            genes = json.dumps(network.values, sort_keys=True, separators=(",", ":"))
            rows.append({"role": role, "hash": network.hash, "genes": genes, **facts})
        append_rows(self.path / MEASUREMENTS, rows)
        new = (Measured(role, network, m.median_ms) for network, m in zip(networks, measured, strict=True))
        return replace(self, measured=(*self.measured, *new))

    def of(self, role: str) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
        """Rows (n, G) and ms (n,) of the networks measured in that role."""
        chosen = [one for one in self.measured if one.role == role]
        return self.space.matrix(one.architecture for one in chosen), np.array([one.median_ms for one in chosen])

    def require_finished(self) -> None:
        """JobError where something is left to measure."""
        done = len(self.of(FIT)[0])
        if self.header.left_out is None:
            raise JobError(
                f"{self.path}: is not finished: {done} of {self.header.count} networks are measured; the command that "
                "began it (`nas latency --calibrate`) goes on"
            )

    def predictor(self) -> CalibratedPredictor:
        """Fitted to what was measured. JobError where the calibration was not finished."""
        self.require_finished()
        return CalibratedPredictor(self.space, list(self.tables.values())).fit(*self.of(FIT))

    def copy_to(self, folder: Path) -> None:
        """Copies its files, the header last: a kill leaves no calibration there, or the whole of it."""
        for name in self.tables:
            for file in sorted((self.path / KNOWN / name).iterdir()):
                write_atomically(folder / KNOWN / name / file.name, file.read_bytes())
        for name in (MEASUREMENTS, HEADER):
            write_atomically(folder / name, (self.path / name).read_bytes())

    def check_runs(self, architecture: Architecture) -> None:
        """JobError where the runtime was found to refuse an operator of it, or itself."""
        for spec in architecture.specs:
            if spec.name in self.header.refused:
                reason = self.header.refused[spec.name]
                raise JobError(
                    f"{self.path.name}: {self.header.runtime} cannot run operator {spec.name!r} of {architecture.hash}: "
                    f"{reason}"
                )
        if architecture.hash in self.header.refused:
            reason = self.header.refused[architecture.hash]
            raise JobError(f"{self.path.name}: {self.header.runtime} cannot run {architecture.hash}: {reason}")


def is_calibration(path: Path) -> bool:
    """Whether a folder is one, finished or not."""
    return (path / HEADER).exists()


def calibrated_rows(architectures: Sequence[Architecture], calibration: Calibration) -> list[dict[str, Any]]:
    """The rows of `nas.latency.query.latency_rows` for a calibrated device; its mape is that of its validate networks, or,
    without any, of the fit networks, each left out in turn.

    Raises:
        JobError: the calibration is not finished, or its runtime refuses an architecture; PredictorError: one is of another
            space.
    """
    predictor, header = calibration.predictor(), calibration.header
    for architecture in architectures:
        calibration.check_runs(architecture)
    judged = header.validation or header.left_out or {}
    rows = []
    for architecture in architectures:
        found = predictor.predict_one(architecture)
        rows.append(
            {
                "hash": architecture.hash,
                "device": calibration.path.name,
                "runtime": header.runtime,
                "mode": header.mode,
                "latency_ms": found.mean_ms,
                "low_ms": found.low_ms,
                "high_ms": found.high_ms,
                "table_mape": judged.get("mape"),
                "macs": sum(cost(spec).macs for spec in architecture.specs),
            }
        )
    return rows


def content_hash(table: Path) -> str:
    """SHA-256 over the names and bytes of a latency table's files."""
    found = hashlib.sha256()
    for file in sorted(table.iterdir()):
        content = file.read_bytes()
        found.update(f"{file.name} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()


def _read(path: Path, space: SearchSpace) -> list[Measured]:
    found: dict[str, Measured] = {}
    for number, row in enumerate(read_rows(path), start=2):
        where = f"{path}: line {number}"
        try:
            genes = json.loads(row["genes"])
            architecture = Architecture.from_json({"genes": genes, "hash": row["hash"]}, space)
            one = Measured(row["role"], architecture, float(row["median_ms"]))
        except (KeyError, ValueError, SpaceError, PredictorError, RecursionError) as error:
            raise JobError(f"{where}: is no measurement of the space: {error}") from None
        if one.role not in (FIT, VALIDATE) or not 0 < one.median_ms < math.inf:
            raise JobError(f"{where}: got {one.role!r}, {one.median_ms} ms; legal: fit or validate, above 0")
        if architecture.hash in found:
            raise JobError(f"{where}: {architecture.hash} was measured before; legal: each network once")
        found[architecture.hash] = one
    return list(found.values())


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
