"""``python -m hardware.runtimes.litert_install``: install LiteRT's converter into an environment of its own."""

from __future__ import annotations

import sys

from hardware.errors import HardwareError
from hardware.runtimes.litert_environment import install_converter


def main() -> int:
    """Install, and say where; the exit status."""
    try:
        sys.stdout.write(f"LiteRT's converter is in {install_converter()}\n")
    except HardwareError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
