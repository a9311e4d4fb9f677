"""The current GPU through NVIDIA's management library (package nvidia-ml-py): clocks, temperature, power, energy.

Whatever cannot be read is None. The library is optional, and drivers and virtual machines refuse some readings.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

# Bits of nvmlDeviceGetCurrentClocksEventReasons (nvml.h, nvmlClocksEventReasons).
REASONS = {
    0x001: "idle",
    0x002: "application clocks",
    0x004: "power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "power brake",
    0x100: "display clocks",
}
SLOWED = frozenset(
    ("power cap", "hardware slowdown", "software thermal slowdown", "hardware thermal slowdown", "power brake")
)
"""The reasons that make a measurement slower than the card is: the others are choices, or nothing to do."""


def clock_reasons(bits: int) -> list[str]:
    """The reasons in a bit mask of NVML, by name; a bit that is not known is given as hexadecimal."""
    found = [name for bit, name in REASONS.items() if bits & bit]
    unknown = bits & ~sum(REASONS)
    return [*found, hex(unknown)] if unknown else found


def gpu_state() -> dict[str, Any] | None:
    """sm_mhz, memory_mhz, temperature_c, power_mw and clock_reasons of torch's current GPU; None without one in use."""
    torch = sys.modules.get("torch")  # a run that never imported torch uses no GPU through it
    if torch is None or not torch.cuda.is_available():
        return None
    device = current_gpu()
    state: dict[str, Any] = dict.fromkeys(("sm_mhz", "memory_mhz", "temperature_c", "power_mw", "clock_reasons"))
    if device is None:
        return state
    import pynvml

    bits = reading(lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(device))
    return {
        "sm_mhz": reading(lambda: pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_SM)),
        "memory_mhz": reading(lambda: pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_MEM)),
        "temperature_c": reading(lambda: pynvml.nvmlDeviceGetTemperature(device, pynvml.NVML_TEMPERATURE_GPU)),
        "power_mw": reading(lambda: pynvml.nvmlDeviceGetPowerUsage(device)),
        "clock_reasons": None if bits is None else clock_reasons(bits),
    }


def current_gpu() -> Any | None:
    """NVML's handle of torch's current GPU, or None where there is no GPU, library or driver.

    It is found by its UUID: NVML counts all cards of the machine, CUDA those that CUDA_VISIBLE_DEVICES leaves.
    """
    try:
        import pynvml
        import torch

        if not torch.cuda.is_available():
            return None
        uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        pynvml.nvmlInit()  # counted by the library; a second one costs nothing
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except Exception:
        return None


def reading(read: Callable[[], Any]) -> Any | None:
    """What `read` gives, or None where the driver refuses it or the library is too old to ask."""
    try:
        return read()
    except Exception:
        return None
