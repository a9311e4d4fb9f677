"""A device that was only calibrated, and a finished run on it: read by several tests, made once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hardware.device import Device
from hardware.measurement import Measurement
from hardware.table import LatencyTable
from nas.cli import main
from nas.latency.calibration import Calibration, CalibrationHeader, KnownTable
from predictors.features import work
from search_spaces import Architecture, SearchSpace, make_space
from tests.conftest import SMALL_JOB, Once, briefly

DEFINITION = {"name": "hybrid-vision", "preset": "tiny", "resolutions": [8], "in_channels": 1, "classes": 10}
CALIBRATED = make_space({**DEFINITION, "mixers": ["mbconv", "mhsa", "identity"]})  # what the calibration was made for
MIXERS = ["mbconv", "mhsa"]  # of the job: a part of it
RUNTIME = {"runtime": "torch", "precision": "fp32", "threads": 1, "versions": {"torch": "2"}}


def law(space: SearchSpace, speed: float, seed: int) -> dict[str, float]:
    """ms of every operator of a device of our own making: a call, and work at a speed of the operator's own."""
    rng = np.random.default_rng(seed)
    own = {name: float(rng.uniform(0.5, 2.0)) for name in sorted({spec.name for spec in space.specs()})}
    return {spec.canonical: 0.02 + (own[spec.name] * work(spec)[0] + work(spec)[1]) / speed for spec in space.specs()}


def whole(ms: dict[str, float], network: Architecture) -> float:
    return 1.05 * sum(ms[spec.canonical] for spec in network.specs)


def measured(key: str, ms: float) -> Measurement:
    return Measurement.from_rounds(key, [np.full(5, ms / 1e3)])


def known_table(space: SearchSpace, speed: float, seed: int) -> LatencyTable:
    ms = law(space, speed, seed)
    table = LatencyTable.create(device=Device("known", "cpu"), runtime=RUNTIME, batch=1, space=space.definition)
    table = table.with_operators(measured(key, value) for key, value in ms.items())
    networks = [space.architecture(row) for row in space.sample(15, np.random.default_rng(1))]
    lines = {json.dumps(network.to_json()): whole(ms, network) for network in networks}
    return table.with_networks((measured(*line) for line in lines.items()), "fit")


def make_calibration(folder: Path, validate: int = 0) -> Calibration:
    """Ten networks of a third device, and so many more to judge by."""
    space = CALIBRATED
    tables = {"fast": known_table(space, 1e8, 1), "slow": known_table(space, 2e7, 2)}
    ms = law(space, 4e7, 3)
    facts: dict[str, Any] = {
        **RUNTIME,
        "schema_version": 1,
        "space": dict(space.definition),
        "device": Device("new", "cpu").to_json(),
        "batch": 1,
        "mode": "forward",
        "options": {},
        "known": [KnownTable(name=name, sha256="") for name in tables],
        "seed": 0,
        "count": 10,
        "validate": validate,
    }
    calibration = Calibration.start(folder, CalibrationHeader(**facts), tables)
    networks = [space.architecture(row) for row in space.sample(10 + validate, np.random.default_rng(4))]
    for role, part in (("fit", networks[:10]), ("validate", networks[10:])):
        calibration = calibration.with_measured(role, part, [measured(n.hash, whole(ms, n)) for n in part])
    calibration = calibration.with_header(left_out={"mape": 0.0, "networks": 0})
    predictor = calibration.predictor()
    validation = predictor.judge(*calibration.of("validate")) if validate else None
    return calibration.with_header(left_out=predictor.left_out(), validation=validation)


def job_for(table: Path) -> dict[str, Any]:
    return {
        **SMALL_JOB,
        "name": "calibrated",
        "space": {"resolutions": [8], "mixers": MIXERS},
        "devices": [{"name": "new", "runtime": "torch", "table": str(table)}],
        "search": {
            **SMALL_JOB["search"],
            "evaluations": 12,
            "population": 4,
            "controls": ["random"],
            "designs": "none",
        },
        "report": {"members": 1},
        "export": {"members": 1, "formats": []},
    }


@pytest.fixture(scope="session")
def calibration(once: Once) -> Path:
    """A finished calibration; to be read only."""

    def make(folder: Path) -> None:
        make_calibration(folder / "device")

    return once("calibration", make) / "device"


@pytest.fixture(scope="session")
def calibrated_run(once: Once, calibration: Path) -> Path:
    """A run whose one device was calibrated, from start to finish; to be read only."""

    def make(folder: Path) -> None:
        (folder / "job.yaml").write_text(yaml.safe_dump(job_for(calibration)))
        with briefly():
            assert main(["run", str(folder / "job.yaml"), "--out", str(folder / "run")]) == 0

    return once("calibrated-run", make) / "run"
