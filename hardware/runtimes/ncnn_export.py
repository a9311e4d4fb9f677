"""A module as an ncnn model, by way of TorchScript and pnnx.

pnnx never fails: what it cannot express it leaves in the file under torch's name, and what it takes wrongly for the batch
axis it computes wrongly. So the layers are checked first, and then the output.
"""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.base import deployed
from hardware.runtimes.conversion import check_module, first_line, require_packages
from hardware.runtimes.fidelity import check_outputs
from hardware.runtimes.ncnn_model import PACKAGES, PARTS, load_ncnn, pack
from hardware.runtimes.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor, nn

TYPES = {"float32": "f32", "int64": "i64", "int32": "i32"}


def export_ncnn(module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    """Convert a module, which is put in eval mode, for inputs of these shapes and types, batch 1: a zip of `PARTS`.

    Raises HardwareError when the module fails, the batch is not 1, ncnn lacks a layer (the message names it) or computes
    something else than torch, and when ncnn or pnnx is not installed.
    """
    import torch

    require_packages("ncnn", PACKAGES)
    name = type(module).__name__
    module = deployed(module)
    given = tuple(x.detach().clone(memory_format=torch.contiguous_format) for x in inputs)
    found = check_module(module, given)
    expected = found if isinstance(found, tuple) else (found,)
    for x in given:
        if x.ndim < 1 or x.shape[0] != 1:
            raise HardwareError(f"{name} cannot run in ncnn: inputs must have a batch of 1, got shape {tuple(x.shape)}")
        if _type(x) not in TYPES:
            raise HardwareError(f"{name} cannot run in ncnn: inputs must be one of {', '.join(TYPES)}, got {_type(x)}")
    with TemporaryDirectory() as folder:
        said = _pnnx(module, given, Path(folder))
        network, weights, code = (Path(folder) / file for file in ("m.ncnn.param", "m.ncnn.bin", "m_ncnn.py"))
        if not network.exists():
            raise HardwareError(f"{name} cannot be converted to ncnn: {_complaint(said) or 'pnnx stopped'}")
        parts = {PARTS[0]: network.read_bytes(), PARTS[1]: weights.read_bytes()}
        tensors = _tensors(network.read_text(), code.read_text(), given, expected)
    layers = parts[PARTS[0]].decode().splitlines()[2:]
    missing = _missing(layers)
    if missing:
        reason = f": {complaint}" if (complaint := _complaint(said)) else ""
        raise HardwareError(f"{name} cannot run in ncnn: no layer for {', '.join(missing)}{reason}")
    model = pack({**parts, PARTS[2]: json.dumps(tensors).encode()})
    try:
        output = load_ncnn(model, given)()
    except HardwareError as error:
        raise HardwareError(f"{name} cannot run in ncnn: {_lost_axis(layers) or error}") from error
    check_outputs(name, "ncnn", found, output)
    return model


def _pnnx(module: nn.Module, inputs: tuple[Tensor, ...], folder: Path) -> str:
    """Write the model's files into the folder; what pnnx says. A crash of pnnx shows as files that are not there."""
    import pnnx
    import torch

    try:
        with quiet("torch"), redirect_stderr(StringIO()), torch.no_grad():
            torch.jit.trace(module, inputs, check_trace=False).save(str(folder / "m.pt"))
    except Exception as error:
        raise HardwareError(f"{type(module).__name__} cannot be traced: {first_line(error)}") from error
    shapes = ",".join(f"[{','.join(map(str, x.shape))}]{TYPES[_type(x)]}" for x in inputs)
    command = [pnnx.EXEC_PATH, "m.pt", f"inputshape={shapes}", "fp16=0"]
    # Names relative to the folder: nothing is written elsewhere, and no path of this machine enters the files.
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    return done.stdout + done.stderr


def _tensors(network: str, code: str, inputs: tuple[Tensor, ...], outputs: tuple[Any, ...]) -> dict[str, Any]:
    """What `load` must know. inputs: shape, NumPy type, blob (None if it is not in the network), the axis that pnnx took for
    the batch and dropped (233: none); outputs: shape, whether integers."""
    blobs = dict(re.findall(r"^Input\s+in(\d+)\s+0\s+1\s+(\S+)", network, re.MULTILINE))
    axes = dict(re.findall(r'ex\.input\("in(\d+)".*batch_index=(\d+)', code))
    return {
        "inputs": [
            {
                "shape": list(x.shape),
                "type": "float32" if x.is_floating_point() else "int32",
                "blob": blobs.get(str(i)),
                "batch_axis": int(axes.get(str(i), 0)),
            }
            for i, x in enumerate(inputs)
        ],
        "outputs": [{"shape": list(y.shape), "integer": not y.is_floating_point()} for y in outputs],
    }


def _missing(layers: list[str]) -> list[str]:
    """Types of layers that ncnn does not have, in order."""
    import ncnn

    return [kind for kind in _types(layers) if ncnn.layer_to_index(kind) < 0]


def _lost_axis(layers: list[str]) -> str:
    """What works along the batch axis, or one that pnnx takes for it: it writes -233 there. Not every layer can do so."""
    kinds = _types([line for line in layers if re.search(r"\s\d+=-233(\s|$)", line)])
    return f"{', '.join(kinds)} along the axis that pnnx takes for the batch" if kinds else ""


def _types(layers: list[str]) -> list[str]:
    return list(dict.fromkeys(line.split()[0] for line in layers if line.strip()))


def _complaint(said: str) -> str:
    """The first thing that pnnx says it cannot do."""
    lines = [line.strip() for line in said.splitlines()]
    return next((line for line in lines if re.search(r"not supported|unsupported", line)), "")


def _type(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")
