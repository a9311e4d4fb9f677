"""What a search may use: processes, a cluster, a storage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """What a search may use; nothing of it changes its result.

    Attributes:
        workers: processes on this machine; None: as many as the job has threads.
        ray: address of a Ray cluster that evaluates instead ("local": one started here), or None.
        storage: URL of an Optuna storage that keeps the trials; None: a journal in the run directory.
    """

    workers: int | None = None
    ray: str | None = None
    storage: str | None = None


ALONE = Resources()  # this machine, and nobody else
