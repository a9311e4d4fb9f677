"""Timing the networks of a calibration, a few at a time, and finding out what a runtime refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from hardware.errors import HardwareError, RefusedError
from hardware.hosts import Host
from hardware.measurement import Measurement
from hardware.runtimes import Runtime
from hardware.settings import MeasureSettings
from nas.latency.calibration import FIT, VALIDATE, Calibration
from nas.latency.rig import Rig, network_key
from nas.progress import Progress
from search_spaces import Architecture

SESSION = 5  # networks timed together: what a kill can lose
DRIFTED = 0.05


class Sessions:
    """Adds measured networks to a calibration, a few a session; the first network of all is timed in every one.

    After each session they are in the folder, as ``calibration`` is.
    """

    def __init__(
        self,
        calibration: Calibration,
        host: Host,
        runtime: Runtime,
        progress: Progress,
        settings: MeasureSettings | None,
    ) -> None:
        self.calibration = calibration
        self._host, self._runtime, self._progress, self._settings = host, runtime, progress, settings

    def measure(self, role: str, count: int, choose: Callable[[int], list[Architecture]]) -> None:
        """Until ``count`` networks have that role; ``choose`` gives the next so many, neither measured nor refused."""
        advance = self._progress.task({FIT: "calibrate", VALIDATE: "validate"}[role], count)
        while (left := count - len(self.calibration.of(role)[0])) > 0:
            advance(count - left)
            networks = choose(min(left, SESSION))
            if not networks:
                raise HardwareError(
                    f"runtime {self._runtime.name!r} refuses too many networks of the space: "
                    + "; ".join(f"{name}: {reason}" for name, reason in self.calibration.header.refused.items())
                )
            rig = self._rig()
            first = [self.calibration.measured[0].architecture] if self.calibration.measured else []
            try:
                rig.prepare([], [*networks, *first])
            except HardwareError as error:
                if not isinstance(error.__cause__, RefusedError):
                    raise
                self._refused(networks, error.__cause__.reasons)
                continue
            self._time(rig, role, networks)
        advance(count)

    def _rig(self) -> Rig:
        header = self.calibration.header
        return Rig(self._host, self._runtime, self._progress, header.batch, header.mode, workers=2)

    def _time(self, rig: Rig, role: str, networks: list[Architecture]) -> None:
        timed = rig.measure(self._settings)
        found: dict[str, Measurement] = {one.key: one for one in timed}
        drift = 0.0
        if before := self.calibration.measured[:1]:
            drift = float(np.log(found[network_key(before[0].architecture)].median_ms / before[0].median_ms))
        chosen = [found[network_key(network)] for network in networks]
        self.calibration = self.calibration.with_measured(role, networks, chosen)
        session: dict[str, Any] = {
            "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "role": role,
            "networks": len(networks),
            "drift": drift,
            "noise_floor": timed.noise_floor,
            "seconds": round(timed.seconds, 3),
            "conditions": timed.conditions,
        }
        self.calibration = self.calibration.with_header(sessions=[*self.calibration.header.sessions, session])
        if len(self.calibration.header.sessions) == 1:  # the later ones are in the header
            for warning in timed.conditions["warnings"]:
                self._progress.say(f"warning: {warning}")
        if abs(drift) > DRIFTED:
            self._progress.say(f"warning: the first network takes {np.exp(drift):.0%} of the time it took at first")

    def _refused(self, networks: list[Architecture], reasons: Mapping[str, str]) -> None:
        """Keeps what the runtime refuses: operators where they are refused alone as well, otherwise the network."""
        refused = dict(self.calibration.header.refused)
        for network in networks:
            if (reason := reasons.get(network_key(network))) is None:
                continue
            alone: dict[str, str] = {}
            try:
                self._rig().prepare({spec.name: spec for spec in network.specs}.values(), [])
            except HardwareError as error:
                if not isinstance(error.__cause__, RefusedError):
                    raise
                alone = {key.partition("(")[0]: why for key, why in error.__cause__.reasons.items()}
            refused |= alone or {network.hash: reason}
            what = f"as its runtime refuses {', '.join(alone)}" if alone else "as its runtime refuses it"
            self._progress.say(f"{network.hash} is left out, {what}: {next(iter(alone.values()), reason)}")
        if refused == self.calibration.header.refused:
            raise HardwareError(
                f"runtime {self._runtime.name!r} refuses what it ran before: {'; '.join(reasons.values())}"
            )
        self.calibration = self.calibration.with_header(refused=refused)
