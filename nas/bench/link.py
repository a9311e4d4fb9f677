"""A device measured over a link that is cut again and again, beside the same programs measured without a link."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch

from hardware.errors import HardwareError
from hardware.hosts import DeviceFile, RemoteHost, read_device
from hardware.measure import measure
from hardware.runtimes import ConversionCache
from hardware.settings import MeasureSettings
from hardware.transports import SshTransport
from nas.latency.probes import choose_operators
from nas.latency.rig import prepared
from nas.progress import Progress
from search_spaces import SearchSpace, build_operator

RUNTIME = "executorch"


def bench_link(
    space: SearchSpace, device: str, folder: str, operators: int, cuts: int, progress: Progress
) -> dict[str, Any]:
    """Times ``operators`` specs of ``space`` on ``device``, which must be this machine reached by ssh, and by the same agent
    without ssh, interleaved; the link is cut ``cuts`` times meanwhile.

    Returns:
        reconnections; timed runs asked for, answered, and asked for again; the median and largest absolute difference of
        the two medians (fractions), and the noise floor of the session.

    Raises:
        HardwareError: the device is not reached by ssh, or the link could not be cut so often.
    """
    described = read_device(device)
    if described.ssh is None:
        raise HardwareError(f"device: got {device!r}; legal: one that is reached by ssh")
    here = DeviceFile.model_validate({"name": f"{device}-here", "local": {}, "folder": folder, "cpus": described.cpus})
    with RemoteHost(described, progress.say) as far, RemoteHost(here) as near:
        specs = choose_operators(space.specs(), operators)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            items = [(str(i), *prepared(build_operator(spec), spec, 1, "forward")) for i, spec in enumerate(specs)]
        cache = ConversionCache()
        advance = progress.task("prepare", len(items))
        there = far.runtime(RUNTIME)
        runners = {f"link {k}": r for k, r in there.prepare_many(items, 1, lambda n, _: advance(n), cache).items()}
        runners |= {f"here {k}": r for k, r in near.runtime(RUNTIME).prepare_many(items, cache=cache).items()}
        advance = progress.task("measure", 1000)
        with _Cutter(far.transport, cuts) as cutter:

            def step(done: int, total: int) -> None:
                cutter.allow(done / total)
                advance(1000 * done // total)

            measured = measure(runners, settings=MeasureSettings(), progress=step, state=near.conditions)
        agent = there.agent  # type: ignore[attr-defined]
    if cutter.made < cuts:
        raise HardwareError(
            f"cuts: only {cutter.made} of {cuts} were made before the measuring ended; use more operators"
        )
    median = {m.key: m.median_ms for m in measured}
    ratio = np.array([median[f"link {key}"] / median[f"here {key}"] for key, *_ in items])
    return {
        "operators": len(items),
        "cuts": cutter.made,
        "reconnections": agent.reconnections,
        "runs_requested": agent.requested,
        "runs_answered": agent.answered,
        "runs_requested_again": agent.requested - agent.answered,
        "samples_used": int(sum(m.n for m in measured if m.key.startswith("link"))),
        "median_difference": float(np.median(np.abs(ratio - 1))),
        "mean_difference": float(np.mean(np.abs(ratio - 1))),
        "largest_difference": float(np.abs(ratio - 1).max()),
        "bias": float(np.median(ratio) - 1),
        "noise_floor": measured.noise_floor,
        "warnings": measured.conditions["warnings"],
        "ratios": [round(float(value), 4) for value in ratio],
    }


class _Cutter:
    """Cuts a link a number of times, spread evenly over the work: never before its share of the work is done."""

    def __init__(self, transport: object, cuts: int) -> None:
        assert isinstance(transport, SshTransport)
        self._transport, self._cuts = transport, cuts
        self._done, self.made = 0.0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def allow(self, done: float) -> None:
        """Tells how much of the work is done, 0 to 1."""
        self._done = done

    def __enter__(self) -> _Cutter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while self.made < self._cuts and not self._stop.wait(0.01):
            if self._done >= (self.made + 0.5) / (self._cuts + 1):
                self._transport.cut()
                self.made += 1
