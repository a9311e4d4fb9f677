"""Converting many modules to ONNX, in batches, in this process or in worker processes."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import TYPE_CHECKING

from hardware.errors import HardwareError

if TYPE_CHECKING:
    from hardware.runtimes.base import Item

BATCH = 16  # beyond this the exporter's cost a module no longer falls


def convert_to_onnx(items: list[Item], workers: int = 1) -> Iterator[tuple[str, bytes]]:
    """Yield (key, ONNX bytes) for (key, module, inputs) items, as they are done: in no fixed order if workers > 1.

    Modules that cannot be sent to another process (a class defined inside a function) are converted in this one.
    Raises HardwareError naming the key of a module that cannot be exported.
    """
    batches = [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
    if workers <= 1 or len(batches) == 1:
        for batch in batches:
            yield from _convert(batch)
        return
    # Forked children would share torch's thread pools with this process and may hang: start them afresh.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(batches)), mp_context=context, initializer=_one_thread) as pool:
        running: set[Future[list[tuple[str, bytes]]]] = set()
        at_home = []
        for batch in batches:
            try:
                # By value, in memory, between our own processes; torch's own way would share every tensor as a file.
                parcel = pickle.dumps(batch)
            except (pickle.PicklingError, AttributeError, TypeError):
                at_home.append(batch)
                continue
            running.add(pool.submit(_convert_parcel, parcel))
            if len(running) >= 2 * workers:  # parcels hold the weights: keep only a few in flight
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from future.result()
        for batch in at_home:
            yield from _convert(batch)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield from future.result()


def _convert(batch: list[Item]) -> list[tuple[str, bytes]]:
    from hardware.runtimes.onnx_export import export_onnx, export_onnx_many

    try:
        models = export_onnx_many([(module, inputs) for _, module, inputs in batch])
        return [(key, model) for (key, _, _), model in zip(batch, models, strict=True)]
    except HardwareError:
        # One bad module spoils the container: go one by one, so that the error names it.
        results = []
        for key, module, inputs in batch:
            try:
                results.append((key, export_onnx(module, inputs)))
            except HardwareError as error:
                raise HardwareError(f"{key!r}: {error}") from error
        return results


def _convert_parcel(parcel: bytes) -> list[tuple[str, bytes]]:
    return _convert(pickle.loads(parcel))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
