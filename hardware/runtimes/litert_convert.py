"""Modules as LiteRT models (the bytes of .tflite files): exported here, converted by a process in another environment.

The process takes 7 s to start and 2 s to 10 s a module, so that it is given many at once.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hardware.errors import HardwareError
from hardware.runtimes import litert_script
from hardware.runtimes.base import Item, deployed
from hardware.runtimes.conversion import Converted, check_module, first_line
from hardware.runtimes.fidelity import check_outputs
from hardware.runtimes.litert_environment import converter_python
from hardware.runtimes.litert_model import load_litert
from hardware.runtimes.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor, nn


def convert_litert(items: list[Item], precision: str = "fp32") -> Converted:
    """(key, model or why there is none) for (key, module, inputs) items, in order; modules are put in eval mode.

    The fp32 model, of which the int8 one is made, must compute what the module computes.
    """
    results: dict[int, bytes | HardwareError] = {}
    expected: dict[int, object] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        for index, (_, module, inputs) in enumerate(items):
            try:
                expected[index] = _export(module, inputs, folder / f"{index:04d}.pt2")
            except HardwareError as error:
                results[index] = error
        # A crash of the converter is the fault of the module at hand: go on behind it.
        while left := sorted(folder.glob("*.pt2")):
            ended = _run(folder, precision)
            for program in left:
                program.unlink()
                index = int(program.stem)
                _, module, inputs = items[index]
                if program.with_suffix(".tflite").exists():
                    results[index] = _checked(program, module, inputs, expected[index], precision)
                elif program.with_suffix(".error").exists():
                    reason = program.with_suffix(".error").read_text()
                    results[index] = HardwareError(f"{type(module).__name__} cannot be converted to LiteRT: {reason}")
                else:
                    results[index] = HardwareError(f"LiteRT's converter stopped: {ended}")
                    break
    return [(key, results[index]) for index, (key, _, _) in enumerate(items)]


def _export(module: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> object:
    """Write the program; the module's output."""
    import torch

    name = type(module).__name__
    module = deployed(module)
    given = tuple(x.detach().clone(memory_format=torch.contiguous_format) for x in inputs)
    output = check_module(module, given)
    with quiet("torch"), redirect_stderr(StringIO()), torch.no_grad():
        try:
            torch.export.save(torch.export.export(module, given), str(path))
        except Exception as error:
            path.unlink(missing_ok=True)
            raise HardwareError(f"{name} cannot be exported: {first_line(error)}") from error
    return output


def _checked(
    program: Path, module: nn.Module, inputs: tuple[Tensor, ...], expected: object, precision: str
) -> bytes | HardwareError:
    model = program.with_suffix(".tflite").read_bytes()
    try:
        check_outputs(type(module).__name__, "LiteRT", expected, load_litert(model, inputs)())
    except HardwareError as error:
        return error
    return model if precision == "fp32" else program.with_suffix(f".{precision}").read_bytes()


def _run(folder: Path, precision: str) -> str:
    """Convert what is in the folder; how the process ended, with its last words."""
    # isolated: neither our packages nor the user's may stand in for those of the converter
    command = [str(converter_python()), "-I", litert_script.__file__, str(folder), precision]
    quick = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **quick}, capture_output=True, text=True, errors="replace"
    )
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return f"exit status {done.returncode}" + (f", {said[-1].strip()}" if said else "")
