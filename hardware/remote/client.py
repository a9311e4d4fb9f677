"""The agent of a device, as this side sees it: requests and answers, with time limits, and a link that may break."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import subprocess
import time
from collections.abc import Callable

from hardware.errors import HardwareError
from hardware.transports import LinkError, Transport, patiently

PROTOCOL = "1"
IDLE_SECONDS = 120  # an agent without a request for so long ends by itself
REQUEST_SECONDS = 90.0
REWARM_CALLS = 10  # a program that was loaded again is cold
DEATHS = 5  # of the agent on one request in a row: then it is the request's fault, not the link's


class AgentClient:
    """Programs on a device, loaded when they are first run, and again whenever the agent had to be started again.

    A request whose answer was lost is made once more on a new connection; what was answered before stays answered, so a
    link that is cut costs at most the sample it was cut in.

    Args:
        transport: the way to the device.
        command: what starts the agent there (words of a shell).
        folder: its working folder; programs are named within it.
        told: hears of every lost link.
    """

    def __init__(
        self, transport: Transport, command: str, folder: str, told: Callable[[str], None] | None = None
    ) -> None:
        self._transport = transport
        self._command = f"cd {shlex.quote(folder)} && exec {command}"
        self._told = told
        self._process: subprocess.Popen[bytes] | None = None
        self._programs: dict[str, tuple[str, str]] = {}
        self._loaded: set[str] = set()
        self.reconnections = 0
        self.requested = self.answered = 0  # timed runs: what was asked for, again where an answer was lost
        self.greeting = ""

    def add(self, key: str, program: str, inputs: str) -> None:
        """Makes a program known: ``key`` without blanks, and its two files in the agent's folder."""
        self._programs[key] = (program, inputs)

    def run(self, key: str, calls: int) -> float:
        """Seconds on the device for so many runs."""
        return int(self._with(key, f"run {key} {calls}")) / 1e9

    def output(self, key: str, path: str) -> int:
        """Runs once and writes the outputs to a file of the agent's folder; its length in bytes."""
        return int(self._with(key, f"output {key} {path}"))

    def memory_bytes(self, key: str) -> int | None:
        """Bytes of the program's planned activation buffers, None where the runtime does not say."""
        found = self._with(key, f"memory {key}")
        return None if found == "none" else int(found)

    def hello(self) -> str:
        """What the agent calls itself; starts it."""
        patiently(self._start_if_needed, told=self._told)
        return self.greeting

    def close(self) -> None:
        """Ends the agent."""
        self._end()

    def _with(self, key: str, request: str) -> str:
        deaths = 0

        def once() -> str:
            nonlocal deaths
            try:
                self._start_if_needed()
                if key not in self._loaded:
                    program, inputs = self._programs[key]
                    self._ask(f"load {key} {program} {inputs}")
                    self._loaded.add(key)
                    self._ask(f"run {key} {REWARM_CALLS}")
                self.requested += request.startswith("run ")
                answer = self._ask(request)
                self.answered += request.startswith("run ")
                return answer
            except LinkError:
                deaths += 1
                self._end()
                if deaths >= DEATHS and patiently(self._alive, told=self._told):
                    raise HardwareError(f"{self._transport}: the agent died {deaths} times on {request!r}") from None
                raise

        return patiently(once, told=self._told)

    def _alive(self) -> bool:
        self._start_if_needed()
        return True

    def _start_if_needed(self) -> None:
        if self._process is not None:
            return
        self.reconnections += bool(self.greeting)
        try:
            self._process = subprocess.Popen(
                self._transport.argv(self._command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # ctrl-C is for this side: it ends the agent in order
            )
        except FileNotFoundError as error:
            raise HardwareError(f"{self._transport}: {error.filename} is not installed here") from None
        self._unread, self._said = b"", b""
        try:
            greeting = self._ask("hello")
        except LinkError:
            self._end()
            raise
        if greeting.split()[:1] != [PROTOCOL]:
            self._end()
            raise HardwareError(f"{self._transport}: the agent speaks {greeting!r}; legal: protocol {PROTOCOL}")
        self.greeting = greeting

    def _ask(self, request: str) -> str:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(f"{request}\n".encode())
            process.stdin.flush()
        except OSError:
            raise self._death(process) from None
        answer = self._line(process, REQUEST_SECONDS)
        verdict, _, rest = answer.partition(" ")
        if verdict == "error":
            raise HardwareError(f"{self._transport}: {rest}")
        if verdict != "ok":
            raise HardwareError(
                f"{self._transport}: the agent answered {answer[:80]!r} to {request!r}; legal: ok, error"
            )
        return rest

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> str:
        until = time.monotonic() + seconds
        while b"\n" not in self._unread:
            # the error stream is read along: a talkative agent would block on a full pipe
            open_streams = [
                stream for stream in (process.stdout, process.stderr) if stream is not None and not stream.closed
            ]
            ready, _, _ = select.select(open_streams, [], [], max(until - time.monotonic(), 0))
            if not ready:
                raise LinkError(f"{self._transport}: no answer within {seconds:g} s")
            for stream in ready:
                part = os.read(stream.fileno(), 65536)
                if stream is process.stdout:
                    if not part:
                        raise self._death(process)
                    self._unread += part
                elif part:
                    self._said = (self._said + part)[-4096:]
                else:
                    stream.close()
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace").strip()

    def _death(self, process: subprocess.Popen[bytes]) -> HardwareError:
        """Why the agent gives no more answers."""
        try:
            code = process.wait(5)
        except subprocess.TimeoutExpired:
            return LinkError(f"{self._transport}: the link is closed")
        if process.stderr is not None and not process.stderr.closed:
            os.set_blocking(process.stderr.fileno(), False)  # a child of the client may hold it open
            self._said += process.stderr.read() or b""
        said = self._said.decode(errors="replace").strip()
        fault = self._transport.fault(code, said)
        if fault is not None:
            return fault
        if code in (126, 127):
            return HardwareError(
                f"{self._transport}: the agent cannot be started: {said.splitlines()[-1] if said else code}"
            )
        return LinkError(f"{self._transport}: the agent ended with code {code}")

    def _end(self) -> None:
        process, self._process = self._process, None
        self._loaded.clear()
        if process is None:
            return
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        try:
            process.wait(2)  # the end of its input ends the agent
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
