"""Counters of energy: the processor's own (RAPL), the GPU's (NVML), a battery's gauge. No counter, no figure.

RAPL and gauges are files of Linux: Documentation/power/powercap/powercap.rst and Documentation/ABI/testing/sysfs-class-power
of the kernel's sources.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from hardware.errors import HardwareError
from hardware.nvml import current_gpu, reading

JOULES_PER_MICROWATT_HOUR = 3600e-6


class EnergyCounter(ABC):
    """Energy since the counter was made. name: what is counted, as it goes into records."""

    name: str

    @abstractmethod
    def joules(self) -> float:
        """Joules used since the first reading. Raises HardwareError when the counter can no longer be read."""


def energy_counter(kind: str = "cpu", root: Path = Path("/sys")) -> EnergyCounter | None:
    """The counter of this machine's CPU (RAPL, else a battery that is being discharged) or current GPU; None without one.

    kind: "cpu" or "cuda". root: where the kernel's files are mounted. RAPL's files are readable by root only, by default.
    """
    if kind == "cuda":
        device = current_gpu()
        found = NvmlCounter(device) if device is not None else None
        return found if found is not None and found.usable else None
    if kind != "cpu":
        raise HardwareError(f"energy counters are of kind cpu, cuda, got {kind!r}")
    packages = [zone for zone in sorted(root.glob("class/powercap/intel-rapl:*")) if _is_package(zone)]
    # All or none: the sum over some of the packages is no figure of the machine.
    if packages and all(_number(zone / "energy_uj") is not None for zone in packages):
        return RaplCounter(packages)
    batteries = [supply for supply in sorted(root.glob("class/power_supply/*")) if _is_discharging(supply)]
    if len(batteries) == 1 and _gauge(batteries[0]) is not None:
        return BatteryCounter(batteries[0])
    return None


class RaplCounter(EnergyCounter):
    """Running average power limit counters of processor packages, summed; memory and the rest of the board are not in it.

    A counter starts anew after its range, some minutes to an hour of full power: it must be read more often than that.
    """

    def __init__(self, zones: list[Path]) -> None:
        self.name = "rapl: " + ", ".join((zone / "name").read_text().strip() for zone in zones)
        self._zones = {zone: _required(zone / "energy_uj") for zone in zones}
        self._ranges = {zone: _required(zone / "max_energy_range_uj") for zone in zones}
        self._total = 0.0

    def joules(self) -> float:
        """See `EnergyCounter.joules`."""
        for zone, before in self._zones.items():
            now = _required(zone / "energy_uj")
            step = now - before if now >= before else now - before + self._ranges[zone]
            self._zones[zone] = now
            self._total += step * 1e-6
        return self._total


class NvmlCounter(EnergyCounter):
    """The GPU's whole board since the driver was loaded (nvmlDeviceGetTotalEnergyConsumption, Volta and later)."""

    name = "nvml"

    def __init__(self, device: Any) -> None:
        self._device = device
        self._first = self._millijoules()

    @property
    def usable(self) -> bool:
        """Whether the card has such a counter."""
        return self._first is not None

    def joules(self) -> float:
        """See `EnergyCounter.joules`."""
        now = self._millijoules()
        if now is None or self._first is None:
            raise HardwareError("the GPU's energy counter cannot be read")
        return (now - self._first) / 1e3

    def _millijoules(self) -> int | None:
        import pynvml

        value = reading(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(self._device))
        return None if value is None else int(value)


class BatteryCounter(EnergyCounter):
    """A battery's fuel gauge: the whole device with its screen, in steps of many joules that come seconds apart."""

    def __init__(self, supply: Path) -> None:
        self.name = f"battery: {supply.name}"
        self._supply = supply
        self._last = self._read()
        self._total = 0.0

    def joules(self) -> float:
        """See `EnergyCounter.joules`. Raises HardwareError once the battery is no longer being discharged."""
        if not _is_discharging(self._supply):
            raise HardwareError(f"battery {self._supply.name} is not being discharged: its gauge is no counter")
        now = self._read()
        # The voltage moves with the load: charge is what was taken, at the mean of the voltages before and after.
        self._total += (self._last[0] - now[0]) * (self._last[1] + now[1]) / 2
        self._last = now
        return self._total

    def _read(self) -> tuple[float, float]:
        found = _gauge(self._supply)
        if found is None:
            raise HardwareError(f"battery {self._supply.name}: its gauge cannot be read")
        return found


def _is_package(zone: Path) -> bool:
    """Sub-domains (cores, memory) are parts of a package, and "psys" is all of them again."""
    return (_text(zone / "name") or "").startswith("package")


def _is_discharging(supply: Path) -> bool:
    """A battery of the system, not of a mouse, that gives current now."""
    system = _text(supply / "type") == "Battery" and _text(supply / "scope") != "Device"
    return system and _text(supply / "status") == "Discharging"


def _gauge(supply: Path) -> tuple[float, float] | None:
    """(amount, joules a unit of it): energy in microwatt-hours; or charge in microampere-hours with the voltage."""
    energy = _number(supply / "energy_now")
    if energy is not None:
        return energy, JOULES_PER_MICROWATT_HOUR
    charge, microvolts = _number(supply / "charge_now"), _number(supply / "voltage_now")
    if charge is None or microvolts is None:
        return None
    return charge, JOULES_PER_MICROWATT_HOUR * microvolts * 1e-6


def _required(path: Path) -> float:
    value = _number(path)
    if value is None:
        raise HardwareError(f"energy counter {path.parent.name}: {path.name} cannot be read")
    return value


def _number(path: Path) -> float | None:
    try:
        return float(_text(path) or "")
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
