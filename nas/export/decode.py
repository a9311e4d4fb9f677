"""The decoding step of a network as an ONNX file, and the proof that it says what the network says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas.export.parity import Parity, compare
from search_spaces import Network
from search_spaces.decode import DecodeStep


def decoding_parity(network: Network, tokens: Tensor, path: Path) -> Parity:
    """Writes the decoding step of ``network`` to ``path`` and compares it, run in ONNX Runtime token by token, with the
    network on whole sequences ``tokens`` ``(N, L)``.

    The file's inputs are ``input_0`` (one token) and ``input_1`` ... (the state, zero before the first token), its outputs
    ``output_0`` (the scores of the next token) and ``output_1`` ... (the state for the next step).
    """
    from hardware.runtimes.onnx_export import export_onnx

    step = DecodeStep(network).eval()
    state = step.initial_state(1, tokens.shape[1])
    export_onnx(step, (tokens[:1, 0], *state), path)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]

    def decoded(sequence: Tensor) -> Tensor:
        carried = [tensor.numpy() for tensor in state]
        scores = []
        for token in sequence.unbind(1):
            given = dict(zip(names, [token.numpy(), *carried], strict=True))
            score, *carried = session.run(None, given)
            scores.append(score)
        return torch.from_numpy(np.stack(scores, 1))

    return compare(network, decoded, tokens)
