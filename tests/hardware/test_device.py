"""The description of this machine against other sources of the same facts."""

import json
import os
import platform

import psutil
import pytest
import torch

from hardware import Device, HardwareError, conditions


def test_the_local_cpu_agrees_with_other_sources() -> None:
    device = Device.local()
    assert device.kind == "cpu"
    assert device.description["cores_logical"] == os.cpu_count()
    assert device.description["memory_gib"] == pytest.approx(psutil.virtual_memory().total / 2**30, abs=0.2)
    assert device.description["python"] == platform.python_version()
    assert Device.from_json(json.loads(json.dumps(device.to_json()))) == device


def test_the_local_gpu_is_described_or_refused() -> None:
    if torch.cuda.is_available():
        assert Device.local("cuda").name == torch.cuda.get_device_name()
    else:
        with pytest.raises(HardwareError, match="no CUDA device"):
            Device.local("cuda")


def test_illegal_devices_are_refused() -> None:
    with pytest.raises(HardwareError, match="one of cpu, cuda, got 'tpu'"):
        Device.local("tpu")
    with pytest.raises(HardwareError, match="name is empty"):
        Device("", "cpu")
    with pytest.raises(HardwareError, match="'kind' must be a text"):
        Device.from_json({"name": "x"})


def test_conditions_are_json_and_warn_of_load(monkeypatch: pytest.MonkeyPatch) -> None:
    json.dumps(conditions())
    monkeypatch.setattr(os, "getloadavg", lambda: (5.0, 1.0, 1.0))
    assert "load was 5.0 with 2 thread(s)" in conditions(threads=2)["warnings"][0]
    assert conditions(threads=4)["warnings"] == []
    assert conditions()["load_1min"] == 5.0
