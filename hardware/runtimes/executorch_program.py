"""An ExecuTorch program in this process: loaded, called, and the threads that all programs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.quiet import silent_stderr

if TYPE_CHECKING:
    from torch import Tensor

PACKAGES = ("executorch", "torchao")
NOISY = ("torch.utils._pytree", "torch.fx.experimental.symbolic_shapes", "torchao", "executorch")  # loggers


def bindings() -> Any:
    """ExecuTorch's extension module itself: the public modules around it import the whole converter, which takes seconds."""
    import torch  # noqa: F401  its libraries must be loaded first
    from executorch.extension.pybindings import _C

    return _C


class ExecuTorchProgram:
    """A program (the bytes of a .pte file), called like the module it was made from.

    Inputs must have the shapes, types and contiguous layout for which it was converted. Raises HardwareError when
    ExecuTorch cannot load it.
    """

    def __init__(self, model: bytes, threads: int = 1) -> None:
        self._model = model
        self._threads = threads
        self._pool = -1
        self._load()

    def __call__(self, *inputs: Tensor) -> Any:
        """The output: a tensor, or a tuple of them."""
        if _pool.use(self._threads) != self._pool:
            self._load()
        outputs = self._method(inputs)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _load(self) -> None:
        self._pool = _pool.use(self._threads)
        try:
            with silent_stderr():
                self._program = bindings()._load_program_from_buffer(self._model)
                self._method = self._program.load_method("forward")
        except RuntimeError as error:
            raise HardwareError(f"ExecuTorch refuses the program: {error}") from error


class _ThreadPool:
    """The pool of threads that all programs of a process share.

    A loaded program keeps a pointer to the pool of its time, and setting the number of threads makes a new one: running
    the program then crashes. So pools are numbered, and a program that was loaded under another one is loaded again.
    """

    def __init__(self) -> None:
        self._threads = 0
        self._number = 0

    def use(self, threads: int) -> int:
        """Make the pool have this many threads; the number of the pool."""
        if threads != self._threads:
            with silent_stderr():
                bindings()._unsafe_reset_threadpool(threads)
            self._threads = threads
            self._number += 1
        return self._number


_pool = _ThreadPool()


def threads_of_pool(threads: int) -> None:
    """Give the pool of all programs this many threads, for a program that is loaded afterwards."""
    _pool.use(threads)
