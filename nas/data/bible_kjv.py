"""The King James Bible (1611; public domain outside the United Kingdom): 4.4 MB of English text.

The Debian package bible-kjv holds it in a compressed form of its own, which its command `bible` prints. The first use
keeps the text in the user's cache; a copy can be named in ``data.path`` instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from nas.data.sequences import SequenceData, text_data
from nas.data.text_file import read_text
from nas.errors import JobError
from nas.files import write_atomically

if TYPE_CHECKING:
    from nas.job import DataSection

COMMAND = ("bible", "-f", "gen1:1-rev22:21")
VERSES = 31_102
WAYS = (
    "Two ways: (1) apt-get install bible-kjv; (2) save the output of `bible -f gen1:1-rev22:21` of another machine, "
    "or any edition of the text, and name it in data.path"
)


def load(section: DataSection) -> SequenceData:
    """One verse a line, each after its short reference (``Ge1:1 In the beginning ...``). JobError where it is nowhere."""
    return text_data(section, read_text(section.path) if section.path else king_james())


def cache_file() -> Path:
    """Where the text is kept: $XDG_CACHE_HOME/hybrid-nas/bible-kjv.txt, by default under ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hybrid-nas" / "bible-kjv.txt"


def king_james(cache: Path | None = None) -> bytes:
    """The text from the cache, or from the command `bible`; JobError naming the ways to get it."""
    cache = cache_file() if cache is None else cache
    if cache.is_file() and _whole(text := cache.read_bytes()):
        return text
    if shutil.which(COMMAND[0]) is None:
        raise JobError(f"data: the King James text is not on this machine. {WAYS}")
    try:
        printed = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise JobError(f"data: the command {COMMAND[0]!r} failed ({error}). {WAYS}") from None
    if not _whole(printed):
        lines = printed.count(b"\n")
        raise JobError(f"data: the command {COMMAND[0]!r} printed {lines} lines, not {VERSES}. {WAYS}")
    write_atomically(cache, printed)
    return printed


def _whole(text: bytes) -> bool:
    return text.count(b"\n") == VERSES
