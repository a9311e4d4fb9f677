"""Files that a kill at any moment leaves whole."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

TEMPORARY = ".writing-"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file in one step: readers and a later resume see the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)  # the rename itself must survive a power cut too
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
