"""A stand-alone package: weights, readable source, ONNX, ExecuTorch, and a manifest with the parity figures."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from hardware.errors import HardwareError
from nas.errors import JobError
from nas.export.decode import decoding_parity
from nas.export.exporters import EXPORTERS
from nas.export.parity import Parity, compare
from nas.export.source import module_of, network_source
from search_spaces import Architecture, Network

EXACT, CLOSE = 1e-6, 1e-4  # relative difference: of model.py, and of what another runtime computes
DECODED = 4  # sequences that are decoded token by token for the parity


def export_package(
    folder: Path,
    architecture: Architecture,
    network: Network,
    inputs: Tensor,
    facts: Mapping[str, Any],
    formats: Sequence[str] = ("onnx",),
    decode: bool = False,
) -> dict[str, Any]:
    """Writes the package of ``architecture`` to ``folder`` and proves it equal to ``network``.

    The folder appears complete or not at all; one that is there already is replaced.

    Args:
        folder: gets ``architecture.json``, ``model.safetensors``, ``model.py``, ``manifest.json`` and the formats' files.
        architecture: what is exported.
        network: it, with the weights that were searched, in evaluation mode.
        inputs: normalised images ``(N, C, H, W)`` or tokens ``(N, L)`` on which outputs are compared.
        facts: goes into the manifest (accuracy, latency, normalisation, class names).
        formats: ``"onnx"`` (``model.onnx``), ``"executorch"`` (``model.pte``), both or none. Where ExecuTorch is missing or
            lacks an operator, the manifest says so (``not_exported``) instead.
        decode: adds ``decode.onnx``, ``decode.pte``: one token and the state before it -> scores and the state after it.

    Returns:
        The manifest.

    Raises:
        JobError: an exported form differs from the network by more than its tolerance.
        HardwareError: ONNX cannot be exported.
    """
    network = network.cpu().eval()
    partial = folder.with_name(folder.name + ".writing")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "architecture.json").write_text(json.dumps(architecture.to_json(), indent=2) + "\n")
    (partial / "model.py").write_text(network_source(architecture))
    save_file({name: t.contiguous() for name, t in network.state_dict().items()}, partial / "model.safetensors")
    parity = {"model.py": compare(network, _rebuilt(partial), inputs)}
    missing = {}
    for runtime in formats:
        try:
            parity |= _files_of(runtime, partial, network, inputs, decode)
        except HardwareError as error:
            if runtime != "executorch":
                raise
            missing[runtime] = str(error)
    if missing:
        facts = {**facts, "not_exported": missing}
    for name, figures in parity.items():
        tolerance = EXACT if name == "model.py" else CLOSE
        if not figures.max_relative <= tolerance:
            raise JobError(
                f"export {architecture.hash}: {name} differs by {figures.max_relative:.2g} relative; "
                f"legal: at most {tolerance:g}"
            )
    manifest = _manifest(partial, architecture, parity, facts)
    (partial / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return manifest


def _files_of(runtime: str, folder: Path, network: Network, inputs: Tensor, decode: bool) -> dict[str, Parity]:
    """Writes a runtime's files, its parity figures by file."""
    suffix, export = EXPORTERS[runtime]
    model, step = f"model.{suffix}", f"decode.{suffix}"
    run = export(network, (inputs[:1],), folder / model)
    parity = {model: compare(network, lambda x: run(x)[0], inputs)}
    if decode:
        parity[step] = decoding_parity(network, inputs[:DECODED], folder / step, export)
    return parity


def _manifest(
    folder: Path, architecture: Architecture, parity: Mapping[str, Parity], facts: Mapping[str, Any]
) -> dict[str, Any]:
    files = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir()) if file.is_file()
    }
    return {
        "architecture": architecture.hash,
        "space": architecture.space.definition,
        "input": {"name": "input", "shape": [1, *architecture.input_shape], "dtype": _dtype(architecture)},
        "parity": {name: figures.to_json() for name, figures in parity.items()},
        **facts,
        "files": files,
    }


def _dtype(architecture: Architecture) -> str:
    return "int64" if len(architecture.input_shape) == 1 else "float32"


def _rebuilt(folder: Path) -> torch.nn.Module:
    """The network as a user gets it: built by the package's own source, with the package's weights."""
    network: torch.nn.Module = module_of((folder / "model.py").read_text()).load(str(folder / "model.safetensors"))
    return network
