"""A run from start to finish: profile the devices, train the supernet once, search each device, report, export.

Every step leaves its files in the run directory and is skipped when it is done, so a run goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from hardware.hosts import LOCAL, open_host
from nas.data import load_data
from nas.export.step import export_step
from nas.job import DeviceSection, Job, same_conditions
from nas.latency.plan import plan_profile
from nas.latency.profile import measure_table
from nas.latency.source import LatencySource, TableSource, not_of_here, open_source
from nas.progress import Progress
from nas.report.step import report_step
from nas.resources import ALONE, Resources
from nas.run import RunDirectory
from nas.search.candidates import check_feasible
from nas.search.designs import designs_frame
from nas.search.front import TOGETHER, front_frame, together_frame
from nas.search.study import evaluations_frame, hypervolume_frame, search_devices
from nas.search.workers import check_resources
from nas.session import Session, table_folder, write_front
from nas.training.supernet import space_of
from predictors.latency import LatencyModel
from search_spaces import SearchSpace


def run_job(
    job: Job, folder: Path, progress: Progress, until: str = "export", resources: Resources = ALONE
) -> RunDirectory:
    """Runs ``job`` in ``folder`` (or goes on with it) up to and including the step ``until``.

    ``resources``: what its searches may use.

    Raises:
        JobError, HardwareError: the job cannot be done here; found out before any work starts where that is possible.
    """
    check_job(job)
    check_resources(resources)
    torch.set_num_threads(job.threads)
    with RunDirectory.start(folder, job) as run:
        session = Session(run, progress, resources)
        for name, step in STEPS.items():
            step(session)
            if name == until:
                break
    return run


def check_job(job: Job) -> None:
    """What can be known before any work: each device without a table has its runtime here, and given tables and calibrations
    suit the space and allow the limits. Raises HardwareError or JobError."""
    for device in job.devices:
        if device.table is None:
            with open_host(device.device) as host:
                host.runtime(device.runtime, device.precision, device.threads).require()
    given = [device for device in job.devices if device.table is not None]
    space = space_of(job, load_data(job.data)) if given else None
    for device in given:
        assert space is not None
        assert device.table is not None
        source = open_source(device.table)
        if device.max_latency_ms is None:
            source.check(space)
        else:
            check_limit(space, device, source.predictor(space), job.seed)


def check_limit(space: SearchSpace, device: DeviceSection, predictor: LatencyModel, seed: int) -> None:
    """Raises JobError if no architecture found meets the device's ``max_latency_ms``."""
    if device.max_latency_ms is not None:
        check_feasible(
            space,
            predictor.ms,
            device.max_latency_ms,
            np.random.default_rng(seed),
            key=f"devices.{device.name}.max_latency_ms",
        )


def profile_step(session: Session) -> None:
    """A latency table for every device: measured, or the table or calibration that the job gives; then the limits are checked.

    A device that differs from an earlier one in its name and limit alone takes over the other's table.
    """
    job, run = session.job, session.run
    for number, device in enumerate(job.devices):
        name = f"profile:{device.name}"
        if not run.step_done(name):
            twin = next((other for other in job.devices[:number] if same_conditions(device, other)), None)
            source: LatencySource
            if device.table is not None:
                source = open_source(device.table)
            elif twin is not None:
                source = session.source(twin)
            else:
                settings = job.profile
                plan = plan_profile(
                    session.space, settings.operators, settings.fit_networks, settings.validate_networks, job.seed
                )
                with open_host(device.device, session.progress.say) as host:
                    table = measure_table(
                        session.space,
                        device.runtime,
                        plan,
                        session.progress,
                        host=host,
                        precision=device.precision,
                        threads=device.threads,
                        batch=device.batch,
                        mode=device.mode,
                        workers=job.threads,
                    )
                source = TableSource(table)
                torch.set_num_threads(job.threads)
            source.check(session.space)  # what does not fit the space must not be stored
            source.save(run.file(table_folder(device)))
            run.mark_done(name, seconds=round(source.seconds, 1), validation=source.header["validation"])
        check_limit(session.space, device, session.predictor(device), job.seed)
        source = session.source(device)
        session.progress.say(f"{device.name}: {source.text()}")
        if device.device == LOCAL and (other := not_of_here(source.header, device.runtime)):
            session.progress.say(f"warning: {device.name}: {other}")


def train_step(session: Session) -> None:
    """The supernet, trained once for all devices."""
    _ = session.supernet


def search_step(session: Session) -> None:
    """The searches of every device, and its front."""
    job, run = session.job, session.run
    if all(run.step_done(f"search:{device.name}") for device in job.devices):
        return
    metric = session.data.metric
    with session.evaluator() as evaluate:
        for devices in [job.devices] if job.search.together else [(device,) for device in job.devices]:
            if all(run.step_done(f"search:{device.name}") for device in devices):
                continue
            began = time.perf_counter()
            predictors = [session.predictor(device) for device in devices]
            found = search_devices(session.space, devices, job.search, evaluate, predictors, job.seed, session.progress)
            for device, predictor, results in zip(devices, predictors, found, strict=True):
                run.write_parquet(f"search/{device.name}.parquet", evaluations_frame(results, metric))
                run.write_parquet(f"search/{device.name}-hypervolume.parquet", hypervolume_frame(results))
                write_front(run, device, front_frame(session.space, results[job.search.searcher], predictor, metric))
                if job.search.designs != "none":
                    known = designs_frame(session.space, evaluate, predictor, metric)
                    run.write_parquet(f"search/{device.name}-designs.parquet", known)
            if job.search.together:
                asked = [results[job.search.searcher] for results in found]
                run.write_csv(TOGETHER, together_frame([device.name for device in devices], asked, metric))
            for device in devices:
                run.mark_done(f"search:{device.name}", seconds=round(time.perf_counter() - began, 1))


STEPS: dict[str, Callable[[Session], None]] = {
    "profile": profile_step,
    "train": train_step,
    "search": search_step,
    "report": report_step,
    "export": export_step,
}
