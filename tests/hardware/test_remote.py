"""Measuring on a device: the agent there, a link that is cut, an agent that is killed, a disk that is full."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hardware import HardwareError, MeasureSettings, get_runtime, measure
from hardware.hosts import DeviceFile, Host, RemoteHost, device_files, device_from, open_host, write_device
from hardware.remote.client import AgentClient
from hardware.remote.state import description, state_record
from hardware.runtimes import ConversionCache
from hardware.transports import LocalTransport
from tests.hardware.conftest import Server

COMPILER = shutil.which("g++")
QUICK = MeasureSettings.quick()


def networks() -> list[tuple[str, nn.Module, tuple[torch.Tensor, ...]]]:
    torch.manual_seed(0)
    x = torch.randn(1, 3, 16, 16)
    parts = [(nn.Conv2d(3, 4 * n, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * n * 14 * 14, 10)) for n in (1, 4, 8)]
    return [(f"network {i}", nn.Sequential(*part).eval(), (x,)) for i, part in enumerate(parts)]


@pytest.fixture(params=["local", "ssh"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RemoteHost]:
    if not get_runtime("executorch").availability()[0] or COMPILER is None:
        pytest.skip("needs executorch and g++, which builds the agent")
    way: dict[str, object] = {"local": {}}
    if request.param == "ssh":
        server: Server = request.getfixturevalue("sshd")
        way = {"ssh": {"host": "127.0.0.1", "port": server.port, "options": server.options}}
    with RemoteHost(
        DeviceFile.model_validate({"name": "board", "folder": str(tmp_path / "on device"), **way})
    ) as opened:
        yield opened


def agents(folder: Path) -> set[int]:
    """Process numbers of the agents that run in a folder of this machine."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended in between
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"/agent") and Path(os.readlink(process / "cwd")) == folder.resolve():
                found.add(int(process.name))
    return found


def test_a_device_computes_what_torch_computes_and_is_timed_by_itself(host: RemoteHost, tmp_path: Path) -> None:
    items = networks()
    runtime = host.runtime("executorch")
    runners = runtime.prepare_many(items, cache=ConversionCache())
    for key, module, (x,) in items:
        with torch.no_grad():
            assert np.abs(np.asarray(runners[key]()) - module(x).numpy()).max() < 1e-5
        assert runners[key].memory_bytes() > 0  # type: ignore[attr-defined]
    found = measure(runners, settings=QUICK, state=host.conditions)
    assert [m.key for m in found] == [key for key, _, _ in items]
    assert found[2].median_ms > found[0].median_ms
    assert found.conditions["start"]["load_1min"] is not None
    sent = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "on device").glob("*.bin")}
    host.runtime("executorch").prepare_many(items, cache=ConversionCache())  # again: nothing is sent twice
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "on device").glob("*.bin")} == sent


def test_an_agent_that_is_killed_again_and_again_costs_no_finished_sample(host: RemoteHost, tmp_path: Path) -> None:
    runners = host.runtime("executorch").prepare_many(networks(), cache=ConversionCache())
    next(iter(runners.values())).elapsed(1)  # type: ignore[attr-defined]
    stop, kills = threading.Event(), 0

    def killer() -> None:
        nonlocal kills
        while not stop.wait(0.5) and kills < 6:
            for pid in agents(tmp_path / "on device"):
                with contextlib.suppress(ProcessLookupError):  # it ended in between
                    os.kill(pid, signal.SIGKILL)
                    kills += 1

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        fixed = MeasureSettings(
            warmup_runs=5,
            warmup_seconds=0.0,
            warmup_max_seconds=0.001,
            window_seconds=0.0,
            batch_seconds=0.0,
            rounds=1,
            min_runs=40,
            max_runs=40,
            max_seconds=60.0,
            target_seconds=60.0,
            max_reruns=0,
        )
        found = measure({key: _Slowed(runner) for key, runner in runners.items()}, settings=fixed)
    finally:
        stop.set()
        thread.join()
    assert kills
    assert [m.n for m in found] == [40, 40, 40]  # as many as without a cut
    agent = host._opened[0].agent  # type: ignore[attr-defined]
    assert agent.reconnections >= 1
    assert 0 <= agent.requested - agent.answered <= agent.reconnections  # only what was cut was asked for again


class _Slowed:
    """Answers a little late, so that the cuts fall into the run."""

    def __init__(self, runner: object) -> None:
        self.runner = runner

    def __call__(self) -> object:
        return self.runner()  # type: ignore[operator]

    def elapsed(self, calls: int) -> float:
        time.sleep(0.005)
        return float(self.runner.elapsed(calls))  # type: ignore[attr-defined]


