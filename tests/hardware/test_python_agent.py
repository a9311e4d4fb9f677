"""Devices with their own ONNX Runtime or LiteRT: the agent in Python, on this machine and by ssh."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import hardware.python_agent
from hardware import HardwareError, MeasureSettings, get_runtime, measure
from hardware.hosts import DeviceFile, RemoteHost
from hardware.python_agent.engines import ENGINES
from hardware.remote.agents import BuiltAgent, PythonAgent, agent_for
from hardware.runtimes import ConversionCache
from tests.hardware.conftest import Server
from tests.hardware.test_remote import networks

FOLDER = Path(hardware.python_agent.__path__[0])


def needs(engine: str) -> None:
    usable, reason = get_runtime(engine).availability()
    if not usable:
        pytest.skip(f"{engine}: {reason}")


def opened(folder: Path, python: str = sys.executable, **way: object) -> RemoteHost:
    return RemoteHost(
        DeviceFile.model_validate({"name": "board", "folder": str(folder), "python": python, **(way or {"local": {}})})
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_device_computes_what_torch_computes_and_is_timed_by_itself(engine: str, tmp_path: Path) -> None:
    needs(engine)
    items = networks()
    with opened(tmp_path / "on device") as host:
        runtime = host.runtime(engine)
        runners = runtime.prepare_many(items, cache=ConversionCache())
        for key, module, (x,) in items:
            assert np.abs(np.asarray(runners[key]()) - module(x).detach().numpy()).max() < 1e-5
            assert runners[key].memory_bytes() is None  # type: ignore[attr-defined]
        found = measure(runners, settings=MeasureSettings.quick(), state=host.conditions)
        package = ENGINES[engine][0]
        assert runtime.versions()[package] == version(package)
    assert [m.key for m in found] == [key for key, _, _ in items]
    assert found[2].median_ms > found[0].median_ms
    assert all(m.memory_bytes is None for m in found)


def test_by_ssh_as_well_and_nothing_is_sent_twice(sshd: Server, tmp_path: Path) -> None:
    needs("onnxruntime")
    item = networks()[0]
    way = {"ssh": {"host": "127.0.0.1", "port": sshd.port, "options": sshd.options}}
    sent = []
    for _ in range(2):
        with opened(tmp_path / "on device", **way) as host:
            runner = host.runtime("onnxruntime").prepare_many([item], cache=ConversionCache())[item[0]]
            assert np.abs(np.asarray(runner()) - item[1](*item[2]).detach().numpy()).max() < 1e-5
        files = [path for path in (tmp_path / "on device").rglob("*") if path.suffix in (".bin", ".py")]
        sent.append({path: path.stat().st_mtime_ns for path in files})
    assert len(sent[0]) == 2 + len(list(FOLDER.glob("*.py")))
    assert sent[0] == sent[1]


@pytest.mark.parametrize(
    ("python", "match"),
    [("/no/such/python", "agent does not start: .*not found"), ("{bare}", "numpy is not installed for .*pip install")],
)
def test_a_device_without_it_says_what_is_missing(python: str, match: str, tmp_path: Path) -> None:
    needs("onnxruntime")
    bare = tmp_path / "bare"  # a Python without packages
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    with opened(tmp_path / "device", python.format(bare=bare)) as host, pytest.raises(HardwareError, match=match):
        host.runtime("onnxruntime").prepare_many(networks()[:1], cache=ConversionCache())


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("hello", "ok 1 onnxruntime "),
        ("nonsense", "error unknown request nonsense"),
        ("run key 5", "error no program key"),
        ("load key nowhere nowhere", "error "),
        ("load key", "error "),
        ("", "error "),
    ],
)
def test_requests_that_cannot_be_answered_get_an_error_and_the_next_one_an_answer(request_: str, said: str) -> None:
    needs("onnxruntime")
    words = [sys.executable, "-m", FOLDER.name, "onnxruntime", "1", "30"]
    done = subprocess.run(
        words, input=f"{request_}\nhello\n", capture_output=True, text=True, cwd=FOLDER.parent, check=True
    )
    first, second = done.stdout.splitlines()
    assert first.startswith(said)
    assert second.startswith("ok 1 onnxruntime ")


def test_it_ends_by_itself_when_nobody_asks() -> None:
    needs("onnxruntime")
    words = [sys.executable, "-m", FOLDER.name, "onnxruntime", "1", "1"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=FOLDER.parent) as process:
        assert process.wait(30) == -signal.SIGALRM


def test_what_is_sent_is_python_3_8() -> None:
    for path in FOLDER.glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 8))


def test_a_runtime_has_its_agent() -> None:
    assert isinstance(agent_for("executorch", "aarch64", "python3"), BuiltAgent)
    assert isinstance(agent_for("litert", "riscv64", "python3"), PythonAgent)
    with pytest.raises(HardwareError, match="legal: executorch, onnxruntime, litert"):
        agent_for("openvino", "x86_64", "python3")
    with pytest.raises(HardwareError, match="machine: got 'riscv64'; legal: x86_64, aarch64"):
        agent_for("executorch", "riscv64", "python3")
