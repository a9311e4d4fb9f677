"""Where a measurement runs: this machine, or a device described in a small YAML file of the user's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import yaml
from platformdirs import user_config_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hardware.device import Device, conditions
from hardware.energy import EnergyCounter, energy_counter
from hardware.errors import HardwareError
from hardware.files import write_atomically
from hardware.runtimes import Runtime, get_runtime
from hardware.transports import AdbTransport, LocalTransport, SshTransport, Transport, patiently

LOCAL = "local"
VARIABLE = "NAS_DEVICES"  # another folder than the user's own for device files


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ssh(_Section):
    """How ssh reaches it."""

    host: str
    port: int | None = Field(default=None, ge=1, le=65535)
    options: tuple[str, ...] = ()


class Adb(_Section):
    """How adb reaches it."""

    serial: str


class Local(_Section):
    """This machine, timed by the agent that remote devices run instead of by Python."""


class DeviceFile(_Section):
    """A device of the user: exactly one way to reach it, a folder there for programs, and cores to pin to.

    ``python`` is what starts Python there, for the runtimes that the device has itself (ONNX Runtime, LiteRT).
    ``emulated`` marks a device whose times are those of no real one; it is also found out where the device shows it.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    ssh: Ssh | None = None
    adb: Adb | None = None
    local: Local | None = None
    folder: str = "/tmp/nas"
    cpus: str | None = Field(default=None, pattern=r"^\d+(,\d+)*$")
    python: str = Field(default="python3", min_length=1)
    emulated: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> DeviceFile:
        if sum(way is not None for way in (self.ssh, self.adb, self.local)) != 1:
            raise ValueError("legal: exactly one of ssh, adb and local")
        if self.name == LOCAL:
            raise ValueError(f"name: {LOCAL!r} is this machine; legal: another name")
        return self


def devices_folder() -> Path:
    """Where device files are: ``$NAS_DEVICES``, or the user's own folder for settings. Never in a project."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else user_config_path("hybrid-nas", appauthor=False) / "devices"


def device_files() -> dict[str, Path]:
    """Name -> file of every device that the user described."""
    return {path.stem: path for path in sorted(devices_folder().glob("*.yaml"))}


def read_device(name: str) -> DeviceFile:
    """The described device of that name.

    Raises:
        HardwareError: there is none, or its file is wrong; the message names the key and what is legal.
    """
    known = device_files()
    if name not in known:
        legal = ", ".join((LOCAL, *known))
        raise HardwareError(f"device: got {name!r}; legal: {legal}, or one that `nas devices add` describes")
    try:
        data = yaml.safe_load(known[name].read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise HardwareError(f"{known[name]}: cannot be read: {error}") from None
    found = device_from(data, str(known[name]))
    if found.name != name:
        raise HardwareError(f"{known[name]}: name: got {found.name!r}; legal: {name!r}, as the file is called")
    return found


def device_from(data: Any, where: str) -> DeviceFile:
    """A description from plain data. Raises HardwareError naming ``where``, the key, what came and what is legal."""
    try:
        return DeviceFile.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "ssh, adb, local"
        raise HardwareError(f"{where}: {key}: got {first['input']!r}; {first['msg']}") from None


def write_device(device: DeviceFile) -> Path:
    """Keeps a device's description; the file that was written."""
    path = devices_folder() / f"{device.name}.yaml"
    text = yaml.safe_dump(device.model_dump(exclude_defaults=True, mode="json"), sort_keys=False)
    write_atomically(path, text.encode())
    return path


class Host:
    """This machine as a place to measure on."""

    name = LOCAL

    def device(self, runtime: str) -> Device:
        """What is measured there: the GPU for the CUDA runtimes, otherwise the CPU."""
        return Device.local("cuda" if runtime.startswith("cuda") else "cpu")

    def runtime(self, name: str, precision: str = "fp32", threads: int = 1) -> Runtime:
        """A runtime there. Raises HardwareError naming the legal ones."""
        return get_runtime(name, precision, threads)

    def conditions(self, threads: int) -> dict[str, Any]:
        """The state it is in now; see `hardware.device.conditions`."""
        return conditions(threads)

    def energy(self, runtime: str) -> EnergyCounter | None:
        """What counts the energy there, None where nothing does."""
        return energy_counter("cuda" if runtime.startswith("cuda") else "cpu")

    def close(self) -> None:
        """Ends what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RemoteHost(Host):
    """A described device, reached when it is opened.

    Raises:
        LinkError, HardwareError: it cannot be reached. told: hears of every lost link.
    """

    def __init__(self, described: DeviceFile, told: Callable[[str], None] | None = None) -> None:
        from hardware.remote.state import description, read_state

        self.name, self._described, self._told = described.name, described, told
        self._transport = transport_of(described)
        self._opened: list[Runtime] = []
        state = patiently(lambda: read_state(self._transport), 30.0, told)
        self._facts = description(state)
        self._facts["emulated"] = self._facts["emulated"] or described.emulated

    @property
    def transport(self) -> Transport:
        """The way to it."""
        return self._transport

    @property
    def emulated(self) -> bool:
        """Whether its times are those of no real device."""
        return bool(self._facts["emulated"])

    def device(self, runtime: str) -> Device:
        """See `Host.device`; an emulated one is called so."""
        name = self.name + (" (emulated: no real device's times)" if self.emulated else "")
        return Device(name, "cpu", self._facts)

    def runtime(self, name: str, precision: str = "fp32", threads: int = 1) -> Runtime:
        """See `Host.runtime`."""
        from hardware.remote.agents import REMOTE_RUNTIMES, agent_for
        from hardware.remote.runtime import RemoteRuntime
        from hardware.runtimes.conversion import ConvertingRuntime

        inner = get_runtime(name, precision, threads)
        if name not in REMOTE_RUNTIMES or not isinstance(inner, ConvertingRuntime):
            raise HardwareError(f"runtime on device {self.name!r}: got {name!r}; legal: {', '.join(REMOTE_RUNTIMES)}")
        described = self._described
        machine = str(self._facts["machine"])
        agent = agent_for(name, machine, described.python)
        opened = RemoteRuntime(inner, self._transport, agent, machine, described.folder, described.cpus, self._told)
        self._opened.append(opened)
        return opened

    def conditions(self, threads: int) -> dict[str, Any]:
        """See `Host.conditions`: of the device, with its temperature and battery."""
        from hardware.remote.state import read_state, state_record

        return state_record(patiently(lambda: read_state(self._transport), told=self._told), threads)

    def energy(self, runtime: str) -> EnergyCounter | None:
        """See `Host.energy`: a device's counters are not read over a link."""
        return None

    def close(self) -> None:
        """Ends the agents and the connection."""
        for runtime in self._opened:
            runtime.close()  # type: ignore[attr-defined]
        self._transport.close()


def transport_of(described: DeviceFile) -> Transport:
    """The way to a described device."""
    if described.ssh is not None:
        return SshTransport(described.ssh.host, described.ssh.port, described.ssh.options)
    return AdbTransport(described.adb.serial) if described.adb is not None else LocalTransport()


def open_host(name: str = LOCAL, told: Callable[[str], None] | None = None) -> Host:
    """This machine for ``local``, otherwise the device that the user described by that name.

    Raises:
        HardwareError: there is none of that name, or it cannot be reached.
    """
    return Host() if name == LOCAL else RemoteHost(read_device(name), told)
