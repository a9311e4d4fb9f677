"""TorchInductor on the CPU, compiled ahead of time."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.base import Runner
from hardware.runtimes.conversion import ConvertingRuntime, check_module, first_line
from hardware.runtimes.precision import in_precision
from hardware.runtimes.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor, nn

NOISY = ("torch.export", "torch._dynamo", "torch._inductor", "torch.fx.experimental.symbolic_shapes")

SETTINGS = {
    # Weights become constants: batch norms are folded into convolutions, weights are laid out for oneDNN once and not at
    # every call, and activations are fused into the convolutions before them. Without it all of that is left undone.
    "freezing": True,
    # Line tables make no instruction differ and are two thirds of the file.
    "aot_inductor.enable_line_tables": False,
}


class TorchCompileRuntime(ConvertingRuntime):
    """TorchInductor's kernels with AOTInductor's C++ around them: a .pt2 file with a shared library inside.

    The generated kernels are those of `torch.compile`. What differs: shapes, strides and types are fixed and no guard
    checks them at a call; there is no Python between the kernels; weights are frozen (see `options`).

    In bf16 the module's and the inputs' floating numbers are cast beforehand, and the output is bf16 as the network gives
    it. The number of threads is compiled into the kernels, so a model runs under the number it was converted for.

    A conversion takes about 8 s of processor time for an operator and 12 s to 18 s for a network of 9 to 16: 6 s are
    AOTInductor's own C++, whose templates are instantiated anew in every model, 1 s and more the kernels, 1 s and more the
    tracing. The headers are precompiled by the first conversion on a machine: 20 s, and 300 MB in Inductor's cache folder.
    """

    name = "torch-compile"
    precisions = ("fp32", "bf16")
    packages = ("torch",)
    batch = 2  # conversions share nothing but the start of a process, and are long

    def availability(self) -> tuple[bool, str]:
        """(True, version), or what is missing: torch, or a C++ compiler and the Debian package that has it."""
        usable, reason = super().availability()
        if usable and shutil.which(_compiler()) is None:
            return False, f"no C++ compiler ({_compiler()}) found; apt install g++"
        return usable, reason

    def versions(self) -> dict[str, str]:
        """torch and the C++ compiler."""
        compiler = shutil.which(_compiler())
        found = {"compiler": _compiler_version(compiler)} if compiler else {}
        return {**super().versions(), **found}

    def options(self) -> dict[str, Any]:
        """What decides the latency; models are compiled for one number of threads and for the instructions of one processor."""
        return {
            "ahead_of_time": True,
            "freezing": True,
            "compiled_threads": self.threads,
            "compiled_for": _instructions(),
        }

    def convert(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
        """See `compile_ahead`."""
        return compile_ahead(module, inputs, self.precision, self.threads)

    def load(self, model: bytes, inputs: tuple[Tensor, ...]) -> Runner:
        """See `ConvertingRuntime.load`; the output is a torch tensor of its own, or a tuple of them."""
        import torch

        given = _plain(in_precision(torch.nn.Identity(), inputs, self.precision)[1])
        try:
            with quiet(*NOISY):
                loader = torch._inductor.aoti_load_package(io.BytesIO(model)).loader
        except Exception as error:
            raise HardwareError(f"AOTInductor refuses the model: {first_line(error)}") from error
        threads = self.threads

        def run() -> object:
            # The kernels have their own number; oneDNN and ATen, which they call, take that of the process.
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            try:
                # The loader's own call: the public one reads and checks the tree of the inputs every time.
                outputs = loader.run(given)
            finally:
                torch.set_num_threads(before)
            return outputs[0] if len(outputs) == 1 else tuple(outputs)

        try:
            run()
        except RuntimeError as error:
            raise HardwareError(f"AOTInductor cannot run the model: {first_line(error)}") from error
        return run


def compile_ahead(module: nn.Module, inputs: tuple[Tensor, ...], precision: str = "fp32", threads: int = 1) -> bytes:
    """The module, put in eval mode, as a .pt2 file for inputs of these shapes, contiguous, and this number of threads.

    Raises HardwareError when the module fails, cannot be traced (it depends on the data) or cannot be compiled.
    """
    import torch
    import torch._inductor
    from torch._inductor.package import package_aoti

    name = type(module).__name__
    module, cast = in_precision(module, inputs, precision)
    given = tuple(_plain(cast))
    check_module(module, given)
    settings = {**SETTINGS, "cpp.threads": threads, "aot_inductor.package": True}
    archive = io.BytesIO()
    # A folder of our own: sources, objects and libraries would stay in Inductor's cache otherwise.
    with tempfile.TemporaryDirectory() as folder, quiet(*NOISY), torch.no_grad():
        try:
            graph = torch.export.export(module, given).module(check_guards=False)
            files: Any = torch._inductor.aot_compile(
                graph, given, options={**settings, "aot_inductor.output_path": folder}
            )
            package_aoti(archive, files)
        except Exception as error:
            raise HardwareError(f"{name} cannot be compiled by TorchInductor: {first_line(error)}") from error
    return archive.getvalue()


def _plain(inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """Contiguous copies: the compiled code takes the strides of its inputs for granted."""
    import torch

    return [x.clone(memory_format=torch.contiguous_format) for x in inputs]


def _compiler() -> str:
    return os.environ.get("CXX", "g++")  # as Inductor chooses it


@lru_cache(maxsize=8)
def _compiler_version(path: str) -> str:
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return said.splitlines()[0] if said else path


@lru_cache(maxsize=1)
def _instructions() -> str:
    """The processor's vector instructions, and a digest of all its flags: the compiler uses every one of them."""
    import torch

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{torch.backends.cpu.get_cpu_capability()} {hashlib.sha256(flags.encode()).hexdigest()[:12]}"
