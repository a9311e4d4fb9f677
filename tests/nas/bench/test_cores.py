"""The cores' bench: every core equals its recurrence, and every ratio has its interval."""

import pytest

from nas.bench.cores import bench_cores, cases
from nas.errors import JobError
from nas.progress import Silent


@pytest.mark.parametrize("tokens", [2, 40])
def test_every_core_is_timed_and_equals_its_recurrence(tokens: int) -> None:
    result = bench_cores([tokens], 2, 6, 2, "cpu", 0, Silent())
    assert result["max_relative_error"] < 1e-5
    assert {row["core"] for row in result["rows"]} == {case.name for case in cases(tokens, 1, "cpu", 0)}
    for row in result["rows"]:
        assert row["ms_low"] <= row["ms"] <= row["ms_high"]
        if row["core"] != "sdpa":
            assert result[f"{row['core']}_over_sdpa_{tokens}"] == row["over_sdpa"] > 0
            assert row["over_recurrence"] > 0


def test_a_card_that_is_not_there_is_refused() -> None:
    import torch

    if not torch.cuda.is_available():
        with pytest.raises(JobError, match="legal here: cpu"):
            bench_cores([8], 1, 6, 0, "cuda", 0, Silent())
