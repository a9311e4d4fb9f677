"""The error class of the top floor."""

from __future__ import annotations

__all__ = ["JobError"]


class JobError(ValueError):
    """A user's mistake in a job, a run directory or its data.

    The message names the key, what came and what is legal. The command line prints it without a traceback and exits
    with code 2.
    """
