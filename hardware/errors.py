"""The errors of this floor."""

from __future__ import annotations


class HardwareError(ValueError):
    """Something about a device, a runtime, a measurement or a latency table is not as it must be.

    The message names the argument or key, what came and what is legal.
    """


class RefusedError(HardwareError):
    """A runtime cannot run some of what it was given; ``reasons``: key -> why not."""

    def __init__(self, runtime: str, reasons: dict[str, str], total: int) -> None:
        self.reasons = reasons
        (key, reason), more = next(iter(reasons.items())), len(reasons) - 1
        others = f" (and {more} more)" if more else ""
        super().__init__(f"runtime {runtime!r} refuses {len(reasons)} of {total}: {key!r}: {reason}{others}")
