"""Files that a kill at any moment leaves whole: written in one step, or by complete lines."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from hardware.files import TEMPORARY, write_atomically
from nas.errors import JobError

__all__ = ["TEMPORARY", "append_rows", "read_rows", "write_atomically"]


def append_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Append rows to a CSV log and sync it. A line that a kill tore is cut off first.

    All rows have the same keys in the same order, which are the header; values hold no line break, so a row is a line.
    Raises ValueError where the rows do not fit the header that is there.
    """
    if not rows:
        return
    columns = list(rows[0])
    cells: list[list[object]] = [list(columns), *(list(row.values()) for row in rows)]
    broken = any(len(str(cell).splitlines()) > 1 or "\n" in str(cell) for line in cells for cell in line)
    if broken or any(list(row) != columns for row in rows):
        raise ValueError(f"{path.name}: all rows need the columns {columns}, and no value may hold a line break")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        file.seek(0)
        whole = file.read()
        end = whole.rfind(b"\n") + 1
        file.truncate(end)
        if end:
            header = next(csv.reader([whole[: whole.index(b"\n")].decode()]))
            if header != columns:
                raise ValueError(f"{path.name}: has the columns {header}, the new rows have {columns}")
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(cells[1:] if end else cells)
        file.write(buffer.getvalue().encode())
        file.flush()
        os.fsync(file.fileno())


def read_rows(path: Path) -> list[dict[str, str]]:
    """The complete rows of an `append_rows` log, as text; [] where there is none. A torn last line is left out."""
    if not path.exists():
        return []
    content = path.read_bytes()
    lines = list(csv.reader(content[: content.rfind(b"\n") + 1].decode().splitlines()))
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(lines[0]):
            raise JobError(f"{path}: line {number} has {len(line)} values; legal: {len(lines[0])}, as in the header")
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
