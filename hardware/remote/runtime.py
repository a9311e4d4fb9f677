"""A runtime on another device: models are converted here, sent there, and timed there by an agent."""

from __future__ import annotations

import hashlib
import io
import shlex
import tarfile
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError, RefusedError
from hardware.remote.agents import DeviceAgent
from hardware.remote.client import IDLE_SECONDS, AgentClient
from hardware.runtimes.base import Item, Runner, Runtime, unique_items
from hardware.runtimes.conversion import ConvertingRuntime
from hardware.transports import LinkError, Transport, patiently

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hardware.runtimes.cache import ConversionCache

PARCEL_BYTES = 32 * 2**20  # sent at a time: a cut link costs no more than one parcel


class RemoteRuntime(Runtime):
    """A converting runtime whose programs run on a device by an agent.

    Args:
        inner: the runtime that converts, with its precision and threads.
        transport: the way to the device.
        agent: what is sent there and started.
        machine: what ``uname -m`` says there.
        folder: a folder on the device, made if it is missing; models stay there, named by their content.
        cpus: cores to pin to, as ``4,5,6,7``.
        told: hears of lost links.
    """

    def __init__(
        self,
        inner: ConvertingRuntime,
        transport: Transport,
        agent: DeviceAgent,
        machine: str,
        folder: str,
        cpus: str | None = None,
        told: Callable[[str], None] | None = None,
    ) -> None:
        self.name = inner.name  # type: ignore[misc]
        self.precision, self.threads = inner.precision, inner.threads
        self._inner, self._transport, self._kind, self._machine = inner, transport, agent, machine
        self._folder, self._cpus, self._told = folder, cpus, told
        self._agent: AgentClient | None = None

    def availability(self) -> tuple[bool, str]:
        """The converter must be here; the device is asked when it is used."""
        return self._inner.availability()

    def versions(self) -> dict[str, str]:
        """Those of the converter, from whose release ExecuTorch's agent is built, and what the device has of its own."""
        return {**self._inner.versions(), **self._kind.versions(self._started().greeting)}

    def options(self) -> dict[str, Any]:
        """Those of the runtime, and where it runs."""
        return {**self._inner.options(), "machine": self._machine, "cpus": self._cpus}

    def prepare(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Runner:
        """See `Runtime.prepare`; the output is read back from the device."""
        return self.prepare_many([("one", module, inputs)])["one"]

    def prepare_many(
        self,
        items: Iterable[Item],
        workers: int = 1,
        progress: Callable[[int, int], None] | None = None,
        cache: ConversionCache | None = None,
    ) -> dict[str, Runner]:
        """See `Runtime.prepare_many`: converts here, sends what the device lacks, loads there when first run."""
        unique = unique_items(items)
        refused: dict[str, str] = {}
        models: dict[str, bytes] = {}
        for key, model in self._inner.models(list(unique.values()), workers, cache):
            if isinstance(model, HardwareError):
                refused[key] = str(model)
            else:
                models[key] = model
            if progress is not None:
                progress(len(models) + len(refused), len(unique))
        if refused:
            raise RefusedError(self.name, refused, len(unique))
        agent = self._started()
        files: dict[str, bytes] = {}
        runners: dict[str, Runner] = {}
        for key, (_, module, inputs) in unique.items():
            given = self._kind.encode([tensor.detach().contiguous().cpu().numpy() for tensor in inputs])
            program, data = (f"{hashlib.sha256(content).hexdigest()[:24]}.bin" for content in (models[key], given))
            files[program], files[data] = models[key], given
            agent.add(program, program, data)
            runners[key] = _RemoteRunner(self, agent, self._kind, program, module, inputs)
        self._send(files)
        return runners

    def pull(self, name: str) -> bytes:
        """A file of the device's folder."""
        return patiently(lambda: self._transport.pull(f"{self._folder}/{name}"), told=self._told)

    @property
    def agent(self) -> AgentClient:
        """The agent of the device; it is started if it is not running."""
        return self._started()

    def close(self) -> None:
        """Ends the agent and the connection."""
        if self._agent is not None:
            self._agent.close()
        self._transport.close()

    def _started(self) -> AgentClient:
        if self._agent is None:
            files = self._kind.files()
            last = list(files)[-1]
            there = self._patient(
                f"mkdir -p {shlex.quote(self._folder)} && cd {shlex.quote(self._folder)} && ls {shlex.quote(last)} "
                "2>/dev/null; true"
            )
            if not there.strip():
                self._parcel(files, 0o755)
            self._agent = AgentClient(self._transport, self._start_command(), self._folder, self._told)
            self._agent.hello()
        return self._agent

    def _start_command(self) -> str:
        arguments = f"{self.threads} {IDLE_SECONDS}" + (f" {shlex.quote(self._cpus)}" if self._cpus else "")
        for command in self._kind.commands(arguments):
            words = f"cd {shlex.quote(self._folder)} && echo hello | {command}"
            found = patiently(lambda words=words: self._transport.run(words), told=self._told)  # type: ignore[misc]
            if found.out.startswith(b"ok"):
                return command
        said = (found.error or found.out.decode(errors="replace")).strip().splitlines()
        raise HardwareError(
            f"{self._transport}: the agent does not start: {said[-1].removeprefix('error ') if said else found.code}"
        )

    def _send(self, files: dict[str, bytes]) -> None:
        """Sends the files that the device does not have in full."""
        listed = self._patient(f"cd {shlex.quote(self._folder)} && wc -c *.bin 2>/dev/null; true").decode()
        lines = [line.split() for line in listed.splitlines()]
        there = {words[1]: int(words[0]) for words in lines if len(words) == 2 and words[0].isdigit()}
        parcel: dict[str, bytes] = {}
        for name, content in files.items():
            if there.get(name) == len(content):
                continue
            parcel[name] = content
            if sum(map(len, parcel.values())) >= PARCEL_BYTES:
                self._parcel(parcel)
                parcel = {}
        if parcel:
            self._parcel(parcel)

    def _parcel(self, files: dict[str, bytes], mode: int = 0o644) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), mode
                archive.addfile(entry, io.BytesIO(content))
        path = f"{self._folder}/parcel.tar"
        unpack = f"cd {shlex.quote(self._folder)} && tar -xf parcel.tar; code=$?; rm -f parcel.tar; exit $code"

        def send() -> None:
            self._transport.push(buffer.getvalue(), path)
            self._transport.check(unpack, seconds=120)

        try:
            patiently(send, told=self._told)
        except LinkError:
            raise
        except HardwareError as error:
            raise HardwareError(
                f"{error} (sending {len(buffer.getvalue()) / 2**20:.0f} MiB to {self._folder})"
            ) from None

    def _patient(self, command: str) -> bytes:
        return patiently(lambda: self._transport.check(command), told=self._told)


class _RemoteRunner:
    """A program on the device. `measure` uses `elapsed`; a plain call gives the output."""

    def __init__(
        self,
        runtime: RemoteRuntime,
        agent: AgentClient,
        kind: DeviceAgent,
        key: str,
        module: nn.Module,
        inputs: tuple[Tensor, ...],
    ) -> None:
        self._runtime, self._agent, self._kind, self._key = runtime, agent, kind, key
        self._module, self._inputs = module, inputs

    def elapsed(self, calls: int) -> float:
        """Seconds on the device for so many runs."""
        return self._agent.run(self._key, calls)

    def memory_bytes(self) -> int | None:
        """Bytes of the planned activation buffers, None where the runtime does not say."""
        return self._agent.memory_bytes(self._key)

    def __call__(self) -> object:
        """Runs once and reads the outputs back: NumPy arrays of the shapes that the module gives."""
        import torch

        name = f"{self._key}.out"
        self._agent.output(self._key, name)
        data = self._runtime.pull(name)
        with torch.no_grad():
            wanted = self._module(*self._inputs)
        like = [tensor.numpy() for tensor in ((wanted,) if isinstance(wanted, torch.Tensor) else tuple(wanted))]
        outputs = self._kind.decode(data, like)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)
