"""Counters over a made-up /sys, and the energy of a run whose power is known."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from hardware import Device, HardwareError, LatencyTable, MeasureSettings, measure
from hardware.energy import EnergyCounter, energy_counter, energy_per_run
from hardware.hosts import DeviceFile, Local, RemoteHost
from hardware.nvml import clock_reasons

RANGE = 262_143_328_850


def write(folder: Path, **files: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name).write_text(f"{value}\n")
    return folder


def zone(root: Path, number: str, name: str, microjoules: int) -> Path:
    folder = root / "class/powercap" / f"intel-rapl:{number}"
    return write(folder, name=name, energy_uj=microjoules, max_energy_range_uj=RANGE)


def battery(root: Path, **files: object) -> Path:
    return write(root / "class/power_supply/BAT0", **{"type": "Battery", "status": "Discharging", **files})


def made(root: Path) -> EnergyCounter:
    counter = energy_counter("cpu", root)
    assert counter is not None
    return counter


def test_packages_are_summed_and_their_parts_are_not_counted_again(tmp_path: Path) -> None:
    first, second = zone(tmp_path, "0", "package-0", 1_000_000), zone(tmp_path, "1", "package-1", 5_000_000)
    parts = [
        zone(tmp_path, "0:0", "core", 0),
        zone(tmp_path, "0:1", "dram", 0),
        zone(tmp_path, "2", "psys", 0),
    ]
    counter = made(tmp_path)
    assert counter.name == "rapl: package-0, package-1"
    assert counter.joules() == 0
    write(first, energy_uj=3_500_000)
    write(second, energy_uj=6_000_000)
    for part in parts:
        write(part, energy_uj=9_000_000)
    assert counter.joules() == pytest.approx(3.5)
    assert counter.joules() == pytest.approx(3.5)


def test_a_counter_that_starts_anew_goes_on(tmp_path: Path) -> None:
    package = zone(tmp_path, "0", "package-0", RANGE - 2_000_000)
    counter = made(tmp_path)
    write(package, energy_uj=1_000_000)
    assert counter.joules() == pytest.approx(3)
    write(package, energy_uj=4_000_000)
    assert counter.joules() == pytest.approx(6)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own may be entered by its owner only."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def as_user(read: Callable[[], EnergyCounter | None]) -> EnergyCounter | None:
    """What `read` gives to a user without root's rights."""
    if os.geteuid():
        return read()
    os.seteuid(65534)
    try:
        return read()
    finally:
        os.seteuid(0)


def test_without_permission_there_is_no_counter(open_folder: Path) -> None:
    zone(open_folder, "0", "package-0", 1)
    closed = zone(open_folder, "1", "package-1", 1) / "energy_uj"
    assert as_user(lambda: energy_counter("cpu", open_folder)) is not None
    closed.chmod(0o400 if os.geteuid() == 0 else 0)
    assert as_user(lambda: energy_counter("cpu", open_folder)) is None


def test_a_counter_that_is_gone_is_an_error_and_not_a_zero(tmp_path: Path) -> None:
    package = zone(tmp_path, "0", "package-0", 1)
    counter = made(tmp_path)
    (package / "energy_uj").unlink()
    with pytest.raises(HardwareError, match="intel-rapl:0: energy_uj cannot be read"):
        counter.joules()


def test_a_gauge_of_energy_falls_as_it_is_used(tmp_path: Path) -> None:
    gauge = battery(tmp_path, energy_now=50_000_000)
    counter = made(tmp_path)
    assert counter.name == "battery: BAT0"
    write(gauge, energy_now=49_000_000)  # one watt-hour less
    assert counter.joules() == pytest.approx(3600)
    write(gauge, status="Charging")
    with pytest.raises(HardwareError, match="not being discharged"):
        counter.joules()


def test_a_gauge_of_charge_is_taken_at_the_mean_voltage(tmp_path: Path) -> None:
    gauge = battery(tmp_path, charge_now=4_000_000, voltage_now=12_000_000)
    counter = made(tmp_path)
    write(gauge, voltage_now=11_000_000)  # the voltage sags under load, and nothing was used yet
    assert counter.joules() == 0
    write(gauge, charge_now=3_999_000, voltage_now=10_000_000)  # 1 mAh at 10.5 V
    assert counter.joules() == pytest.approx(1e-3 * 3600 * 10.5)


def test_rapl_comes_before_a_battery_and_no_other_supply_will_do(tmp_path: Path) -> None:
    assert energy_counter("cpu", tmp_path) is None
    write(tmp_path / "class/power_supply/AC", type="Mains", online=1)
    write(tmp_path / "class/power_supply/mouse", type="Battery", scope="Device", status="Discharging", energy_now=1)
    assert energy_counter("cpu", tmp_path) is None
    gauge = battery(tmp_path, status="Full", energy_now=1)
    assert energy_counter("cpu", tmp_path) is None
    write(gauge, status="Discharging")
    assert made(tmp_path).name == "battery: BAT0"
    zone(tmp_path, "0", "package-0", 1)
    assert made(tmp_path).name == "rapl: package-0"


