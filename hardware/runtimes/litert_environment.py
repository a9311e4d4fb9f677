"""LiteRT's converter has an environment of its own: its packages and ExecuTorch's cannot be installed together."""

from __future__ import annotations

import subprocess
import sysconfig
import venv
from importlib.metadata import distributions, version
from pathlib import Path

from hardware.errors import HardwareError
from hardware.runtimes.cache import cache_folder

COMMAND = "python -m hardware.runtimes.litert_install"
REQUIREMENTS = {"litert-torch": "0.10.0", "ai-edge-quantizer": "0.10.0"}  # tested together, with our torch


def converter_folder() -> Path:
    """Where the environment is: ``litert-converter`` in `cache_folder`."""
    return cache_folder() / "litert-converter"


def converter_python() -> Path:
    """Its Python interpreter, whether or not it exists."""
    return next(iter(sorted(_place("scripts").glob("python*"))), _place("scripts") / "python")


def converter_versions() -> dict[str, str]:
    """Package name -> version of what decides the converted model; without those that are not installed there."""
    found = {item.name: item.version for item in distributions(path=[str(_place("purelib"))])}
    return {name: found[name] for name in (*REQUIREMENTS, "litert-converter", "torch") if name in found}


def converter_problem() -> str | None:
    """Why the converter cannot be used, with the command that helps; None if it can."""
    found = converter_versions()
    wanted = {**REQUIREMENTS, "torch": _public(version("torch"))}
    wrong = [f"{name}=={text}" for name, text in wanted.items() if _public(found.get(name, "")) != text]
    return f"the converter's environment lacks {', '.join(wrong)}; {COMMAND}" if wrong else None


def install_converter() -> Path:
    """Make the environment, in place of one that is there, and fill it by pip: some minutes, 2 GB. Returns its folder.

    Its torch has the version of ours, because it reads what ours writes. Raises HardwareError with pip's reason.
    """
    folder = converter_folder()
    try:
        venv.create(folder, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise HardwareError(f"cannot make an environment in {folder}: {error}") from error
    wanted = {"torch": _public(version("torch")), **REQUIREMENTS}
    command = [str(converter_python()), "-m", "pip", "install", "--quiet"]
    done = subprocess.run(
        [*command, *(f"{name}=={text}" for name, text in wanted.items())], capture_output=True, text=True
    )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise HardwareError(f"pip cannot fill {folder}: {errors[-1] if errors else done.stderr[-300:]}")
    return folder


def _place(kind: str) -> Path:
    base = str(converter_folder())
    return Path(sysconfig.get_path(kind, "venv", {"base": base, "platbase": base}))


def _public(text: str) -> str:
    """A version without its build, as in 2.13.0+cpu."""
    return text.split("+")[0]
