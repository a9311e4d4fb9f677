"""This machine, by the same means as a remote one."""

from __future__ import annotations

from hardware.errors import HardwareError
from hardware.transports.base import Transport


class LocalTransport(Transport):
    """Commands in a shell of this machine."""

    def __str__(self) -> str:
        return "this machine"

    def argv(self, command: str) -> list[str]:
        """See `Transport.argv`."""
        return ["sh", "-c", command]

    def fault(self, code: int, error: str) -> HardwareError | None:
        """There is no link that could break."""
        return None
