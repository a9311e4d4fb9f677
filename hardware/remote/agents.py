"""The agents that devices run: a program that was built here for ExecuTorch, or Python code for what the device has itself."""

from __future__ import annotations

import hashlib
import io
import shlex
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import hardware.python_agent
from hardware.errors import HardwareError
from hardware.python_agent.engines import ENGINES
from hardware.remote.build import COMPILERS, GLIBC, LOADERS, agent_files

Array = np.ndarray


class DeviceAgent(ABC):
    """What is sent to a device and started there, and how it reads inputs and writes outputs."""

    @abstractmethod
    def files(self) -> dict[str, bytes]:
        """Path within the device's folder -> content; all in one folder, whose name tells versions apart."""

    @abstractmethod
    def commands(self, arguments: str) -> list[str]:
        """Words of a shell that start it in the device's folder; the first that works is used."""

    @abstractmethod
    def encode(self, arrays: Sequence[Array]) -> bytes:
        """The file of inputs."""

    @abstractmethod
    def decode(self, data: bytes, like: Sequence[Array]) -> list[Array]:
        """The arrays of a file of outputs, with the shapes and types of ``like``."""

    def versions(self, greeting: str) -> dict[str, str]:
        """Package -> version of what the agent's greeting says of the device."""
        return {}


class BuiltAgent(DeviceAgent):
    """ExecuTorch, for ``uname -m`` = ``machine``; the device needs nothing. Raises HardwareError: see `agent_files`."""

    def __init__(self, machine: str) -> None:
        if machine not in COMPILERS:
            raise HardwareError(f"machine: got {machine!r}; legal: {', '.join(COMPILERS)}")
        self._machine = machine

    def files(self) -> dict[str, bytes]:
        """See `DeviceAgent.files`; builds them if need be."""
        built = agent_files(self._machine)
        return {
            f"{built.name}/{path.relative_to(built)}": path.read_bytes()
            for path in sorted(built.rglob("*"))
            if path.is_file()
        }

    def commands(self, arguments: str) -> list[str]:
        """With the device's own C library where that starts the agent, otherwise with the one that was sent along."""
        name = agent_files(self._machine).name
        library = f"{name}/{GLIBC}"
        loader = f"{library}/{LOADERS[self._machine]} --library-path {name}:{library}"
        return [f"./{name}/agent {arguments}", f"./{loader} {name}/agent {arguments}"]

    def encode(self, arrays: Sequence[Array]) -> bytes:
        """One after the other, bare."""
        return b"".join(array.tobytes() for array in arrays)

    def decode(self, data: bytes, like: Sequence[Array]) -> list[Array]:
        """See `DeviceAgent.decode`."""
        found, offset = [], 0
        for array in like:
            found.append(np.frombuffer(data, array.dtype, array.size, offset).reshape(array.shape))
            offset += array.nbytes
        return found


class PythonAgent(DeviceAgent):
    """ONNX Runtime or LiteRT of the device's own Python.

    Args:
        engine: one of `ENGINES`.
        python: what starts Python there, e.g. that of a virtual environment.
    """

    def __init__(self, engine: str, python: str = "python3") -> None:
        self._engine, self._python = engine, python

    def files(self) -> dict[str, bytes]:
        """See `DeviceAgent.files`."""
        (folder,) = hardware.python_agent.__path__
        sources = {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.py"))}
        stamp = hashlib.sha256(b"".join(sources.values())).hexdigest()[:12]
        return {f"agent_{stamp}/{name}": source for name, source in sources.items()}

    def commands(self, arguments: str) -> list[str]:
        """See `DeviceAgent.commands`."""
        name = next(iter(self.files())).partition("/")[0]
        return [f"{shlex.quote(self._python)} -m {name} {self._engine} {arguments}"]

    def encode(self, arrays: Sequence[Array]) -> bytes:
        """In NumPy's format, which tells shapes and types."""
        buffer = io.BytesIO()
        for array in arrays:
            np.save(buffer, array, allow_pickle=False)
        return buffer.getvalue()

    def decode(self, data: bytes, like: Sequence[Array]) -> list[Array]:
        """See `DeviceAgent.decode`; the runtime may have integers of another width."""
        buffer = io.BytesIO(data)
        return [np.load(buffer, allow_pickle=False).astype(array.dtype).reshape(array.shape) for array in like]

    def versions(self, greeting: str) -> dict[str, str]:
        """The device's own version of the runtime, which is what was timed."""
        return {ENGINES[self._engine][0]: greeting.split()[2]}


def agent_for(runtime: str, machine: str, python: str) -> DeviceAgent:
    """The agent for a runtime on a device. Raises HardwareError for a machine or runtime without one."""
    if runtime in ENGINES:
        return PythonAgent(runtime, python)
    if runtime != "executorch":
        raise HardwareError(f"runtime on a device: got {runtime!r}; legal: {', '.join(REMOTE_RUNTIMES)}")
    return BuiltAgent(machine)


REMOTE_RUNTIMES = ("executorch", *ENGINES)
