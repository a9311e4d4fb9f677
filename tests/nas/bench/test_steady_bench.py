"""Workers by a simulated clock: as busy as an event by event simulation says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.bench.steady import Crew
from nas.cli import main


def simulated(steps: list[tuple[list[float], int]], workers: int, tick: float) -> float:
    """When the last wait ends: rows are (seconds) submitted, then waited for up to a number of them; tick by tick."""
    now, queue, running, done, submitted = 0.0, [], {}, set(), 0
    for seconds, wanted in steps:
        for one in seconds:
            queue.append((submitted, one))
            submitted += 1
        while True:
            done |= {row for row, end in running.items() if end <= now + tick / 2}
            running = {row: end for row, end in running.items() if row not in done}
            while queue and len(running) < workers:
                row, one = queue.pop(0)
                running[row] = now + one
            if set(range(min(wanted, submitted))) <= done:
                break
            now += tick
    return now


@given(
    steps=st.lists(st.tuples(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 3)), min_size=1, max_size=6),
    workers=st.integers(1, 6),
)  # fmt: skip
def test_a_crew_takes_rows_in_turn(steps: list[tuple[list[int], int]], workers: int) -> None:
    crew, submitted, plan = Crew(workers), 0, []
    for seconds, out in steps:
        for one in seconds:
            crew.submit(bytes([submitted]), float(one))
            submitted += 1
        plan.append(([float(one) for one in seconds], max(submitted - out, 1)))
        crew.wait([bytes([row]) for row in range(max(submitted - out, 1))])
    assert crew.now == pytest.approx(simulated(plan, workers, 1.0))
    assert crew.work == sum(sum(seconds) for seconds, _ in steps)


def test_the_command_says_what_batches_and_windows_cost(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    codes = np.stack(np.meshgrid(*[np.arange(3)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    frame = pd.DataFrame(codes, columns=list("abcd"))
    frame["accuracy"], frame["ms"] = codes @ [1.0, 0.5, 2.0, 0.1], codes @ [1.0, 1.0, 3.0, 0.2]
    frame.to_csv(tmp_path / "table.csv", index=False)
    command = f"bench steady --table {tmp_path}/table.csv --genes a,b,c,d --maximize accuracy --minimize ms --budget 60"
    options = "--searchers random,nsga2 --population 10 --windows 1,10 --crews 4,20 --deviation 0 --seeds 2 --json"
    assert main([*command.split(), *options.split()]) == 0
    rows = json.loads(capfd.readouterr().out)["rows"]
    assert [(row["searcher"], row["window"]) for row in rows] == [
        (name, window) for name in ("random", "nsga2") for window in (1, 10)
    ]
    for row in rows:  # of unit times: three rounds for ten rows on four workers, or fifteen for all sixty
        assert row["busy_4_mean"] == pytest.approx(10 / 12 if row["window"] == 1 else 1.0)
        assert 0 < row["missing_hypervolume_mean"] < 1
    assert rows[0]["busy_20_mean"] == pytest.approx(0.5)
    assert main([*command.split(), "--searchers", "halving"]) == 2
    assert "halving" in capfd.readouterr().err
