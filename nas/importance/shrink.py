"""A smaller space for a run's next search: without the choices that are surely worse than another and surely no faster."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from scipy.stats import norm

from nas.errors import JobError
from nas.files import write_atomically
from nas.importance.definition import custom_definition
from nas.importance.study import Importance
from nas.job import Job
from nas.job_file import parse_job
from nas.session import Session, table_folder
from predictors.marginal import Pool, pools
from predictors.translation import Translation
from search_spaces import SearchSpace, make_space

LEVEL = 0.05  # chance of being no worse or faster, below which a choice is removed
FASTER = 0.002  # of the mean latency: less is no faster
STAGE = "stage"  # only genes of stages can be restricted in a file

Rows = NDArray[np.int16]


@dataclass(frozen=True)
class Smaller:
    """Attributes: space: the smaller one. removed: columns gene, value, better (the value it is worse than), gain (of the
    metric, where more is better) and chance (at most: that it is no worse, or faster). before, after: how many networks."""

    space: SearchSpace
    removed: pd.DataFrame
    before: int
    after: int

    @property
    def text(self) -> str:
        """How much smaller, in one sentence."""
        factor = self.before / self.after
        return f"{len(self.removed)} choices removed: {self.after:.3g} of {self.before:.3g} networks, {factor:.3g} times fewer"


def shrink(found: Importance, name: str) -> Smaller:
    """The space of a run without what carries nothing.

    A value of the genes of a stage is removed where it is surely worse than another one and surely no faster on any device:
    the chances that it is no worse, given the evaluations, and that it is faster on each device, given how far the latency
    predictor may be off there, add up to less than `LEVEL`. Each counts with what it activates, on average over the layers. A
    value that a member of a front has stays. The model expects values alike, so that of many values few stand out by luck
    (Gelman, Hill and Yajima, "Why we (usually) don't have to worry about multiple comparisons", 2012).

    Raises:
        JobError: the evaluations are too few to tell, the error of a device's latencies is not known, nothing can be removed,
            or the space cannot be written to a file.
    """
    if not found.held_out.tells:
        raise JobError(f"--shrink: {found.verdict}; legal: a run with more evaluations (search.evaluations)")
    for device, latency in found.latency.items():
        if np.isnan(latency.off_ms):
            raise JobError(
                f"--shrink: the latency table of {device!r} has no whole networks, so nothing tells how far its latencies are "
                "off; legal: a table with them (`nas profile`)"
            )
    space = found.space
    removed = _dominated(found)
    if removed.empty:
        raise JobError(
            "--shrink: no choice is surely worse than another and surely no faster; legal: a run with more evaluations, or "
            "with latency tables of a smaller error"
        )
    allowed = {
        str(gene): [v for v in _values(space, str(gene)) if v not in set(part["value"])]
        for gene, part in removed.groupby("gene")
    }
    smaller = make_space(custom_definition(space.restrict(allowed), name))
    Translation(smaller, space)  # its networks are networks of the run's space
    return Smaller(smaller, removed, space.size(), smaller.size())


def write_job(session: Session, smaller: Smaller, path: Path) -> Job:
    """The run's job for the smaller space as a file, with the run's own latency tables: nothing is measured again.

    Raises:
        JobError: the path is no YAML file, or the job is illegal.
    """
    if path.suffix not in (".yaml", ".yml"):
        raise JobError(f"--shrink: got {str(path)!r}; legal: the path of a .yaml file")
    data = session.job.to_dict()
    data["name"] = f"{session.job.name[:57]}-small"
    definition = {
        key: value for key, value in smaller.space.definition.items() if key not in ("in_channels", "classes")
    }
    data["space"] = {"name": "custom", "definition": definition}
    for section, device in zip(data["devices"], session.job.devices, strict=True):
        section["table"] = str(session.run.file(table_folder(device)).resolve())
    job = parse_job(data, source=str(path))
    head = f"# The job of {session.run.path.name}, for a smaller space: {smaller.text}.\n"
    write_atomically(path, (head + yaml.safe_dump(_plain(data), sort_keys=False, allow_unicode=True)).encode())
    return job


def _dominated(found: Importance) -> pd.DataFrame:
    groups: dict[str, list[Pool]] = {}
    for pool in pools(found.space, found.score.terms, within_stages=True):
        if pool.gene.startswith(STAGE):
            groups.setdefault(pool.gene, []).append(pool)
    rows: list[dict[str, Any]] = []
    for gene, values in groups.items():
        for value in values:
            if any(((found.front[:, g] == v) & found.space.active(found.front)[:, g]).any() for g, v in value.places):
                continue
            others = [other for other in values if other is not value]
            shares = np.array([other.shares - value.shares for other in others])
            gain, error = found.score.sums(shares)
            chance = norm.sf(gain / np.maximum(error, 1e-12))
            for latency in found.latency.values():
                slower, off = latency.sums(shares)  # the others, beyond the value
                chance = chance + norm.sf((FASTER * latency.mean_ms - slower) / np.maximum(off, 1e-12))
            best = int(chance.argmin())
            rows.append(
                {
                    "gene": gene,
                    "value": value.value,
                    "better": others[best].value,
                    "gain": gain[best],
                    "chance": float(chance[best]),
                }
            )
    table = pd.DataFrame(rows, columns=["gene", "value", "better", "gain", "chance"])
    return table[table["chance"] < LEVEL].sort_values("chance", kind="stable", ignore_index=True)


def _values(space: SearchSpace, pattern: str) -> list[Any]:
    """The values of the genes of that pattern, in their order."""
    return list(space.choices[space.index[fnmatch.filter(space.index, pattern)[0]]].values)


def _plain(value: Any) -> Any:
    """Without tuples, which YAML has not."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
