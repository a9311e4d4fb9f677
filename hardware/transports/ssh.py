"""Boards by ssh: the user's own `ssh` with their configuration, keys and jump hosts, over one shared connection."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence

from hardware.errors import HardwareError
from hardware.transports.base import LinkError, Transport

HOPELESS = (
    ("Host key verification failed", "the host's key is unknown or has changed; connect once by hand and check it"),
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "the host's key has changed; find out why before you trust it"),
    ("Permission denied", "no key of yours is accepted; set up a key that needs no password"),
    ("Could not resolve hostname", "no such host"),
    ("Bad configuration option", "your ssh configuration has an error"),
)


class SshTransport(Transport):
    """A device by ssh. Asks nothing: a key without a password, or an agent, must be there.

    Args:
        host: as ``ssh`` takes it: ``pi@192.168.0.7``, or a name of the user's configuration.
        port: if not the usual one.
        options: more ``-o`` options, as ``Name=value``.
    """

    def __init__(self, host: str, port: int | None = None, options: Sequence[str] = ()) -> None:
        if not host or host.startswith("-"):
            raise HardwareError(f"host: got {host!r}; legal: a host as ssh takes it, e.g. pi@raspberrypi")
        self.host = host
        self._folder = tempfile.mkdtemp(prefix="nas-ssh-")  # a socket's path must be short
        mine = ["BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3"]
        mine += ["ControlMaster=auto", f"ControlPath={self._folder}/%C", "ControlPersist=60"]
        self._ssh = ["ssh", "-T", *(word for o in [*options, *mine] for word in ("-o", o))]
        self._ssh += ["-p", str(port)] if port else []

    def __str__(self) -> str:
        return f"ssh {self.host}"

    def argv(self, command: str) -> list[str]:
        """See `Transport.argv`."""
        return [*self._ssh, self.host, "--", command]

    def fault(self, code: int, error: str) -> HardwareError | None:
        """ssh ends with 255 for itself, and with the command's own code otherwise."""
        if code != 255 and code >= 0:
            return None
        for sign, advice in HOPELESS:
            if sign in error:
                return HardwareError(f"{self}: {advice} ({sign})")
        said = [
            line
            for line in error.splitlines()
            if line.startswith(("ssh", "Connection", "kex", "client", "mux", "Timeout"))
        ]
        return LinkError(f"{self}: {said[-1] if said else 'the connection ended'}")

    def cut(self) -> None:
        """Ends every connection at once, as a pulled cable does: for drills."""
        subprocess.run(["pkill", "-KILL", "-f", f"ControlPath={self._folder}/"], check=False)

    def close(self) -> None:
        """Ends the shared connection."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([*self._ssh, "-O", "exit", self.host], capture_output=True, timeout=10, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)
