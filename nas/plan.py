"""What a job is going to do, and about how long that takes on this machine: for `--dry-run`."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from rich.table import Table

from hardware.hosts import LOCAL
from nas.data import load_data
from nas.job import DeviceSection, Job, same_conditions
from nas.latency.calibration import is_calibration
from nas.latency.source import not_of_here, open_source
from nas.search.controls import control_spaces
from nas.training.evaluate import evaluate, first
from nas.training.recipe import Recipe
from nas.training.sampler import SandwichSampler
from nas.training.steps import SandwichStep
from nas.training.supernet import space_of, training_device
from search_spaces import Supernet

SECONDS_PER_OPERATOR, SECONDS_PER_NETWORK = 0.35, 1.0  # measuring; see `hardware.settings.MeasureSettings`
# a module, in one worker, where none is in the cache
CONVERSION_SECONDS = {
    "onnxruntime": 0.6,
    "openvino": 0.6,
    "ncnn": 0.7,
    "executorch": 2.0,
    "litert": 8.0,
    "torch-compile": 8.0,
}


def estimate(job: Job) -> dict[str, tuple[str, float]]:
    """Step -> (what it does, estimated seconds). Times two training steps and two evaluations on this machine."""
    torch.set_num_threads(job.threads)
    data = load_data(job.data)
    space = space_of(job, data)
    supernet = Supernet(space, job.seed).to(training_device())
    recipe = Recipe(job.train, data, job.seed, training_device())
    sampler = SandwichSampler(space, job.train.subnets, job.seed)
    step = SandwichStep(supernet, sampler, data, job.train.label_smoothing)
    step_seconds = _median([_timed(lambda i=i: step(*recipe.batch(i), i, 0)) for i in range(4)][1:])  # type: ignore[misc]
    supernet.eval()
    count = len(data.search.labels[: job.search.images])
    few = first(data.search, 200)
    evaluation = []
    for row in sampler.rows(0)[2:] if job.train.subnets > 2 else sampler.rows(0):
        network, side = supernet.extract(space.architecture(row)), space.architecture(row).input_shape[-1]
        once = _timed(lambda n=network, s=side: evaluate(n, few, data, s))  # type: ignore[misc]
        evaluation.append(once * (count + job.search.calibration_images / 2) / len(few.labels))
    controls = [name for name in job.search.controls if name in control_spaces(space) and name != "random"]
    searches = (1 + len(controls)) * len(job.devices) + ("random" in job.search.controls)
    evaluations = searches * job.search.seeds * job.search.evaluations
    plan = {}
    for number, device in enumerate(job.devices):
        twin = next((other for other in job.devices[:number] if same_conditions(device, other)), None)
        networks = job.profile.fit_networks + job.profile.validate_networks
        operators = min(job.profile.operators, len(space.specs()))
        seconds = operators * SECONDS_PER_OPERATOR + networks * SECONDS_PER_NETWORK
        seconds += CONVERSION_SECONDS.get(device.runtime, 0.0) * (operators + 3 * networks) / job.threads
        what = f"measure {operators} operators and {networks} networks"
        if device.table or twin:
            what, seconds = (
                (f"use the table of {twin.name}" if device.table is None and twin else _given(device)),
                0.0,
            )
        plan[f"profile {device.name}"] = (what, seconds)
    what = (
        f"{job.train.epochs} epochs, {recipe.steps} steps of {job.train.subnets} subnets, batch {job.train.batch_size}"
    )
    plan["train"] = (what, recipe.steps * step_seconds)
    what = f"at most {evaluations} evaluations ({job.search.seeds} seed(s), controls: {', '.join(job.search.controls)})"
    plan["search"] = (what, evaluations * _median(evaluation))
    members = job.report.members * len(job.devices)
    plan["report"] = (
        f"test and measure {members} front members",
        members * (4.0 + _median(evaluation) * data.test_size / max(count, 1)),
    )
    plan["export"] = (f"{job.export.members * len(job.devices)} packages", 10.0 * job.export.members * len(job.devices))
    return plan


def plan_table(job: Job, folder: Path, plan: dict[str, tuple[str, float]]) -> Table:
    """The plan for a terminal."""
    total = sum(seconds for _, seconds in plan.values())
    table = Table("step", "what", "about", title=f"{job.name} -> {folder}", caption=f"about {_minutes(total)} in all")
    for name, (what, seconds) in plan.items():
        table.add_row(name, what, _minutes(seconds))
    return table


def _given(device: DeviceSection) -> str:
    """What is done with a table or calibration that the job gives."""
    assert device.table is not None
    source = open_source(device.table)
    what = f"use the given calibration ({source.text()})" if is_calibration(device.table) else "use the given table"
    other = not_of_here(source.header, device.runtime) if device.device == LOCAL else None
    return f"{what}; {other}" if other else what


def _timed(call: object) -> float:
    began = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - began


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
