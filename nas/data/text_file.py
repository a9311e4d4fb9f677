"""Your own text: any file, or all files of a folder in the order of their names, as bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nas.data.sequences import SequenceData, text_data
from nas.errors import JobError

if TYPE_CHECKING:
    from nas.job import DataSection

MOST = 1 << 30  # bytes


def load(section: DataSection) -> SequenceData:
    """The bytes of ``data.path``, whatever they mean. JobError where there is nothing to read."""
    assert section.path is not None  # a job without one is refused
    return text_data(section, read_text(section.path))


def read_text(path: Path) -> bytes:
    """The bytes of a file, or of all files in a folder (hidden ones aside), joined by line breaks."""
    files = sorted(file for file in path.iterdir() if not file.name.startswith(".")) if path.is_dir() else [path]
    files = [file for file in files if file.is_file()]
    if not files:
        raise JobError(f"data.path: {path} holds no file; legal: a text file, or a folder of them")
    size = sum(file.stat().st_size for file in files)
    if size > MOST:
        raise JobError(f"data.path: {path} has {size} bytes; legal: at most {MOST}, as it is held in memory")
    try:
        return b"\n".join(file.read_bytes() for file in files)
    except OSError as error:
        raise JobError(f"data.path: {path} cannot be read: {error}") from None
