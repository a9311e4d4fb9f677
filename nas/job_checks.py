"""What no single field of a job can know: contradictions between fields, and names that other packages define."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.job import DeviceSection, Job

Problem = tuple[str, object, str]  # key, what came, what is legal


def one_of(names: list[str], came: str) -> str:
    """The legal names in words, with the nearest one to what came."""
    close = difflib.get_close_matches(came, names, 1)
    return "one of " + ", ".join(names) + (f"; did you mean {close[0]}?" if close else "")


TEXTS = ("bible-kjv", "text-file")
SEQUENCES = (*TEXTS, "copy-recall", "digits-pixels")  # data sets of tokens; the others are images


def problems_of(job: Job) -> Iterator[Problem]:
    """Every contradiction between fields, and every name that is not known here."""
    yield from _data_problems(job)
    yield from _space_problems(job)
    train, search = job.train, job.search
    if train.warmup_epochs >= train.epochs:
        yield "train.warmup_epochs", train.warmup_epochs, f"less than train.epochs ({train.epochs})"
    if search.population > search.evaluations:
        yield "search.population", search.population, f"at most search.evaluations ({search.evaluations})"
    if search.window > search.evaluations:
        yield "search.window", search.window, f"at most search.evaluations ({search.evaluations})"
    if len(set(search.controls)) < len(search.controls):
        yield "search.controls", list(search.controls), "each control once"
    yield from searcher_problems(search.searcher, search.window)
    seen: set[str] = set()
    for index, device in enumerate(job.devices):
        if device.name in seen:
            yield f"devices[{index}].name", device.name, "a name that no other device of the job has"
        seen.add(device.name)
        yield from _device_problems(f"devices[{index}]", device)


def searcher_problems(name: str, window: int) -> Iterator[Problem]:
    """Why a searcher of that name cannot search, or not with that window."""
    from nas.errors import JobError
    from nas.search.base import get_searcher, searcher_names

    try:
        get_searcher(name)
    except JobError:
        yield "search.searcher", name, one_of(searcher_names(shares=True), name) + "; or several, joined by +"
        return
    shares = set(searcher_names(shares=True)) - set(searcher_names())
    if window > 1 and (found := shares & {part.partition(":")[0] for part in name.split("+")}):
        yield "search.window", window, f"1: {found.pop()} must know of a share of the images what deserves the next one"


def _data_problems(job: Job) -> Iterator[Problem]:
    data, batch = job.data, job.train.batch_size
    if data.name == "image-folder" and data.folder is None:
        yield "data.folder", None, "a folder with one folder of images a class; image-folder needs it"
    if data.name not in ("image-folder", "fashion-mnist") and data.folder is not None:
        yield "data.folder", str(data.folder), f"null: {data.name} is not read from a folder of images"
    elif data.folder is not None and not os.path.isdir(data.folder):
        yield "data.folder", str(data.folder), "an existing folder (a relative path starts at the job file's folder)"
    if data.name != "image-folder" and data.image_size is not None:
        yield "data.image_size", data.image_size, f"null: the images of {data.name} have their own size"
    if data.name == "text-file" and data.path is None:
        yield "data.path", None, "a text file, or a folder of them; text-file needs it"
    if data.path is not None and data.name not in TEXTS:
        yield "data.path", str(data.path), f"null: only {' and '.join(TEXTS)} are read from a path"
    elif data.path is not None and not os.path.exists(data.path):
        yield (
            "data.path",
            str(data.path),
            "an existing file or folder (a relative path starts at the job file's folder)",
        )
    if data.name == "copy-recall" and data.context % 8:
        yield "data.context", data.context, "a multiple of 8 for copy-recall"
    if data.limit is not None and data.limit * (1 - data.search_fraction) < batch:
        least = int(batch / (1 - data.search_fraction)) + 1
        yield "data.limit", data.limit, f"at least {least}, so that the train split fills a batch of {batch}"


def _space_problems(job: Job) -> Iterator[Problem]:
    import search_spaces  # lazily: PyTorch is slow to import, and a job with a mistyped key needs none of it
    from search_spaces.errors import SpaceError

    space, sequences = job.space, job.data.name in SEQUENCES
    if space.resolutions is not None and list(space.resolutions) != sorted(set(space.resolutions)):
        yield "space.resolutions", list(space.resolutions), "ascending, each side once"
    elif space.name not in search_spaces.space_names():
        yield "space.name", space.name, one_of(list(search_spaces.space_names()), space.name)
    elif (space.definition is not None) != (space.name == "custom"):
        yield "space.definition", space.definition, "given where space.name is custom, and only there"
    elif space.name != "custom" and space.preset not in search_spaces.presets(space.name):
        yield "space.preset", space.preset, one_of(list(search_spaces.presets(space.name)), space.preset)
    elif space.name != "custom" and sequences != (space.name == "hybrid-sequence"):
        legal = "hybrid-sequence" if sequences else "a space of images"
        yield "space.name", space.name, f"{legal}, as data.name is {job.data.name}"
    elif not sequences and space.resolutions is None and "resolutions" not in (space.definition or {}):
        yield "space.resolutions", None, "input sides in pixels, ascending; images need them"
    elif not sequences and space.context is not None:
        yield "space.context", list(space.context), "null: images have space.resolutions"
    elif sequences and space.resolutions is not None:
        yield "space.resolutions", list(space.resolutions), "null: sequences have space.context"
    elif sequences and (problem := _context_problem(job)) is not None:
        yield problem
    else:
        try:  # channels and classes come from the data later and cannot make a space illegal
            search_spaces.make_space(
                {**space_definition(job), **({} if sequences else {"in_channels": 1, "classes": 10})}
            )
        except SpaceError as error:
            own = space.definition is not None
            given = f"a mapping with {', '.join(space.definition or ())}" if own else space.model_dump(mode="json")
            yield "space.definition" if own else "space", given, str(error)
    if not sequences:
        for index, device in enumerate(job.devices):
            if device.mode == "decode":
                yield f"devices[{index}].mode", "decode", "forward: images are not decoded token by token"


def _context_problem(job: Job) -> Problem | None:
    """Contexts that the data cannot serve."""
    given, whole = list(job.space.context or ()), 64 if job.data.name == "digits-pixels" else job.data.context
    if not given:
        return None
    if given != sorted(set(given)) or any(whole % context for context in given):
        return "space.context", given, f"ascending, each a divisor of the {whole} tokens a sequence of the data"
    if job.data.name == "copy-recall" and given != [whole]:
        return "space.context", given, f"{[whole]} alone: a part of a copy-recall sequence has no answer"
    if given[-1] != whole and job.data.name in TEXTS:
        return "space.context", given, f"contexts up to data.context ({whole}), which the windows have"
    return None


def space_definition(job: Job) -> dict[str, Any]:
    """The definition of the job's space as far as the job gives it; what is left out comes from the data."""
    given = job.space.model_dump(mode="json", exclude_none=True)
    if job.space.definition is not None:
        shared: dict[str, Any] = {key: given[key] for key in ("resolutions", "context") if key in given}
        given = {**job.space.definition, **shared, "name": "custom"}
    if job.data.name in SEQUENCES:
        given.setdefault("context", [64 if job.data.name == "digits-pixels" else job.data.context])
    return given


