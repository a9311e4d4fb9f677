"""Progress of long work: what the steps report, and the terminal that shows it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichBars

Advance = Callable[..., None]  # advance(done, note="")


class Progress(Protocol):
    """Where a step says how far it is."""

    def task(self, title: str, total: int) -> Advance:
        """A bar of ``total`` units; the result is called with the units done so far and an optional short note."""
        ...

    def say(self, text: str) -> None:
        """One line that stays."""
        ...


class Silent:
    """Shows nothing."""

    def task(self, title: str, total: int) -> Advance:
        return lambda done, note="": None

    def say(self, text: str) -> None:
        return None


class Terminal:
    """Bars with time left on a terminal; on a pipe a line at each tenth. A context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = RichBars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Terminal:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def task(self, title: str, total: int) -> Advance:
        bar = self._bars.add_task(title, total=total, note="")
        shown = -1

        def advance(done: int, note: str = "") -> None:
            nonlocal shown
            self._bars.update(bar, completed=done, note=note)
            tenth = 10 * done // max(total, 1)
            if not self._console.is_terminal and tenth > shown:
                shown = tenth
                self._console.print(f"{title}: {done}/{total} {note}".rstrip(), highlight=False, markup=False)

        return advance

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)
