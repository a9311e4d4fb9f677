"""Claim: every mistake in a job or architecture file ends with a message that names the key, code 2, nothing written."""

from __future__ import annotations

import copy
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml

import hardware
from nas.job_file import JOBS
from nas.progress import Progress
from search_spaces import get_space

TABLE = Path(hardware.__file__).parent / "tables" / "hybrid-vision-tiny" / "amd-epyc" / "torch-fp32"  # any would do
WRONG: tuple[Any, ...] = (
    -1,
    0,
    1e30,
    float("nan"),
    "many",
    "",
    True,
    None,
    [],
    {},
    [1, "a"],
    {"x": 1},
    "../../etc",
    -0.5,
    10**12,
)


def bench_mutations(count: int, seed: int, progress: Progress) -> dict[str, Any]:
    """Half of ``count`` wrong job files for `nas run`, half wrong architecture files for `nas latency`, through the real
    command line in this process.

    A mutation that leaves the file legal is drawn again. Each wrong file must give exit code 2, a message that names the
    mutated key, no traceback, and an empty folder where output would have gone.

    Returns:
        count, refused (as it should be), and bad: what was not, with file and message.
    """
    from nas.cli import main

    rng = np.random.default_rng(seed)
    bad: list[dict[str, Any]] = []
    refused, number = 0, 0
    advance = progress.task("wrong files", count)
    job = yaml.safe_load((JOBS / "quickstart.yaml").read_text())
    space = get_space("hybrid-vision/tiny")
    with TemporaryDirectory() as temporary:
        work = Path(temporary)
        while number < count:
            if number % 2:
                file, key = work / "architecture.json", ""
                data, key = mutate(space.architecture(space.sample(1, rng)[0]).to_json(), rng)
                file.write_text(json.dumps(data))
                arguments = ["latency", str(file), "--table", str(TABLE), "--json"]
            else:
                file = work / "job.yaml"
                data, key = mutate(job, rng)
                file.write_text(yaml.safe_dump(data))
                arguments = ["run", str(file), "--out", str(work / "out"), "--dry-run"]
            if _legal(data, number % 2 == 1, file):
                continue
            if not number % 2:
                arguments.remove("--dry-run")  # surely wrong: it must be refused before any work starts
            code, text = _call(main, arguments)
            number += 1
            advance(number)
            named = key.split(".")[-1] in text
            if code == 2 and named and "Traceback" not in text and not (work / "out").exists():
                refused += 1
            else:
                bad.append({"key": key, "code": code, "message": text[-500:]})
    return {"count": count, "seed": seed, "refused": refused, "bad": bad}


def mutate(data: dict[str, Any], rng: np.random.Generator) -> tuple[dict[str, Any], str]:
    """A copy of ``data`` with one key renamed, dropped, added or given a wrong value; and that key's path."""
    data = copy.deepcopy(data)
    paths = list(_paths(data))
    path = paths[rng.integers(len(paths))]
    holder: Any = data
    for part in path[:-1]:
        holder = holder[part]
    last, action = path[-1], ("value", "value", "value", "rename", "drop", "add")[rng.integers(6)]
    if action == "value" or isinstance(last, int):
        holder[last] = copy.deepcopy(WRONG[rng.integers(len(WRONG))])
    elif action == "rename":
        holder[f"{last}x"] = holder.pop(last)
        last = f"{last}x" if rng.integers(2) else last
        return data, ".".join(map(str, [*path[:-1], f"{path[-1]}"]))
    elif action == "drop":
        del holder[last]
    else:
        holder["surprise"] = 1
        return data, "surprise"
    named = [str(part) for part in path if not isinstance(part, int)]
    return data, ".".join(named)


def _paths(data: Any, before: tuple[Any, ...] = ()) -> Any:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*before, key)
        yield from _paths(value, (*before, key))


def _legal(data: dict[str, Any], architecture: bool, file: Path) -> bool:
    from nas.job_file import load_job
    from search_spaces import Architecture

    try:
        if architecture:
            Architecture.from_json(json.loads(file.read_text()))
        else:
            load_job(file)
    except ValueError:
        return False
    return True


def _call(main: Any, arguments: list[str]) -> tuple[int, str]:
    """Exit code and everything printed; an escaped exception counts as code -1."""
    import traceback

    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        try:
            code = main(arguments)
        except BaseException:
            return -1, out.getvalue() + traceback.format_exc()
    return code, out.getvalue()
