"""Options and arguments that commands of several files have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="a run directory, made by `nas run`")]
PICKS = "knee, fastest, best, goal, or a latency such as 5ms"