def test_nothing_is_left_running_when_this_side_is_gone(tmp_path: Path) -> None:
    if not get_runtime("executorch").availability()[0] or COMPILER is None:
        pytest.skip("needs executorch and g++, which builds the agent")
    program = f"""
import os, signal
from hardware.hosts import DeviceFile, RemoteHost
host = RemoteHost(DeviceFile.model_validate({{"name": "board", "folder": {str(tmp_path)!r}, "local": {{}}}}))
host.runtime("executorch").agent
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    until = time.monotonic() + 10
    while agents(tmp_path) and time.monotonic() < until:
        time.sleep(0.1)
    assert not agents(tmp_path)


def test_an_agent_ends_by_itself_when_nobody_asks(host: RemoteHost, tmp_path: Path) -> None:
    _ = host.runtime("executorch").agent  # type: ignore[attr-defined]
    (program,) = (tmp_path / "on device").glob("*/agent")
    with subprocess.Popen([str(program), "1", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.wait(20) == -signal.SIGALRM


def test_a_request_that_kills_the_agent_every_time_is_named() -> None:
    dies = "sh -c 'read a; echo ok 1 strange; read b; exit 3'"
    client = AgentClient(LocalTransport(), dies, "/tmp")
    client.add("key", "program", "inputs")
    with pytest.raises(HardwareError, match="died 5 times on 'run key 5'"):
        client.run("key", 5)
    client.close()


@pytest.mark.parametrize(
    ("agent", "match"),
    [
        ("sh -c 'read a; echo ok 99 other; read b'", "legal: protocol 1"),
        ("sh -c 'read a; echo hello; read b'", "legal: ok, error"),
        ("/no/such/agent", "cannot be started"),
    ],
)
def test_what_is_no_agent_is_refused(agent: str, match: str) -> None:
    client = AgentClient(LocalTransport(), agent, "/tmp")
    with pytest.raises(HardwareError, match=match):
        client.hello()


def test_a_talkative_agent_is_heard_to_the_end() -> None:
    noise = "head -c 300000 /dev/zero >&2"
    script = f"read a; {noise}; echo ok 1; read b; {noise}; echo ok; read c; echo ok 5; read d; echo ok 8000000000"
    client = AgentClient(LocalTransport(), f"sh -c '{script}'", "/tmp")
    client.add("key", "program", "inputs")
    assert client.run("key", 1) == 8.0
    client.close()


def test_a_full_device_says_so(tmp_path: Path) -> None:
    if os.geteuid() != 0 or COMPILER is None or not get_runtime("executorch").availability()[0]:
        pytest.skip("needs root (a small disk is mounted), executorch and g++")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)], check=False).returncode != 0:
        pytest.skip("no disk can be mounted here")
    try:
        described = DeviceFile.model_validate({"name": "full", "folder": str(small), "local": {}})
        with RemoteHost(described) as host, pytest.raises(HardwareError, match=r"[Nn]o space left.*sending \d+ MiB"):
            host.runtime("executorch").prepare_many(networks(), cache=ConversionCache())
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_clock_that_jumps_changes_no_latency(host: RemoteHost, tmp_path: Path) -> None:
    library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
    if library is None:
        pytest.skip("no libfaketime here (Debian: faketime)")
    (key, module, inputs), *_ = networks()
    runtime = host.runtime("executorch")
    honest = runtime.prepare_many([(key, module, inputs)], cache=ConversionCache())[key].elapsed(200)  # type: ignore[attr-defined]
    agent = runtime.agent  # type: ignore[attr-defined]
    jumping = f"env LD_PRELOAD={library} FAKETIME='@2000-01-01 00:00:00 x9999' FAKETIME_DONT_FAKE_MONOTONIC=1"
    agent._end()
    agent._command = agent._command.replace("exec ", f"exec {jumping} ")
    jumped = agent.run(next(iter(agent._programs)), 200)
    assert jumped < 50 * honest  # by the wall clock it would be 9999 times as long


def test_states_are_read_for_what_they_are() -> None:
    phone = {
        "machine": ["aarch64"],
        "cpuinfo": ["processor : 0", "Features : fp asimd", "CPU part : 0xd05", "processor : 1", "Hardware : X"],
        "load": ["9.00 1 1 1/1 1"],
        "memory": ["MemTotal: 4194304 kB"],
        "khz": ["1800000", "2400000"],
        "temperature": ["41000", "-1", "38500"],
        "battery": ["Charging"],
        "model": ["Some phone"],
    }
    facts = description(phone)
    assert (facts["model"], facts["cores_logical"], facts["memory_gib"]) == ("Some phone", 2, 4.0)
    assert facts["emulated"] is False
    assert description({**phone, "cpuinfo": ["vendor_id : AuthenticAMD", "flags : avx2"]})["emulated"] is True
    record = state_record(phone, 1)
    assert (record["cpu_mhz"], record["temperature_c"]) == (2400.0, 41.0)
    assert ["load" in w or "charging" in w for w in record["warnings"]] == [True, True]
    assert all(value is None or value == [] for key, value in state_record({}, 1).items() if key != "time_utc")


def test_device_files_are_kept_outside_of_projects_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_DEVICES", str(tmp_path))
    board = device_from({"name": "pi", "ssh": {"host": "pi@pi"}, "cpus": "2,3"}, "here")
    assert write_device(board) == tmp_path / "pi.yaml"
    assert list(device_files()) == ["pi"]
    with pytest.raises(HardwareError, match=r"device: got 'phone'; legal: local, pi, or one that"):
        open_host("phone")
    assert type(open_host()) is Host
    for data, match in (
        ({"name": "a b", "ssh": {"host": "x"}}, "name: got 'a b'"),
        ({"name": "a"}, "exactly one of ssh, adb and local"),
        ({"name": "a", "adb": {"serial": "1"}, "ssh": {"host": "x"}}, "exactly one of"),
        ({"name": "a", "ssh": {"host": "x", "port": 0}}, r"ssh\.port: got 0"),
        ({"name": "a", "ssh": {"host": "x"}, "cpus": "big"}, "cpus: got 'big'"),
        ({"name": "local", "ssh": {"host": "x"}}, "this machine"),
        (["a"], "here: "),
    ):
        with pytest.raises(HardwareError, match=match):
            device_from(data, "here")
    (tmp_path / "other.yaml").write_text("name: pi\nssh: {host: x}\n")
    with pytest.raises(HardwareError, match="legal: 'other', as the file is called"):
        open_host("other")
    (tmp_path / "torn.yaml").write_text("name: [")
    with pytest.raises(HardwareError, match="cannot be read"):
        open_host("torn")