def test_a_gpu_has_a_counter_only_where_there_is_one() -> None:
    counter = energy_counter("cuda")
    if not torch.cuda.is_available():
        assert counter is None
    elif counter is not None:
        assert counter.joules() >= 0
    with pytest.raises(HardwareError, match="kind cpu, cuda, got 'tpu'"):
        energy_counter("tpu")


class World:
    """A machine of 5 W at rest and 5 W + 2 J a run, each run 10 ms; its counter is a file, in steps of `step` joules."""

    def __init__(self, root: Path, step: float = 1e-6) -> None:
        self.now, self.used, self.step = 0.0, 0.0, step
        self.package = zone(root, "0", "package-0", 0)

    def pass_time(self, seconds: float, joules: float = 0.0) -> None:
        self.now += seconds
        self.used += 5 * seconds + joules
        write(self.package, energy_uj=int(self.used // self.step * self.step * 1e6))

    def run(self) -> None:
        self.pass_time(0.01, joules=2)


def test_energy_of_a_run_with_idle_power_beside_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    counter = made(tmp_path)
    found = energy_per_run(world.run, 2.0, counter, clock=lambda: world.now, sleep=world.pass_time)
    assert found is not None
    assert found.joules == pytest.approx(2.05, rel=1e-4)  # nothing is subtracted
    assert found.idle_watts == pytest.approx(5, rel=1e-4)
    assert found.watts == pytest.approx(205, rel=1e-4)
    assert found.spread == pytest.approx(0, abs=1e-4)
    assert found.seconds == pytest.approx(2.0, rel=0.06)
    assert (found.counter, found.runs) == ("rapl: package-0", round(found.seconds / 0.01))


def test_the_spread_is_that_of_a_coarse_counter_and_one_that_stands_still_gives_nothing(tmp_path: Path) -> None:
    coarse = World(tmp_path / "coarse", step=15.0)
    arguments = {"clock": lambda: coarse.now, "sleep": coarse.pass_time}
    found = energy_per_run(coarse.run, 2.0, made(tmp_path / "coarse"), **arguments)  # type: ignore[arg-type]
    assert found is not None
    assert found.joules == pytest.approx(2.05, rel=0.05)
    assert found.spread > 0.1
    still = World(tmp_path / "still", step=1e4)
    arguments = {"clock": lambda: still.now, "sleep": still.pass_time}
    assert energy_per_run(still.run, 2.0, made(tmp_path / "still"), **arguments) is None  # type: ignore[arg-type]


def test_no_counter_no_figure(tmp_path: Path) -> None:
    ran: list[int] = []
    assert energy_per_run(lambda: ran.append(1), 1.0, None) is None
    assert ran == []
    zone(tmp_path, "0", "package-0", 1)
    with pytest.raises(HardwareError, match="seconds must be above 0"):
        energy_per_run(lambda: None, 0.0, made(tmp_path))


def test_reasons_of_the_clocks_are_named() -> None:
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    assert clock_reasons(0) == []
    both = pynvml.nvmlClocksEventReasonSwPowerCap | pynvml.nvmlClocksEventReasonHwThermalSlowdown
    assert clock_reasons(both) == ["power cap", "hardware thermal slowdown"]
    assert clock_reasons(pynvml.nvmlClocksEventReasonGpuIdle | 1 << 40) == ["idle", "0x10000000000"]
    assert "0x" not in " ".join(clock_reasons(pynvml.nvmlClocksEventReasonAll))


class _Meter(EnergyCounter):
    """Counts three joules a run of the two it knows, and none of its own."""

    name = "meter"

    def __init__(self) -> None:
        self.used = 0.0

    def joules(self) -> float:
        return self.used

    def run(self, joules: float) -> Callable[[], None]:
        def once() -> None:
            time.sleep(2e-4)
            self.used += joules

        return once


def test_a_measured_table_has_the_energy_of_every_call(tmp_path: Path) -> None:
    meter = _Meter()
    found = measure({"small": meter.run(0.5), "large": meter.run(2.0)}, settings=MeasureSettings.quick(), energy=meter)
    assert [m.energy_joules for m in found] == pytest.approx([0.5, 2.0])
    assert found.conditions["energy_counter"] == "meter"
    runtime = {"runtime": "torch", "precision": "fp32", "threads": 1, "versions": {}}
    table = LatencyTable.create(device=Device.local(), runtime=runtime, batch=1, conditions=found.conditions)
    table.with_operators(found).save(tmp_path / "table")
    assert LatencyTable.load(tmp_path / "table").lookup("large").energy_joules == pytest.approx(2.0)


def test_without_a_counter_no_energy_is_told(tmp_path: Path) -> None:
    (found,) = measure({"one": lambda: time.sleep(2e-4)}, settings=MeasureSettings.quick())
    assert found.energy_joules is None
    assert RemoteHost(DeviceFile(name="board", local=Local(), folder=str(tmp_path))).energy("executorch") is None
