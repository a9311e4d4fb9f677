"""The one error class of this floor."""

from __future__ import annotations


class HardwareError(ValueError):
    """Something about a device, a runtime, a measurement or a latency table is not as it must be.

    The message names the argument or key, what came and what is legal.
    """
