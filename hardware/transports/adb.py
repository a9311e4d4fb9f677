"""Phones by adb."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from hardware.errors import HardwareError
from hardware.transports.base import LinkError, Transport

HOPELESS = (
    ("unauthorized", "allow this computer on the phone's screen"),
    ("more than one device", "several devices are connected; name one by its serial (adb devices)"),
    ("no permissions", "this user may not use the USB device; see the udev rules of your distribution"),
)
GONE = (
    "not found",
    "offline",
    "no devices",
    "closed",
    "device still",
    "cannot connect",
    "connect failed",
    "protocol fault",
)


class AdbTransport(Transport):
    """A device by adb.

    Args:
        serial: as ``adb devices`` lists it; ``HOST:PORT`` for one over the network, which is connected first.
    """

    def __init__(self, serial: str) -> None:
        if not serial or serial.startswith("-"):
            raise HardwareError(f"serial: got {serial!r}; legal: a serial as `adb devices` lists it")
        self.serial = serial

    def __str__(self) -> str:
        return f"adb {self.serial}"

    def argv(self, command: str) -> list[str]:
        """See `Transport.argv`."""
        return ["adb", "-s", self.serial, "shell", "-T", command]

    def fault(self, code: int, error: str) -> HardwareError | None:
        """adb says with its words alone whether it or the command failed."""
        said = error.lower()
        if code == 0 or not said.startswith(("adb", "error:")):
            return None
        for sign, advice in HOPELESS:
            if sign in said:
                return HardwareError(f"{self}: {advice} ({sign})")
        if any(sign in said for sign in GONE):
            self._connect()
            return LinkError(f"{self}: {error.splitlines()[-1]}")
        return None

    def push(self, data: bytes, path: str, *, seconds: float = 300.0) -> None:
        """As `Transport.push`, by adb's own transfer: a shell of a phone may change bytes that pass through it."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "file"
            file.write_bytes(data)
            self._transfer(["push", str(file), f"{path}.part"], seconds)
        self.check(["mv", f"{path}.part", path])

    def pull(self, path: str, *, seconds: float = 300.0) -> bytes:
        """As `Transport.pull`, by adb's own transfer."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "file"
            self._transfer(["pull", path, str(file)], seconds)
            return file.read_bytes()

    def _transfer(self, words: list[str], seconds: float) -> None:
        try:
            found = subprocess.run(
                ["adb", "-s", self.serial, *words], capture_output=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise LinkError(f"{self}: {words[0]} not done within {seconds:g} s") from None
        except FileNotFoundError:
            raise HardwareError(f"{self}: adb is not installed here") from None
        if found.returncode != 0:
            said = (found.stderr or found.stdout).decode(errors="replace").strip()
            raise self.fault(found.returncode, said) or HardwareError(
                f"{self}: {said.splitlines()[-1] if said else words[0]}"
            )

    def _connect(self) -> None:
        if ":" in self.serial:
            subprocess.run(["adb", "connect", self.serial], capture_output=True, timeout=15, check=False)
