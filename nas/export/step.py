"""The export step of a run, and the export of any front member by its hash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from hardware.hosts import open_host
from hardware.measure import measure
from hardware.runtimes import get_runtime
from hardware.settings import MeasureSettings
from hardware.transports import LinkError
from nas.errors import JobError
from nas.export.package import export_package
from nas.job import DeviceSection
from nas.latency.rig import prepared
from nas.search.evaluation import Task, inherit
from nas.search.front import choose_members
from nas.search.picks import LEGAL_ONE, Pick
from nas.session import Session, read_front
from search_spaces import Architecture, Network

PARITY_IMAGES = 64


def export_step(session: Session) -> None:
    """Exports the job's number of members of every front (the knee first), and says where they are."""
    run, settings = session.run, session.job.export
    for device in session.job.devices:
        name = f"export:{device.name}"
        if run.step_done(name) or not settings.members:
            continue
        members = choose_members(read_front(run, device), settings.members)
        advance = session.progress.task(f"export {device.name}", len(members))
        for done, (_, member) in enumerate(members.iterrows(), 1):
            export_member(session, device, member, run.file(Path("export") / device.name / member["hash"]))
            advance(done)
        run.mark_done(name)


def find_member(session: Session, name: str, device: str | None = None) -> tuple[DeviceSection, pd.Series]:
    """The front member whose hash starts with ``name``, on ``device`` or on any.

    Raises:
        JobError: none or several members match, or there is no such device or front.
    """
    devices = _devices(session, device)
    found: dict[str, tuple[DeviceSection, pd.Series]] = {}
    legal_hashes = []
    for section in devices:
        for _, member in read_front(session.run, section).iterrows():
            legal_hashes.append(member["hash"])
            if name and member["hash"].startswith(name):
                found.setdefault(member["hash"], (section, member))
    if len(found) != 1:
        several = "several" if found else "none"
        raise JobError(f"--hash: {several} of the front's members match {name!r}; legal: {', '.join(legal_hashes)}")
    return next(iter(found.values()))


def pick_member(session: Session, pick: Pick, device: str | None = None) -> tuple[DeviceSection, pd.Series]:
    """The front member that ``pick`` means, on ``device`` or on the only one.

    Raises:
        JobError: the pick may mean several, or none; several devices and no name; no such device or front.
    """
    devices = _devices(session, device)
    if not pick.single:
        raise JobError(f"--pick: got {pick.name}, which may be several; legal for one package: {LEGAL_ONE}, or --hash")
    if len(devices) > 1:
        raise JobError(f"--device: is missing; legal with --pick: {', '.join(d.name for d in devices)}")
    (section,) = devices
    return section, pick.of(read_front(session.run, section), session.data.metric, section.name).iloc[0]


def _devices(session: Session, device: str | None) -> list[DeviceSection]:
    devices = [d for d in session.job.devices if device in (None, d.name)]
    if not devices:
        legal = ", ".join(d.name for d in session.job.devices)
        raise JobError(f"--device: got {device!r}; legal: {legal}")
    return devices


def export_member(session: Session, device: DeviceSection, member: pd.Series, folder: Path) -> dict[str, Any]:
    """Exports one front member to ``folder`` with its weights, parity figures and re-measured latency: the manifest."""
    data, settings = session.data, session.job.search
    architecture = Architecture.from_json(json.loads(member["genes"]), session.space)
    network = inherit(session.supernet, architecture, data, settings.calibration_images).cpu()
    side = architecture.input_shape[-1]
    now, metric = session.evaluation.score(Task(architecture.genes)), data.metric.name
    if now != member[metric]:
        raise JobError(
            f"export {architecture.hash}: scores {now!r} on the search split; the search saw {member[metric]!r}. "
            "Were the weights changed?"
        )
    facts = {
        "name": session.job.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        metric: {
            "search_split": float(member[metric]),
            data.examples: len(data.search.labels[: settings.images]),
            "inherited": True,
        },
        "latency": _latency(device, member, network, architecture),
        **data.facts,
        "macs": int(member["macs"]),
        "parameters": int(member["parameters"]),
    }
    if pd.notna(member.get(f"test_{metric}")):
        facts[metric]["test_split"] = float(member[f"test_{metric}"])  # type: ignore[index]
    inputs = data.batch(data.search.inputs[:PARITY_IMAGES], side)[:PARITY_IMAGES].contiguous()
    decode = device.mode == "decode"
    formats = _formats(session.job.export.formats, device)
    return export_package(folder, architecture, network, inputs, facts, formats, decode)


def _formats(formats: Sequence[str], device: DeviceSection) -> tuple[str, ...]:
    """The job's formats, and ExecuTorch where the device runs it, or where it is installed and any format is wanted."""
    wanted = device.runtime == "executorch" or (formats and get_runtime("executorch").availability()[0])
    return (*formats, "executorch") if wanted else tuple(formats)


def _latency(device: DeviceSection, member: pd.Series, network: Network, architecture: Architecture) -> dict[str, Any]:
    """Predicted and re-measured latency; where the runtime is not here, the reason instead of a measurement."""
    record: dict[str, Any] = {
        "device": device.name,
        "runtime": device.runtime,
        "mode": device.mode,
        "precision": device.precision,
        "threads": device.threads,
        "batch": device.batch,
        "predicted_ms": float(member["latency_ms"]),
        "predicted_low_ms": float(member["latency_low_ms"]),
        "predicted_high_ms": float(member["latency_high_ms"]),
    }
    threads = torch.get_num_threads()
    try:
        with open_host(device.device) as host:
            runtime = host.runtime(device.runtime, device.precision, device.threads)
            usable, reason = runtime.availability()
            if not usable:
                return {**record, "measured": None, "not_measured_because": reason}
            runner = runtime.prepare(*prepared(network, architecture.specs[0], device.batch, device.mode))
            measured = measure(
                {architecture.hash: runner},
                settings=MeasureSettings.thorough(),
                threads=device.threads,
                state=host.conditions,
            )
            return {**record, "measured": measured[0].to_json(), "conditions": host.conditions(device.threads)}
    except LinkError as error:
        return {**record, "measured": None, "not_measured_because": str(error)}
    finally:
        torch.set_num_threads(threads)
