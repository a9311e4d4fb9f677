"""Runtimes that convert modules to a file format first: many at a time, in this process or in worker processes."""

from __future__ import annotations

import multiprocessing
import pickle
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, ClassVar

from hardware.errors import HardwareError, RefusedError
from hardware.runtimes.base import Item, Runner, Runtime, unavailable, unique_items
from hardware.runtimes.cache import ConversionCache

if TYPE_CHECKING:
    from torch import Tensor, nn

Converted = list[tuple[str, "bytes | HardwareError"]]
"""(key, the model or why there is none)."""


class ConvertingRuntime(Runtime):
    """A runtime of converted models. Sub-classes set `packages` and `batch`, and say how to convert a module and load it."""

    packages: ClassVar[tuple[str, ...]]
    """What must be installed besides torch, the runtime itself first."""
    batch: ClassVar[int]
    """Modules a call of `convert_batch`."""

    @abstractmethod
    def convert(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
        """The module, put in eval mode, as a model in this precision. Raises HardwareError when it cannot be converted."""

    def convert_batch(self, items: list[Item]) -> Converted:
        """(key, model or error) for (key, module, inputs) items, in order."""
        results: Converted = []
        for key, module, inputs in items:
            try:
                results.append((key, self.convert(module, inputs)))
            except HardwareError as error:
                results.append((key, error))
        return results

    @abstractmethod
    def load(self, model: bytes, inputs: tuple[Tensor, ...]) -> Runner:
        """A runner for a converted model on these inputs. Raises HardwareError when the runtime refuses it."""

    def availability(self) -> tuple[bool, str]:
        """(True, version), or the pip command that installs what is missing."""
        problem = packages_problem(self.packages)
        return (True, str(_version(self.packages[0]))) if problem is None else (False, problem)

    def versions(self) -> dict[str, str]:
        """The runtime, and the converter's packages, which shape the model."""
        found = {name: _version(name) for name in (*self.packages, "torch")}
        return {name: text for name, text in found.items() if text is not None}

    def prepare(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Runner:
        """See `Runtime.prepare`; converts first."""
        self.require()
        return self.load(self.convert(module, inputs), inputs)

    def prepare_many(
        self,
        items: Iterable[Item],
        workers: int = 1,
        progress: Callable[[int, int], None] | None = None,
        cache: ConversionCache | None = None,
    ) -> dict[str, Runner]:
        """See `Runtime.prepare_many`; converts in batches, in processes if workers > 1."""
        self.require()
        unique = unique_items(items)
        runners: dict[str, Runner] = {}
        refused: dict[str, str] = {}
        for key, model in self.models(list(unique.values()), workers, cache):
            try:
                if isinstance(model, HardwareError):
                    raise model
                runners[key] = self.load(model, unique[key][2])
            except HardwareError as error:
                refused[key] = str(error)
            if progress is not None:
                progress(len(runners) + len(refused), len(unique))
        if refused:
            raise RefusedError(self.name, {key: refused[key] for key in unique if key in refused}, len(unique))
        return {key: runners[key] for key in unique}

    def models(
        self, items: list[Item], workers: int = 1, cache: ConversionCache | None = None
    ) -> Iterator[tuple[str, bytes | HardwareError]]:
        """Yield (key, model, or why there is none) for (key, module, inputs) items: those of the cache first."""
        described = self.describe()
        keys = {key: cache.key(module, inputs, described) for key, module, inputs in items} if cache is not None else {}
        left = []
        for item in items:
            model = cache.get(keys[item[0]]) if cache is not None else None
            if model is None:
                left.append(item)
            else:
                yield item[0], model
        for key, found in convert_many(self.convert_batch, left, self.batch, workers):
            if cache is not None and isinstance(found, bytes):
                cache.put(keys[key], found)
            yield key, found


def convert_many(
    convert: Callable[[list[Item]], Converted], items: list[Item], batch: int, workers: int = 1
) -> Iterator[tuple[str, bytes | HardwareError]]:
    """Yield (key, model or error) for (key, module, inputs) items, as they are done: in no fixed order if workers > 1.

    Modules that cannot be sent to another process (a class defined inside a function) are converted in this one.

    convert: a function that pickles, which turns a batch of items into (key, model). batch: items a call; the last
    calls get fewer. workers: processes; with one, or one batch, everything is done here.
    """
    batches = [items[start : start + batch] for start in range(0, len(items), batch)]
    if workers <= 1 or len(batches) <= 1:
        for part in batches:
            yield from convert(part)
        return
    # Forked children would share torch's thread pools with this process and may hang: start them afresh.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(batches)), mp_context=context, initializer=_one_thread) as pool:
        running: set[Future[Converted]] = set()
        at_home = []
        for part in batches:
            try:
                # By value, in memory, between our own processes; torch's own way would share every tensor as a file.
                parcel = pickle.dumps(part)
            except (pickle.PicklingError, AttributeError, TypeError):
                at_home.append(part)
                continue
            running.add(pool.submit(_convert_parcel, convert, parcel))
            if len(running) >= 2 * workers:  # parcels hold the weights: keep only a few in flight
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from future.result()
        for part in at_home:
            yield from convert(part)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield from future.result()


def packages_problem(packages: Sequence[str]) -> str | None:
    """Which of these and torch are not installed, and the pip command for it; None where all are."""
    missing = [name for name in (*packages, "torch") if _version(name) is None]
    return f"{', '.join(missing)} not installed; pip install {' '.join(missing)}" if missing else None


def require_packages(runtime: str, packages: Sequence[str]) -> None:
    """Raise HardwareError with the reason where the runtime of that name lacks one of these."""
    if problem := packages_problem(packages):
        raise unavailable(runtime, problem)


def check_module(module: nn.Module, inputs: tuple[Tensor, ...]) -> object:
    """The module's output on these inputs. Raises HardwareError when it fails, before a converter hides the cause."""
    import torch

    try:
        with torch.no_grad():
            return module(*inputs)
    except Exception as error:
        raise HardwareError(f"{type(module).__name__} fails on its inputs: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The kind and first line of an error: converters wrap the cause in a page of advice; the cause is the useful part."""
    cause = error.__cause__ or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[0]}" if lines else type(cause).__name__


def _convert_parcel(convert: Callable[[list[Item]], Converted], parcel: bytes) -> Converted:
    return convert(pickle.loads(parcel))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
