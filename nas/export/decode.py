"""The decoding step of a network as a file of a runtime, and the proof that it says what the network says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from nas.export.exporters import Run
from nas.export.parity import Parity, compare
from search_spaces import Network
from search_spaces.decode import DecodeStep


def decoding_parity(
    network: Network, tokens: Tensor, path: Path, export: Callable[[nn.Module, tuple[Tensor, ...], Path], Run]
) -> Parity:
    """Writes the decoding step of ``network`` to ``path`` with ``export`` and compares it, run token by token, with the
    network on whole sequences ``tokens`` ``(N, L)``.

    The file's inputs are ``input_0`` (one token) and ``input_1`` ... (the state, zero before the first token), its outputs
    ``output_0`` (the scores of the next token) and ``output_1`` ... (the state for the next step), in this order.
    """
    step = DecodeStep(network).eval()
    start = step.initial_state(1, tokens.shape[1])
    run = export(step, (tokens[:1, 0], *start), path)

    def decoded(sequence: Tensor) -> Tensor:
        state: tuple[Tensor, ...] = tuple(start)
        scores = []
        for token in sequence.unbind(1):
            score, *rest = run(token, *state)
            scores.append(score)
            state = tuple(rest)
        return torch.stack(scores, 1)

    return compare(network, decoded, tokens)
