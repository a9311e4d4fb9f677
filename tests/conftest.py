"""What all tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Converted models and built agents are kept for the session, for all its processes, and never in the user's cache."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    pytest.MonkeyPatch().setenv("NAS_CACHE", str(shared / "cache"))
