"""An ncnn model as one file: a zip of the network, its weights and what must be known of its tensors."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.base import Runner
from hardware.runtimes.quiet import silent_stderr

if TYPE_CHECKING:
    from torch import Tensor

PACKAGES = ("ncnn", "pnnx")
PARTS = ("model.param", "model.bin", "tensors.json")  # the network, its weights, what to know of the tensors


def pack(parts: dict[str, bytes]) -> bytes:
    """One file of the parts of a model (`PARTS`); the same parts give the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in PARTS:
            archive.writestr(zipfile.ZipInfo(name), parts[name])
    return file.getvalue()


def load_ncnn(model: bytes, inputs: tuple[Tensor, ...], threads: int = 1) -> Runner:
    """A call of a model of ours on these inputs.

    The output is a NumPy array of its own; reading the outputs is part of the call. Raises HardwareError where ncnn refuses it.
    """
    network, tensors = _network(model, threads)
    if len(tensors["inputs"]) != len(inputs):
        raise HardwareError(f"the model has {len(tensors['inputs'])} inputs, {len(inputs)} were given")
    # what does not reach an output is no part of the network
    pairs = [pair for pair in zip(tensors["inputs"], inputs, strict=True) if pair[0]["blob"] is not None]
    outputs = [(f"out{i}", "i" if y["integer"] else "", y["shape"]) for i, y in enumerate(tensors["outputs"])]
    try:
        given = [(described["blob"], _values(described, tensor)) for described, tensor in pairs]
    except (ValueError, RuntimeError) as error:
        raise HardwareError(f"ncnn refuses the inputs: {error}") from error

    def run() -> object:
        extractor = network.create_extractor()
        for blob, values in given:
            extractor.input(blob, values)
        results = []
        for blob, kind, shape in outputs:
            failed, output = extractor.extract(blob)
            if failed:
                raise HardwareError(f"{blob} cannot be computed, code {failed}")
            results.append(output.numpy(kind).reshape(shape))
        return results[0] if len(results) == 1 else tuple(results)

    try:
        with silent_stderr():
            run()
    except (ValueError, RuntimeError) as error:  # among them an output with another number of elements
        raise HardwareError(f"ncnn refuses the model: {error}") from error
    return run


def _values(described: dict[str, Any], tensor: Tensor) -> Any:
    """The tensor as one of ncnn's, which owns a copy: layers that work in place would overwrite an array of ours."""
    import ncnn

    if list(tensor.shape) != described["shape"]:
        raise HardwareError(f"the shape must be {described['shape']}, got {list(tensor.shape)}")
    array = tensor.detach().cpu().contiguous().numpy().astype(described["type"])
    return ncnn.Mat(array, described["batch_axis"]).clone()


def _network(model: bytes, threads: int) -> tuple[Any, dict[str, Any]]:
    """The loaded network, and its inputs and outputs as `export_ncnn` describes them."""
    import ncnn

    network = ncnn.Net()
    options = network.opt
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage", "vulkan_compute"):
        setattr(options, f"use_{name}", False)
    options.num_threads = threads
    try:
        archive = zipfile.ZipFile(io.BytesIO(model))
    except zipfile.BadZipFile as error:
        raise HardwareError(f"this is no ncnn model of ours: {error}") from error
    # From files, because ncnn would not copy weights that are given as bytes.
    with archive, TemporaryDirectory() as name, silent_stderr():
        archive.extractall(name)
        network_file, weights, tensors = (Path(name) / part for part in PARTS)
        if network.load_param(str(network_file)) or network.load_model(str(weights)):
            raise HardwareError("ncnn refuses the model")
        return network, json.loads(tensors.read_text())
