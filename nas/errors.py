"""The error classes of the top floor."""

from __future__ import annotations

__all__ = ["InfeasibleError", "JobError"]


class JobError(ValueError):
    """A user's mistake in a job, a run directory or its data.

    The message names the key, what came and what is legal. The command line prints it without a traceback and exits
    with code 2.
    """


class InfeasibleError(JobError):
    """Limits that no architecture found meets.

    Attributes:
        nearest: what the nearest architecture has, for each limit that it was held against, by name.
    """

    def __init__(self, message: str, nearest: dict[str, float]) -> None:
        super().__init__(message)
        self.nearest = nearest
