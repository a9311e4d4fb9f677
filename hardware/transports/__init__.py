"""How a device is reached: this machine, ssh, adb."""

from hardware.transports.adb import AdbTransport
from hardware.transports.base import Completed, LinkError, Transport, patiently
from hardware.transports.local import LocalTransport
from hardware.transports.ssh import SshTransport

__all__ = ["AdbTransport", "Completed", "LinkError", "LocalTransport", "SshTransport", "Transport", "patiently"]
