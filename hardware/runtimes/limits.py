"""How close a measured time comes to what a GPU can do at most: the roofline of its arithmetic and its memory.

The model is that of Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", Communications of the ACM 52 (4), 2009. Peaks are the vendor's, at boost clocks that a hot card does
not hold, so that a fraction of 1 is out of reach.
"""

from __future__ import annotations

from dataclasses import dataclass

from hardware.errors import HardwareError


@dataclass(frozen=True)
class Peak:
    """A card's limits. flops: precision -> floating-point operations a second, dense; bandwidth: bytes a second."""

    flops: dict[str, float]
    bandwidth: float


PEAKS = {
    # NVIDIA H200 Tensor Core GPU datasheet, column H200 SXM: FP32 67 TFLOPS, BFLOAT16 and FP16 tensor cores 1979 TFLOPS
    # with sparsity, half of that dense; 4.8 TB/s. The fp32 here is without TF32. The NVL card has other figures and name.
    "NVIDIA H200": Peak({"fp32": 67e12, "bf16": 989.5e12, "fp16": 989.5e12}, 4.8e12),
}


@dataclass(frozen=True)
class Reached:
    """Fractions of the card's limits in one run: of its arithmetic, of its memory bandwidth."""

    compute: float
    memory: float

    @property
    def fraction(self) -> float:
        """The larger one: the shortest time that the card allows, over the measured one."""
        return max(self.compute, self.memory)

    @property
    def bound(self) -> str:
        """Which limit is the nearer one: "compute" or "memory"."""
        return "compute" if self.compute > self.memory else "memory"


def reached(card: str, precision: str, macs: float, bytes_moved: float, ms: float) -> Reached | None:
    """What a run of `ms` milliseconds reached of the limits of that card; None for a card or precision without figures.

    card: as `torch.cuda.get_device_name` gives it. macs: multiply-adds a run, two operations each. bytes_moved: the least
    that must go through the card's memory in a run: weights, inputs and outputs, each once. Where all of it stays in the
    L2 cache from run to run, the memory's fraction can pass 1. Raises HardwareError for ms that is not above zero, or a
    negative macs or bytes_moved.
    """
    if not ms > 0:
        raise HardwareError(f"ms must be above 0, got {ms}")
    for name, value in (("macs", macs), ("bytes_moved", bytes_moved)):
        if value < 0:
            raise HardwareError(f"{name} must not be negative, got {value}")
    peak = PEAKS.get(card)
    if peak is None or precision not in peak.flops:
        return None
    seconds = ms / 1e3
    return Reached(2 * macs / seconds / peak.flops[precision], bytes_moved / seconds / peak.bandwidth)
