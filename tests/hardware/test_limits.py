"""The fraction of a card's limits: by hand for the one card in the table, and nothing for the others."""

import pytest

from hardware import HardwareError
from hardware.runtimes.cuda import CudaRuntime
from hardware.runtimes.limits import PEAKS, reached

H200 = "NVIDIA H200"


def test_a_copy_at_full_bandwidth_reaches_the_memory_limit() -> None:
    found = reached(H200, "fp32", macs=0, bytes_moved=4.8e9, ms=1)  # 4.8 TB/s is 4.8 GB a millisecond
    assert found is not None
    assert found.fraction == found.memory == pytest.approx(1)
    assert (found.compute, found.bound) == (0, "memory")


def test_a_matrix_product_counts_two_operations_a_multiply_add() -> None:
    size = 8192
    macs, moved = size**3, 3 * size**2 * 2
    ms = 2 * macs / 989.5e12 * 1e3 / 0.8  # what bf16 takes at 80 % of the dense peak
    found = reached(H200, "bf16", macs, moved, ms)
    assert found is not None
    assert found.compute == pytest.approx(0.8)
    assert found.bound == "compute"
    in_fp32 = reached(H200, "fp32", macs, moved, ms)
    assert in_fp32 is not None
    assert in_fp32.compute > 1  # without tensor cores such a time is impossible
    assert in_fp32.memory == found.memory


def test_twice_the_time_is_half_the_fraction() -> None:
    fast, slow = (reached(H200, "fp16", 1e9, 1e6, ms) for ms in (0.5, 1.0))
    assert fast is not None
    assert slow is not None
    assert fast.fraction == pytest.approx(2 * slow.fraction)


def test_there_are_figures_for_every_precision_of_the_runtime_and_none_are_made_up() -> None:
    assert set(PEAKS[H200].flops) == set(CudaRuntime.precisions)
    assert reached("NVIDIA H200 NVL", "bf16", 1, 1, 1) is None
    assert reached(H200, "int8", 1, 1, 1) is None


@pytest.mark.parametrize(
    ("macs", "moved", "ms", "said"),
    [(1, 1, 0, "ms must be above 0"), (-1, 1, 1, "macs must not"), (1, -1, 1, "bytes_moved must not")],
)
def test_impossible_figures_are_refused(macs: float, moved: float, ms: float, said: str) -> None:
    with pytest.raises(HardwareError, match=said):
        reached(H200, "fp32", macs, moved, ms)
