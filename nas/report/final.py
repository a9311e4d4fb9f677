"""What final architectures are worth: on the test split, which is opened here and nowhere else, and measured again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import pandas as pd
import torch

from hardware.errors import HardwareError
from hardware.hosts import open_host
from hardware.measure import measure
from hardware.runtimes.base import Item
from hardware.settings import MeasureSettings
from nas.job import DeviceSection
from nas.latency.rig import prepared
from nas.search.evaluation import inherit
from nas.session import Session
from nas.training.evaluate import evaluate, one_thread
from search_spaces import Architecture, Network

MEASURED = ("measured_ms", "measured_low_ms", "measured_high_ms")


def score_on_test(session: Session, architectures: Sequence[Architecture], purpose: str) -> pd.DataFrame:
    """Columns hash, value, deviation, examples: the metric with inherited weights on the test split, opened for ``purpose``."""
    split = session.data.open_test(purpose)
    advance = session.progress.task("test front members", len(architectures))
    rows = []
    for done, architecture in enumerate(architectures, 1):
        network = _network(session, architecture)
        with one_thread():
            found = evaluate(network, split, session.data, architecture.input_shape[-1])
        rows.append({"hash": architecture.hash, **asdict(found)})
        advance(done)
    return pd.DataFrame(rows)


def measure_networks(session: Session, device: DeviceSection, architectures: Sequence[Architecture]) -> pd.DataFrame:
    """Columns hash and `MEASURED`: latency of whole networks with their real weights, interleaved, with its 95 % interval.

    No rows where the device cannot be used now; that is said.
    """
    try:
        with open_host(device.device, session.progress.say) as host:
            runtime = host.runtime(device.runtime, device.precision, device.threads)
            runtime.require()
            runners = runtime.prepare_many(_items(session, device, architectures), session.job.threads)
            advance = session.progress.task(f"measure front {device.name}", 100)
            measured = measure(
                runners,
                settings=MeasureSettings.thorough(),
                threads=device.threads,
                state=host.conditions,
                progress=lambda done, total: advance(100 * done // total),
            )
    except HardwareError as error:
        session.progress.say(f"{device.name}: {error}; its members are not measured again")
        return pd.DataFrame(columns=["hash", *MEASURED], dtype=float).astype({"hash": str})
    finally:
        torch.set_num_threads(session.job.threads)
    return pd.DataFrame(
        [(m.key, m.median_ms, m.ci_low_ms, m.ci_high_ms) for m in measured], columns=["hash", *MEASURED]
    )


def _network(session: Session, architecture: Architecture) -> Network:
    return inherit(session.supernet, architecture, session.data, session.job.search.calibration_images)


def _items(session: Session, device: DeviceSection, architectures: Sequence[Architecture]) -> Iterator[Item]:
    for architecture in architectures:
        network = _network(session, architecture).cpu()
        yield architecture.hash, *prepared(network, architecture.specs[0], device.batch, device.mode)
