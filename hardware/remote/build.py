"""The agent that times ExecuTorch programs on a device, built from the ExecuTorch wheel of the device's machine type.

The wheel ships headers and shared libraries, so a compiler for the machine is all that is needed: no Python and no torch on
the device. What is built is kept in the user's cache folder, by the version and the source it was made from.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

from hardware.errors import HardwareError
from hardware.runtimes.cache import cache_folder

SOURCE = Path(__file__).with_name("agent.cpp")
LIBRARIES = (
    "executorch",
    "executorch_backend_xnnpack",
    "executorch_kernels_optimized",
    "executorch_kernels_quantized",
    "executorch_threadpool",
)
COMPILERS = {"x86_64": "x86_64-linux-gnu-g++", "aarch64": "aarch64-linux-gnu-g++"}
LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}
GLIBC = "glibc"  # the C library, for devices with another one (phones): its loader then starts the agent
PACKAGES = {"x86_64": "g++", "aarch64": "g++-aarch64-linux-gnu"}  # Debian's names of the compilers


def agent_files(machine: str) -> Path:
    """A folder with the program ``agent`` and the libraries it needs, C++ runtime included, for ``uname -m`` = ``machine``.

    Raises:
        HardwareError: the machine is none of `COMPILERS`, or its compiler or wheel cannot be had.
    """
    if machine not in COMPILERS:
        raise HardwareError(f"machine: got {machine!r}; legal: {', '.join(COMPILERS)}")
    release = version("executorch")
    stamp = hashlib.sha256(SOURCE.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:12]
    folder = cache_folder() / "agents" / f"executorch-{release}-{machine}-{stamp}"
    if folder.is_dir():
        return folder
    compiler = shutil.which(COMPILERS[machine]) or (shutil.which("g++") if machine == _here() else None)
    if compiler is None:
        raise HardwareError(f"no compiler for {machine}; apt install {PACKAGES[machine]}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        wheel = _wheel(machine, release, Path(scratch))
        built = Path(scratch) / "built"
        built.mkdir()
        _compile(compiler, wheel, built / "agent")
        for name in LIBRARIES:
            shutil.copy(wheel / "lib" / f"lib{name}.so", built)
        for name in ("libstdc++.so.6", "libgcc_s.so.1"):
            shutil.copy(_of_compiler(compiler, name), built / name)
        (built / GLIBC).mkdir()
        for name in (LOADERS[machine], "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0"):
            shutil.copy(_of_compiler(compiler, name), built / GLIBC / name)
        try:
            built.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process was faster
                raise
    return folder


def _compile(compiler: str, wheel: Path, out: Path) -> None:
    include = wheel / "include"
    words = [compiler, "-std=c++17", "-O2", "-w", "-DC10_USING_CUSTOM_GENERATED_MACROS", f"-I{include}"]
    words += [f"-I{include}/executorch/runtime/core/portable_type/c10", str(SOURCE), f"-L{wheel / 'lib'}"]
    # kernels and backends register themselves when loaded: nothing names them, so the linker must not drop them
    words += ["-Wl,--no-as-needed", *(f"-l{name}" for name in LIBRARIES), "-Wl,-rpath,$ORIGIN", "-o", str(out)]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        first = next((line for line in found.stderr.splitlines() if "error" in line), found.stderr[-200:])
        raise HardwareError(f"the agent does not compile with {Path(compiler).name}: {first}")


def _wheel(machine: str, release: str, scratch: Path) -> Path:
    """The unpacked ``executorch`` package for the machine: the installed one, or that of the package index."""
    if machine == _here():
        import executorch

        return Path(executorch.__path__[0])
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    words = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(scratch),
    ]
    words += [f"--platform=manylinux_2_{glibc}_{machine}" for glibc in (17, 28, 31, 34, 35, 39)]
    found = subprocess.run(
        [*words, "--python-version", tag[2:], f"executorch=={release}"], capture_output=True, text=True, check=False
    )
    wheels = list(scratch.glob("executorch-*.whl"))
    if found.returncode != 0 or not wheels:
        said = found.stderr.strip().splitlines()
        raise HardwareError(f"the ExecuTorch wheel for {machine} cannot be had: {said[-1] if said else 'none found'}")
    with zipfile.ZipFile(wheels[0]) as archive:
        archive.extractall(scratch)
    return scratch / "executorch"


def _of_compiler(compiler: str, name: str) -> Path:
    found = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    path = Path(found.stdout.strip()).resolve()
    if not path.is_file():
        raise HardwareError(f"{Path(compiler).name} has no {name}")
    return path


def _here() -> str:
    return sysconfig.get_platform().removeprefix("linux-")
