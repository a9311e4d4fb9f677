"""How commands, files and a running program reach a device. Each way is a `Transport`; a link that breaks is a `LinkError`."""

from __future__ import annotations

import shlex
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hardware.errors import HardwareError

T = TypeVar("T")

GRACE_SECONDS = 15.0  # beyond the device's own limit, before the link itself is held to be dead


class LinkError(HardwareError):
    """The link to the device broke or gave no answer in time: worth trying again."""


@dataclass(frozen=True)
class Completed:
    """What a command on the device gave."""

    code: int
    out: bytes
    error: str


class Transport(ABC):
    """A way to one device. Nothing it starts outlives its time there: every command runs under the device's own `timeout`,
    because no client can stop a remote process when the link is gone."""

    @abstractmethod
    def argv(self, command: str) -> list[str]:
        """The local command line that runs a shell command on the device, its standard streams passed through."""

    @abstractmethod
    def fault(self, code: int, error: str) -> HardwareError | None:
        """What the client's own exit code and error text say about the link: LinkError where trying again may help, another
        HardwareError where it cannot (unknown host key, no permission), None where the command itself ended so."""

    def run(self, command: Sequence[str] | str, *, seconds: float = 30.0, given: bytes = b"") -> Completed:
        """Runs a command (words, or one shell text) on the device, for at most ``seconds`` there.

        Raises:
            LinkError: the link broke. HardwareError: the device cannot be reached, or the command ran out of its time.
        """
        text = command if isinstance(command, str) else shlex.join(command)
        limited = f"timeout -k 2 {seconds:g} sh -c {shlex.quote(text)}"
        try:
            found = subprocess.run(
                self.argv(limited), input=given, capture_output=True, timeout=seconds + GRACE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise LinkError(f"{self}: no answer within {seconds + GRACE_SECONDS:g} s") from None
        except FileNotFoundError as error:
            raise HardwareError(f"{self}: {error.filename} is not installed here") from None
        complaint = found.stderr.decode(errors="replace").strip()
        problem = self.fault(found.returncode, complaint)
        if problem is not None:
            raise problem
        if found.returncode in (124, 137):
            raise HardwareError(f"{self}: not done within {seconds:g} s: {text[:80]}")
        return Completed(found.returncode, found.stdout, complaint)

    def check(self, command: Sequence[str] | str, *, seconds: float = 30.0, given: bytes = b"") -> bytes:
        """As `run`, and what it printed; raises HardwareError with the device's own words if it failed."""
        found = self.run(command, seconds=seconds, given=given)
        if found.code != 0:
            said = found.error or found.out.decode(errors="replace").strip() or f"exit code {found.code}"
            raise HardwareError(f"{self}: {said.splitlines()[-1]}")
        return found.out

    def push(self, data: bytes, path: str, *, seconds: float = 300.0) -> None:
        """Writes a file on the device: whole or not at all."""
        part = shlex.quote(f"{path}.part")
        self.check(f"cat > {part} && mv {part} {shlex.quote(path)}", seconds=seconds, given=data)

    def pull(self, path: str, *, seconds: float = 300.0) -> bytes:
        """A file of the device."""
        return self.check(["cat", path], seconds=seconds)

    def close(self) -> None:  # noqa: B027  most have nothing to close
        """Ends what the transport keeps open."""


def patiently(action: Callable[[], T], seconds: float = 120.0, told: Callable[[str], None] | None = None) -> T:
    """The result of ``action``, tried again while it raises LinkError: at once, then after 0.5 s, 1 s, 2 s ... up to 15 s.

    Raises:
        LinkError: ``seconds`` of trying were not enough. told: hears why each new try is made.
    """
    began, pause = time.monotonic(), 0.0
    while True:
        try:
            return action()
        except LinkError as error:
            if time.monotonic() - began + pause > seconds:
                raise LinkError(f"{error}; gave up after {seconds:g} s") from error
            if told is not None:
                told(f"{error}; trying again")
            time.sleep(pause)
            pause = min(max(2 * pause, 0.5), 15.0)
