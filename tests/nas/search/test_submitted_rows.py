"""What is submitted ahead is built once, scored once, and answered as it is without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from nas.job_file import parse_job
from nas.metric import ACCURACY
from nas.run import RunDirectory
from nas.search import run_search
from nas.search.evaluation import Task, Workers
from nas.search.evaluator import CACHE, InheritedQuality
from search_spaces import Architecture
from tests.conftest import SMALL_JOB


class Counted:
    """A space that notes which rows are built."""

    def __init__(self, space: Any) -> None:
        self._space = space
        self.built: list[bytes] = []

    def architecture(self, row: np.ndarray) -> Architecture:
        self.built.append(row.tobytes())
        return self._space.architecture(row)


class Hashing(Workers):
    """Scores that differ from row to row."""

    def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
        return ((task, crc32(repr(task).encode()) / 2**32) for task in tasks)


@pytest.mark.parametrize("window", [1, 5])
def test_every_row_is_built_once_and_nothing_changes(known: Any, tmp_path: Path, window: int) -> None:
    arguments = {"evaluations": 20, "population": 6, "window": window}
    found, files = [], []
    for ahead in (True, False):
        space = Counted(known.space)
        evaluation: Any = SimpleNamespace(
            supernet=SimpleNamespace(space=space), data=SimpleNamespace(metric=ACCURACY), examples=40
        )
        with RunDirectory.create(tmp_path / str(ahead), parse_job(SMALL_JOB)) as run:
            evaluate = InheritedQuality(run, evaluation, Hashing())
            asked = evaluate if ahead else lambda X, evaluate=evaluate: evaluate(X)
            found.append(run_search(known.space, "nsga2", asked, known.latency, **arguments))
            files.append(run.file(CACHE).read_bytes())
        assert len(space.built) == len(set(space.built)) == 20
    assert np.array_equal(found[0].X, found[1].X)
    assert np.array_equal(found[0].quality, found[1].quality)
    assert files[0] == files[1]
