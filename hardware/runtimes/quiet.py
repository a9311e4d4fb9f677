"""Keeping the chatter of other packages off the terminal; what fails still comes as an exception."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Silence Python's warnings, and all but the errors of the loggers of these names."""
    levels = {name: logging.getLogger(name).level for name in loggers}
    try:
        for name in loggers:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Silence what is written to standard error, by Python or by a C++ library beside it."""
    if sys.stderr is not None:
        sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as sink, redirect_stderr(sink):
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
