"""What a device is, and the state it was in. A value that cannot be read is None; none is made up."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hardware.errors import HardwareError
from hardware.nvml import SLOWED, gpu_state

KINDS = ("cpu", "cuda")


@dataclass(frozen=True)
class Device:
    """name: what people call it; kind: "cpu" or "cuda"; description: JSON-able facts, None where unreadable."""

    name: str
    kind: str
    description: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name:
            raise HardwareError("device name is empty")
        if self.kind not in KINDS:
            raise HardwareError(f"device kind must be one of {', '.join(KINDS)}, got {self.kind!r}")

    @classmethod
    def local(cls, kind: str = "cpu") -> Device:
        """This machine's CPU or its current GPU. Raises HardwareError for another kind, or "cuda" without a GPU."""
        if kind not in KINDS:
            raise HardwareError(f"device kind must be one of {', '.join(KINDS)}, got {kind!r}")
        return _local_cpu() if kind == "cpu" else _local_gpu()

    def to_json(self) -> dict[str, Any]:
        """{"name", "kind", "description"}."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Device:
        """The inverse of `to_json`. Raises HardwareError naming the missing key."""
        for key in ("name", "kind"):
            if not isinstance(data.get(key), str):
                raise HardwareError(f"device: key {key!r} must be a text, got {data.get(key)!r}")
        return cls(data["name"], data["kind"], dict(data.get("description") or {}))


def changes(then: Device, now: Device) -> list[str]:
    """What of a device is no longer what it was, as "name: then -> now"; none for one device. A processor is another one with
    other vector instructions, though its maker calls it the same; what either does not tell is not compared."""
    had, has = (device.description.get("instructions") for device in (then, now))
    found = [("device", then.name, now.name)] if then.name != now.name else []
    if had is not None and has is not None and set(had) != set(has):
        found.append(("instructions", ", ".join(had) or "none", ", ".join(has) or "none"))
    return [f"{name}: {before} -> {after}" for name, before, after in found]


def conditions(threads: int = 1) -> dict[str, Any]:
    """The state of this machine now: UTC time, load, governor, clocks, usable cores, GPU state; with warnings.

    A 1-minute load above `threads` + 1 means that others are computing too, and power caps or heat hold a GPU's clocks
    down; those are warnings, not errors.
    """
    load = _load_1min()
    warnings = []
    if load is not None and load > threads + 1:
        warnings.append(f"the 1-minute load was {load:.1f} with {threads} thread(s) under test: others computed too")
    gpu = gpu_state()
    slowed = SLOWED.intersection((gpu or {}).get("clock_reasons") or ())
    if slowed:
        warnings.append(f"the GPU's clocks were held down: {', '.join(sorted(slowed))}")
    return {
        "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_1min": load,
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "cpu_mhz": _number(_cpu_info().get("cpu MHz")),
        "cores_usable": _cores_usable(),
        "openmp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),  # how threads wait: decides latencies with several
        "gpu": gpu,
        "warnings": warnings,
    }


def _local_cpu() -> Device:
    info = _cpu_info()
    model = info.get("model name") or platform.processor() or None
    logical = os.cpu_count()
    flags = info.get("flags", "").split()
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
    description = {
        "model": model,
        "machine": platform.machine() or None,
        "cores_logical": logical,
        "cores_usable": _cores_usable(),
        "memory_gib": _memory_gib(),
        "instructions": [name for name in wanted if name in flags] if flags else None,
        "virtual_machine": "hypervisor" in flags if flags else None,
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_1min": _load_1min(),
    }
    cores = f" ({logical} cores)" if logical else ""
    return Device(f"{model or platform.machine() or 'CPU'}{cores}", "cpu", description)


def _local_gpu() -> Device:
    import torch  # only here: describing a CPU must not cost a second of imports

    if not torch.cuda.is_available():
        raise HardwareError("device kind 'cuda' was asked for, but torch finds no CUDA device here")
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    description = {
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "driver": _nvidia_driver(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "state": gpu_state(),
    }
    return Device(properties.name, "cuda", description)


def _nvidia_driver() -> str | None:
    text = _read("/proc/driver/nvidia/version")
    if text is None:
        return None
    words = text.splitlines()[0].split("Kernel Module")[-1].split()
    return next((word for word in words if word[0].isdigit()), None)


def _cpu_info() -> dict[str, str]:
    """The first processor's fields in /proc/cpuinfo; empty where there is no such file."""
    fields: dict[str, str] = {}
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        name, colon, value = line.partition(":")
        if colon and value.strip():
            fields.setdefault(name.strip(), value.strip())
    return fields


def _cores_usable() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _load_1min() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip() or None
    except OSError:
        return None
