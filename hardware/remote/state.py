"""What a device is and the state it is in, read with one shell command; what cannot be read is None, nothing is made up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hardware.transports import Transport

# every line stands for itself: on some devices some of these files and programs are missing
_SCRIPT = """
echo @machine; uname -m
echo @os; uname -sr
echo @cpuinfo; cat /proc/cpuinfo
echo @load; cat /proc/loadavg
echo @memory; grep -i -e MemTotal -e MemAvailable /proc/meminfo
echo @governor; cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor | sort -u
echo @khz; cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq
echo @temperature; cat /sys/class/thermal/thermal_zone*/temp
echo @model; cat /proc/device-tree/model; getprop ro.product.model
echo @android; getprop ro.build.version.release
echo @battery; cat /sys/class/power_supply/*/status
"""

ARM_FIELDS = ("CPU implementer", "CPU part", "Features")
X86_FIELDS = ("vendor_id", "flags")


def read_state(transport: Transport) -> dict[str, list[str]]:
    """Section -> its lines, as the device printed them.

    Raises:
        LinkError, HardwareError: the device cannot be reached.
    """
    out = transport.run(f"({_SCRIPT}) 2>/dev/null").out.decode(errors="replace").replace("\0", "\n")
    sections: dict[str, list[str]] = {}
    name = ""
    for line in out.splitlines():
        if line.startswith("@"):
            name = line[1:]
            sections[name] = []
        elif name and line.strip():
            sections[name].append(line.strip())
    return sections


def description(state: dict[str, list[str]]) -> dict[str, Any]:
    """The device: machine, model, cores, memory, system; ``emulated``: its processor claims to be another kind than the
    program it runs, as under qemu-user."""
    fields = [line.partition(":") for line in state.get("cpuinfo", [])]
    info = {name.strip(): value.strip() for name, colon, value in fields if colon}
    cores = sum(name.strip() == "processor" for name, _, _ in fields)
    machine = _first(state, "machine")
    memory = [line.split() for line in state.get("memory", []) if line.startswith("MemTotal")]
    return {
        "machine": machine,
        "model": _first(state, "model") or info.get("model name") or info.get("Hardware"),
        "cpu": info.get("model name") or info.get("CPU part"),
        "cores_logical": cores or None,
        "memory_gib": round(int(memory[0][1]) / 2**20, 1) if memory else None,
        "os": _first(state, "os"),
        "android": _first(state, "android"),
        "emulated": _emulated(machine, info),
    }


def _emulated(machine: str | None, info: dict[str, str]) -> bool:
    arm, x86 = any(name in info for name in ARM_FIELDS), any(name in info for name in X86_FIELDS)
    if machine in ("aarch64", "armv7l"):
        return x86 and not arm
    return machine in ("x86_64", "i686") and arm and not x86


def state_record(state: dict[str, list[str]], threads: int) -> dict[str, Any]:
    """As `hardware.device.conditions`, of the device: load, governor, clocks, temperature, battery, with warnings."""
    load = _first(state, "load")
    load_1min = float(load.split()[0]) if load else None
    temperatures = [int(t) / 1000 for t in state.get("temperature", []) if t.lstrip("-").isdigit() and int(t) > 0]
    clocks = [int(k) / 1000 for k in state.get("khz", []) if k.isdigit()]
    warnings = []
    if load_1min is not None and load_1min > threads + 1:
        warnings.append(f"the device's 1-minute load was {load_1min:.1f} with {threads} thread(s) under test")
    if "Charging" in state.get("battery", []):
        warnings.append("the device was charging: it may be warmer and faster than on its battery")
    return {
        "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_1min": load_1min,
        "governor": ", ".join(state.get("governor", [])) or None,
        "cpu_mhz": max(clocks) if clocks else None,
        "temperature_c": max(temperatures) if temperatures else None,
        "battery": ", ".join(sorted(set(state.get("battery", [])))) or None,
        "warnings": warnings,
    }


def _first(state: dict[str, list[str]], name: str) -> str | None:
    lines = state.get(name, [])
    return lines[0] if lines else None
