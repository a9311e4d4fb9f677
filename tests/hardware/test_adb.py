"""Measuring a phone by adb, end to end: a real adbd, and the agent for aarch64 under qemu-user. Marked as emulated."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from hardware import MeasureSettings, get_runtime, measure
from hardware.errors import HardwareError
from hardware.hosts import DeviceFile, RemoteHost
from hardware.runtimes import ConversionCache
from hardware.transports import AdbTransport
from search_spaces import build_network, get_space
from search_spaces.decode import example_inputs
from tests.hardware import phone


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    reason = phone.missing()
    if reason is not None:
        pytest.skip(reason)
    if not get_runtime("executorch").availability()[0]:
        pytest.skip("needs executorch")
    folder = tmp_path_factory.mktemp("phone")
    try:
        phone.make_root(folder / "root")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no Debian root can be made here: {error.stderr.decode(errors='replace').strip()[-200:]}")
    (folder / "bin").mkdir()
    before = os.environ["PATH"]
    with phone.phone(folder / "root", folder / "bin") as found:
        os.environ["PATH"] = f"{folder / 'bin'}:{before}"
        try:
            yield found
        finally:
            os.environ["PATH"] = before


def test_commands_and_files_reach_the_phone(serial: str) -> None:
    adb = AdbTransport(serial)
    found = adb.run("cat; echo bad >&2; exit 5", given=b"\x00\xff\r\n")
    assert (found.code, found.out, found.error) == (5, b"\x00\xff\r\n", "bad")
    data = os.urandom(1 << 20)
    adb.push(data, "/tmp/a file")
    assert adb.pull("/tmp/a file") == data
    with pytest.raises(HardwareError, match=r"not done within 0\.5 s"):
        adb.run(["sleep", "5"], seconds=0.5)


def test_networks_run_on_the_phone_and_are_marked_as_emulated(serial: str) -> None:
    """One network, or as many as NAS_PHONE_NETWORKS says; with ``pytest -s`` it prints the error of each."""
    described = DeviceFile.model_validate({"name": "phone", "adb": {"serial": serial}, "folder": "/tmp/nas"})
    space = get_space("hybrid-vision/tiny")
    rows = space.sample(int(os.environ.get("NAS_PHONE_NETWORKS", "1")), np.random.default_rng(0))
    rows[0] = space.smallest(rows[:1])[0]
    items = []
    for row in rows:
        architecture = space.architecture(row)
        torch.manual_seed(0)
        network = build_network(architecture).eval()
        items.append((architecture.hash, network, example_inputs(architecture.specs[0], 1, seed=0)))
    with RemoteHost(described) as host:
        device = host.device("executorch")
        assert host.emulated
        assert "emulated" in device.name
        assert device.description["machine"] == "aarch64"
        runners = host.runtime("executorch").prepare_many(items, cache=ConversionCache())
        for key, network, (x,) in items:
            with torch.no_grad():
                wanted = network(x).numpy()
            error = np.abs(np.asarray(runners[key]()) - wanted).max() / np.abs(wanted).max()
            print(f"{key}: {error:.2g} of the largest output")
            assert error <= 1e-4
        found = measure(runners, settings=MeasureSettings.quick(), state=host.conditions)
    assert all(m.median_ms > 0 for m in found)
