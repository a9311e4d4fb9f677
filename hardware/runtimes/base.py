"""What a runtime is: it turns a module and its inputs into a call that runs once."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from hardware.errors import HardwareError, RefusedError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hardware.runtimes.cache import ConversionCache

Runner = Callable[[], object]
Item = tuple[str, "nn.Module", tuple["Tensor", ...]]


@dataclass(frozen=True)
class KernelTime:
    """One kernel of a profile: the runtime's name for the node, the kind of work, and ms a run."""

    name: str
    kind: str
    ms: float


class Runtime(ABC):
    """One way of executing a module, with its precision and number of threads.

    Sub-classes set `name` and `precisions` and import what they need inside their methods, so that naming a runtime
    costs nothing and one that is not installed can still say how to install it.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)

    def __init__(self, precision: str = "fp32", threads: int = 1) -> None:
        if precision not in self.precisions:
            raise HardwareError(
                f"runtime {self.name!r}: precision must be one of {', '.join(self.precisions)}, got {precision!r}"
            )
        if threads < 1:
            raise HardwareError(f"runtime {self.name!r}: threads must be at least 1, got {threads}")
        self.precision = precision
        self.threads = threads

    @abstractmethod
    def availability(self) -> tuple[bool, str]:
        """(usable here, its version); or (False, why not and the pip command that would help)."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Package name -> version, of everything that decides the latency."""

    def options(self) -> dict[str, Any]:
        """JSON-able settings of the runtime that decide the latency."""
        return {}

    def describe(self) -> dict[str, Any]:
        """{"runtime", "precision", "threads", "versions", "options"}, JSON-able."""
        return {
            "runtime": self.name,
            "precision": self.precision,
            "threads": self.threads,
            "versions": self.versions(),
            "options": self.options(),
        }

    @abstractmethod
    def prepare(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Runner:
        """A call without arguments that runs the module once on these inputs and returns its output.

        The module is put in eval mode. The output is a torch tensor or a NumPy array (a tuple of them for a module with
        several outputs); it may be overwritten by the next call. Raises HardwareError when the module cannot be run.
        """

    def prepare_many(
        self,
        items: Iterable[Item],
        workers: int = 1,
        progress: Callable[[int, int], None] | None = None,
        cache: ConversionCache | None = None,
    ) -> dict[str, Runner]:
        """Prepare (key, module, inputs) items; items with a key seen before are skipped. progress(done, in all).

        workers: processes for the conversion, where there is a slow one. cache: where converted models are kept. All items
        are tried; then RefusedError names those that the runtime cannot run, with the reasons.
        """
        unique = unique_items(items)
        runners: dict[str, Runner] = {}
        refused: dict[str, str] = {}
        for key, module, inputs in unique.values():
            try:
                runners[key] = self.prepare(module, inputs)
            except HardwareError as error:
                refused[key] = str(error)
            if progress is not None:
                progress(len(runners) + len(refused), len(unique))
        if refused:
            raise RefusedError(self.name, refused, len(unique))
        return runners

    def profile(self, module: nn.Module, inputs: tuple[Tensor, ...], runs: int = 50) -> list[KernelTime]:
        """Where the time of one run goes by the runtime's own profiler, longest first; profiling slows the run itself.

        Raises HardwareError when the module cannot be run, or the runtime has no profiler.
        """
        raise HardwareError(f"runtime {self.name!r} has no profiler of its own")

    def memory_bytes(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> int | None:
        """Peak bytes of the memory that the runtime plans or reports for the activations of one run, weights left out;
        None where it reports none. Raises HardwareError when the module cannot be run."""
        return None

    def require(self) -> None:
        """Raise HardwareError with the reason when the runtime cannot be used here."""
        usable, reason = self.availability()
        if not usable:
            raise unavailable(self.name, reason)


def unavailable(runtime: str, reason: str) -> HardwareError:
    """The error of a runtime that cannot be used here."""
    return HardwareError(f"runtime {runtime!r} is not available: {reason}")


def deployed(module: nn.Module) -> nn.Module:
    """The module in eval mode, as it is deployed: parts that train with several branches are what their ``merged()`` gives,
    one branch of the same function. The module itself keeps its branches; unchanged parts are shared with it."""
    module.eval()
    if hasattr(module, "merged"):
        whole: nn.Module = module.merged().eval()  # type: ignore[operator]
        return whole
    parts = {name: deployed(part) for name, part in module.named_children()}
    if all(parts[name] is part for name, part in module.named_children()):
        return module
    changed = copy.copy(module)
    changed._modules = {**module._modules, **parts}
    return changed


def unique_items(items: Iterable[Item]) -> dict[str, Item]:
    """key -> the first item with that key, in order."""
    unique: dict[str, Item] = {}
    for item in items:
        unique.setdefault(item[0], item)
    return unique
