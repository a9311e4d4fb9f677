"""Runtimes whose models start as ONNX: the export in batches, which they share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hardware.errors import HardwareError
from hardware.runtimes.base import Item
from hardware.runtimes.conversion import Converted, ConvertingRuntime

if TYPE_CHECKING:
    from torch import Tensor, nn


class OnnxConvertingRuntime(ConvertingRuntime):
    """A runtime that converts modules to ONNX, many in one run of the exporter, and goes on from there."""

    batch = 16  # beyond this the exporter's cost a module no longer falls

    def finish(self, model: bytes, inputs: tuple[Tensor, ...]) -> bytes:
        """What the runtime loads, made of the ONNX model of a module; that model itself unless a sub-class says more.

        Raises HardwareError when it cannot be made.
        """
        return model

    def convert(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
        """See `export_onnx` and `finish`; 0.6 s for an operator in fp32."""
        from hardware.runtimes.onnx_export import export_onnx

        return self.finish(export_onnx(module, inputs), inputs)

    def convert_batch(self, items: list[Item]) -> Converted:
        """See `export_onnx_many` and `finish`."""
        from hardware.runtimes.onnx_export import export_onnx_many

        results: Converted = []
        for part in _by_size(items):
            try:
                models = export_onnx_many([(module, inputs) for _, module, inputs in part])
            except HardwareError:
                results += super().convert_batch(part)  # one bad module spoils them all: find it
                continue
            for (key, _, inputs), model in zip(part, models, strict=True):
                try:
                    results.append((key, self.finish(model, inputs)))
                except HardwareError as error:
                    results.append((key, error))
        return results


def _by_size(items: list[Item], most: int = 250) -> Iterator[list[Item]]:
    """The items in parts of at most ``most`` modules and sub-modules each (or of one item): the exporter's rewriting grows
    faster than its graph, so that sixteen operators go well together and no more than two networks of twenty layers."""
    part: list[Item] = []
    size = 0
    for item in items:
        count = sum(1 for _ in item[1].modules())
        if part and size + count > most:
            yield part
            part, size = [], 0
        part, size = [*part, item], size + count
    if part:
        yield part