def _device_problems(key: str, device: DeviceSection) -> Iterator[Problem]:
    goal, limit = device.goal_latency_ms, device.max_latency_ms
    if goal is not None and limit is not None and goal > limit:
        yield f"{key}.goal_latency_ms", goal, f"a number above 0, at most {key}.max_latency_ms ({limit})"
    from hardware.hosts import LOCAL, device_files
    from hardware.runtimes import runtime_names, runtime_precisions

    if device.runtime not in runtime_names():
        yield f"{key}.runtime", device.runtime, one_of(list(runtime_names()), device.runtime)
    elif device.precision not in (legal := runtime_precisions(device.runtime)):
        yield f"{key}.precision", device.precision, one_of(list(legal), device.precision)
    if device.device not in (known := (LOCAL, *device_files())):
        yield f"{key}.device", device.device, one_of(list(known), device.device)
    if device.table is None:
        return
    if not os.path.exists(device.table):
        legal_table = "an existing latency table (`nas profile`) or calibration (`nas latency --calibrate`)"
        yield f"{key}.table", str(device.table), legal_table
        return
    from nas.errors import JobError
    from nas.latency.source import conditions_of

    try:
        conditions = conditions_of(device.table)
    except JobError as error:
        yield f"{key}.table", str(device.table), f"a readable latency table, or a finished calibration ({error})"
        return
    for name, measured in conditions.items():
        if measured is not None and measured != getattr(device, name):
            yield f"{key}.table", str(device.table), f"one for {name} {getattr(device, name)}, not {measured}"
