"""This machine and the user's other devices: what they are, which runtimes work, and adding a new one."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from typing import Any

from rich.console import Console
from rich.table import Table

from hardware.device import Device
from hardware.errors import HardwareError
from hardware.hosts import DeviceFile, RemoteHost, device_files, device_from, write_device
from hardware.remote.agents import REMOTE_RUNTIMES
from hardware.runtimes import Runtime, get_runtime, runtime_names, runtime_precisions
from hardware.transports import LinkError
from search_spaces import OperatorSpec, build_operator

OPTIONAL = """
onnx onnxscript onnxruntime executorch torchao openvino nncf ai-edge-litert ncnn pnnx nvidia-ml-py ray matplotlib
""".split()  # noqa: SIM905


def describe_device(
    name: str,
    ssh: str | None,
    port: int | None,
    adb: str | None,
    folder: str,
    cpus: str | None,
    python: str,
    emulated: bool,
) -> DeviceFile:
    """The description that these options of `nas devices add` make. Raises HardwareError naming what is wrong."""
    way: dict[str, Any] = {"ssh": {"host": ssh, "port": port}} if ssh is not None else {}
    way |= {"adb": {"serial": adb}} if adb is not None else {}
    settings = {"folder": folder, "cpus": cpus, "python": python, "emulated": emulated}
    return device_from({"name": name, **way, **settings}, "device")


def add_device(described: DeviceFile, console: Console) -> None:
    """Tries the device by running an operator there in every runtime that a device can have, compares its output with
    PyTorch's, and keeps the description.

    Raises:
        LinkError, HardwareError: it cannot be reached, or no runtime works there; nothing is kept then.
    """
    if described.name in device_files():
        raise HardwareError(f"device {described.name!r} is described already: {device_files()[described.name]}")
    said: list[str] = []
    problems: list[str] = []
    with RemoteHost(described, lambda text: console.print(text, highlight=False)) as host:
        facts = host.device(REMOTE_RUNTIMES[0]).to_json()
        for name in REMOTE_RUNTIMES:
            try:
                error = _try_operator(host.runtime(name))
                said.append(f"{name}: an operator ran there and differs from PyTorch by {error:.1g}")
            except LinkError:
                raise
            except HardwareError as problem:
                problems.append(f"{name}: {problem}")
    if not said:
        raise HardwareError(f"device {described.name!r}: no runtime works there: {'; '.join(problems)}")
    shown = ", ".join(f"{key} {value}" for key, value in facts["description"].items() if value not in (None, False))
    for line in (f"{facts['name']}: {shown}", *said, *(f"not {problem}" for problem in problems)):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"kept: {write_device(described)}", soft_wrap=True, highlight=False)


def _try_operator(runtime: Runtime) -> float:
    """Largest difference between what a runtime and PyTorch compute for an attention operator."""
    import torch

    spec = OperatorSpec.of("mhsa", (16, 8, 8), dim=16, heads=2, head_dim=8)
    module = build_operator(spec).eval()
    x = torch.randn(1, *spec.shape)
    with torch.no_grad():
        got = torch.as_tensor(runtime.prepare(module, (x,))()).cpu()
        return float((got - module.cpu()(x)).abs().max())


def print_devices(as_json: bool, console: Console) -> None:
    """This machine, and for every runtime whether it works here or the command that installs it."""
    found = []
    for kind in ("cpu", "cuda"):
        try:
            found.append(Device.local(kind).to_json())
        except HardwareError:
            continue
    runtimes: list[dict[str, Any]] = []
    for name in runtime_names():
        usable, text = get_runtime(name).availability()
        formats = list(runtime_precisions(name))
        runtimes.append({"runtime": name, "usable": usable, "precisions": formats, "detail": text})
    described = {name: str(path) for name, path in device_files().items()}
    if as_json:
        print(json.dumps({"devices": found, "runtimes": runtimes, "described": described}, indent=2))
        return
    for device in found:
        facts = ", ".join(f"{k} {v}" for k, v in device["description"].items() if isinstance(v, str | int | float))
        console.print(f"{device['kind']}: {device['name']} ({facts})", highlight=False, soft_wrap=True)
    table = Table("runtime", "usable here", "precisions", "version, or what is missing")
    for row in runtimes:
        table.add_row(row["runtime"], "yes" if row["usable"] else "no", " ".join(row["precisions"]), row["detail"])
    console.print(table)
    for name, path in described.items():
        console.print(f"device {name}: {path}", highlight=False, soft_wrap=True)
    if not described:
        console.print("no other devices; `nas devices add` describes one (ssh, adb)", highlight=False)


def print_doctor(as_json: bool, console: Console) -> bool:
    """Checks by doing: packages, an operator in every runtime that is there, the job files. True if nothing is broken."""
    checks: list[dict[str, Any]] = [{"check": "python", "ok": True, "detail": platform.python_version()}]
    for package in ("torch", "numpy", "pandas", "scikit-learn", "lightgbm", "optuna", "moocore", "safetensors"):
        checks.append({"check": package, "ok": True, "detail": metadata.version(package)})
    for package in OPTIONAL:
        try:
            checks.append({"check": f"{package} (optional)", "ok": True, "detail": metadata.version(package)})
        except metadata.PackageNotFoundError:
            checks.append({"check": f"{package} (optional)", "ok": True, "detail": "not installed"})
    checks += [_try_runtime(name) for name in runtime_names()]
    if as_json:
        print(json.dumps(checks, indent=2))
    else:
        table = Table("check", "", "detail")
        for row in checks:
            table.add_row(row["check"], "ok" if row["ok"] else "BROKEN", row["detail"])
        console.print(table)
    return all(row["ok"] for row in checks)


def _try_runtime(name: str) -> dict[str, Any]:
    """Runs one operator in a runtime and compares it with PyTorch."""
    runtime = get_runtime(name)
    usable, detail = runtime.availability()
    if not usable:
        return {"check": f"runtime {name}", "ok": True, "detail": f"not usable here: {detail}"}
    try:
        error = _try_operator(runtime)
    except (HardwareError, RuntimeError) as problem:
        return {"check": f"runtime {name}", "ok": False, "detail": str(problem)}
    return {"check": f"runtime {name}", "ok": error < 1e-4, "detail": f"{detail}; differs from PyTorch by {error:.1g}"}
