"""Answers requests, one a line, as the agent of ExecuTorch does: ``python -m FOLDER ENGINE THREADS IDLE [CPU,CPU...]``.

hello; load KEY MODEL INPUTS; run KEY CALLS; output KEY FILE; memory KEY; drop KEY. Inputs and outputs are arrays in NumPy's
own format, one after the other in a file. Without a request for IDLE seconds it ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from importlib import import_module
from importlib.metadata import version
from typing import Any, Dict, List  # noqa: UP035  Python 3.8 on devices

PROTOCOL = 1
BRIEF_NS = 5e6  # of calls shorter than this, one is made untimed first


class Agent:
    """The models that are loaded, and the answers to requests about them."""

    def __init__(self, engine: str, threads: int) -> None:
        from .engines import ENGINES

        self._engine, self._threads = engine, threads
        package, self._call = ENGINES[engine]
        module = import_module(package.replace("-", "_"))
        # a build with another name (onnxruntime-gpu) knows its version itself
        self._version = getattr(module, "__version__", None) or version(package)
        self._calls: Dict[str, Any] = {}  # noqa: UP006
        self._nanoseconds: Dict[str, float] = {}  # noqa: UP006  of a call, when last timed

    def answer(self, words: List[str]) -> str:  # noqa: UP006
        """What is said after "ok"; anything that is raised is an error of the request."""
        import numpy as np

        verb, rest = words[0], words[1:]
        if verb == "hello":
            return f"{PROTOCOL} {self._engine} {self._version}"
        if verb == "load":
            key, model, inputs = rest
            given = []
            with open(inputs, "rb") as file:
                while file.peek(1):
                    given.append(np.load(file, allow_pickle=False))
            self._calls[key] = self._call(model, given, self._threads)
            return ""
        if verb not in ("run", "output", "memory", "drop"):
            raise ValueError(f"unknown request {verb}")
        if rest[0] not in self._calls:
            raise ValueError(f"no program {rest[0]}")
        if verb == "run":
            return str(self._run(rest[0], int(rest[1])))
        if verb == "output":
            found = self._calls[rest[0]]()
            with open(rest[1], "wb") as file:
                for array in found if isinstance(found, tuple) else (found,):
                    np.save(file, array, allow_pickle=False)
                return str(file.tell())
        if verb == "drop":
            del self._calls[rest[0]]
            return ""
        return "none"  # neither runtime says what memory it uses

    def _run(self, key: str, calls: int) -> int:
        if calls < 1:
            raise ValueError("run: calls must be at least 1")
        call = self._calls[key]
        # the link's own work has cooled the caches since the last run: calls of a local loop follow one another warm
        if self._nanoseconds.get(key, 0.0) < BRIEF_NS:
            call()
        began = time.perf_counter_ns()  # no step of the wall clock moves it
        for _ in range(calls):
            call()
        spent = time.perf_counter_ns() - began
        self._nanoseconds[key] = spent / calls
        return spent


def main(given: List[str]) -> int:  # noqa: UP006
    """Serves until the input ends."""
    engine, threads, idle = given[0], int(given[1]), int(given[2])
    try:
        if len(given) > 3:
            os.sched_setaffinity(0, {int(cpu) for cpu in given[3].split(",")})  # before the runtime makes its threads
        agent = Agent(engine, threads)
    except ImportError as error:
        print(f"error {error.name or error} is not installed for {sys.executable}; pip install it there", flush=True)
        return 2
    except OSError as error:
        print(f"error cannot pin to CPUs {given[3]}: {error}", flush=True)
        return 2
    signal.alarm(idle)
    for line in sys.stdin:
        signal.alarm(idle)
        try:
            found = agent.answer(line.split())
            said = f"ok {found}" if found else "ok"
        except Exception as error:  # whatever it is, the other side must hear of it
            said = "error " + (" ".join(str(error).split()) or type(error).__name__)
        print(said, flush=True)
        signal.alarm(idle)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
