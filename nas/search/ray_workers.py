"""The workers of a Ray cluster: one for each of its CPUs, with nodes that come and go."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch

from nas.errors import JobError
from nas.search.evaluation import Evaluation, Parcel, Task, Workers

try:
    import ray
    from ray.exceptions import RayActorError, RayError, RayTaskError
except ImportError:
    raise JobError('--ray: Ray is not installed; pip install "hybrid-nas[ray]" adds it') from None

LEGAL = "local (one started here), auto (the one of this machine), host:6379, or ray://host:10001"
LOOK = 5.0  # seconds between two looks at the cluster for CPUs that are new
LOSSES = 3  # of one evaluation on nodes that live on: then it is the evaluation that ends its workers


class RayWorkers(Workers):
    """One worker of one thread for each CPU of a Ray cluster, started at once; CPUs of nodes that join later are used too.

    The evaluation travels once a node, as a `Parcel`; the data is read on the node. Scores are those of `Here` bit for bit
    on the same machine (on other processors, PyTorch may round differently). A worker that dies, alone or with its node,
    costs the evaluation that it did: another one does it again.

    Args:
        evaluation: what a score is.
        address: of the cluster: "local" starts Ray on this machine until `close`; "auto" is the one that runs on this
            machine, or to which this process is connected; or "host:port" (on a node of it), or "ray://host:port". Where
            it asks for a token, as those of `ray start` do by default, Ray finds it if RAY_AUTH_MODE is "token".

    Raises:
        JobError: there is no cluster at ``address``, or it has no CPU. From `scores`: a worker cannot be made, or the data
            not read, on a node; an evaluation ended its worker thrice; no node is left.
    """

    def __init__(self, evaluation: Evaluation, address: str) -> None:
        self._address = address
        self._starting: dict[Any, Any] = {}  # what `open` will answer -> actor
        self._free: list[_Member] = []
        self._busy: dict[Any, tuple[_Member, Task]] = {}  # what `score` will answer -> who does what
        self._failed_starts = 0
        self._next_look = 0.0
        self._connected_here = connect(address)
        try:
            self._cpus()
            self._parcel = ray.put(evaluation.pack())
            self._actor: Any = ray.remote(num_cpus=1)(_Worker)
        except BaseException:
            self.close()
            raise

    def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
        """See `Workers.scores`."""
        source = iter(tasks)
        again: list[Task] = []
        losses: Counter[Task] = Counter()
        try:
            while True:
                self._recruit()
                while self._free and (task := again.pop() if again else next(source, None)) is not None:
                    member = self._free.pop()
                    self._busy[member.actor.score.remote(task)] = (member, task)
                if self._free and not self._busy:
                    return
                for answer in self._answers():
                    if answer in self._starting:
                        self._welcome(answer)
                        continue
                    member, task = self._busy.pop(answer)
                    try:
                        value = ray.get(answer)
                    except RayTaskError:  # its own error: the evaluation is wrong, not the worker
                        self._free.append(member)
                        raise
                    except RayError as error:
                        losses[task] += self._lost(member)
                        if losses[task] == LOSSES:
                            raise JobError(
                                f"--ray: {LOSSES} workers died while they evaluated genes {list(task.genes)}, the last one "
                                f"on node {member.node}; is its memory enough for one a CPU? ({_line(error)})"
                            ) from None
                        again.append(task)
                    else:
                        self._free.append(member)
                        yield task, value
        finally:
            self._dismiss_busy()  # where the caller or an error ended the loop

    def _answers(self) -> list[Any]:
        """All that is answered, at least one unless it is time to look at the cluster."""
        waiting = [*self._starting, *self._busy]
        pause = max(0.0, self._next_look - time.monotonic())
        if not waiting:  # those that started last died
            time.sleep(pause)
            return []
        done, _ = ray.wait(waiting, timeout=pause)
        if done:
            done, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        return list(done)

    def _recruit(self) -> None:
        """Start a worker for every CPU that has none; one that is taken by others starts when it is free."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK
        for _ in range(self._cpus() - len(self._starting) - len(self._free) - len(self._busy)):
            actor = self._actor.remote()
            self._starting[actor.open.remote(self._parcel)] = actor

    def _welcome(self, answer: Any) -> None:
        """A worker has started, or not."""
        actor = self._starting.pop(answer)
        try:
            self._free.append(_Member(actor, *ray.get(answer)))
        except RayTaskError as error:
            raise error.cause if isinstance(error.cause, JobError) else error from None
        except RayError as error:
            ray.kill(actor)
            self._failed_starts += 1
            if isinstance(error, RayActorError) and error.actor_init_failed:
                raise JobError(f"--ray: a node cannot run workers; is hybrid-nas installed on it? ({error})") from None
            if self._failed_starts > 2 * self._cpus():
                raise JobError(
                    f"--ray: {self._failed_starts} workers died as they started; is the memory of the nodes enough for one "
                    f"a CPU? ({_line(error)})"
                ) from None
        else:
            self._failed_starts = 0

    def _lost(self, member: _Member) -> bool:
        """Forget a worker, and those of nodes that are no more; whether its own node is there still."""
        ray.kill(member.actor)  # it may only be out of reach
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        self._free = [other for other in self._free if other.node_id in alive]
        self._next_look = 0.0
        return member.node_id in alive

    def _cpus(self) -> int:
        count = int(ray.cluster_resources().get("CPU", 0))
        if count == 0:
            raise JobError(f"--ray: the cluster {self._address} has no CPU; legal: one with a node that has some")
        return count

    def _dismiss_busy(self) -> None:
        for member, _ in self._busy.values():
            ray.kill(member.actor)
        self._busy.clear()

    def close(self) -> None:
        """See `Workers.close`; the cluster stays as it was found."""
        for actor in (*self._starting.values(), *(member.actor for member in self._free)):
            ray.kill(actor)
        self._starting.clear()
        self._free.clear()
        self._dismiss_busy()
        if self._connected_here:
            ray.shutdown()
            self._connected_here = False


class _Member(NamedTuple):
    """A worker that has started."""

    actor: Any
    node_id: str
    node: str


class _Worker:
    """Of the actor: one process on some node."""

    def open(self, parcel: Parcel) -> tuple[str, str]:
        """Make the evaluation; the id of the node, and its name for messages."""
        torch.set_num_threads(1)
        self._node = f"{socket.gethostname()} ({ray.util.get_node_ip_address()})"
        try:
            self._evaluation = Evaluation.unpack(parcel)
        except JobError as error:
            raise JobError(f"--ray: on node {self._node}: {error}") from None
        return ray.get_runtime_context().get_node_id(), self._node

    def score(self, task: Task) -> float:
        """See `Evaluation.score`."""
        return self._evaluation.score(task)


def connect(address: str) -> bool:
    """Connect this process to the cluster; False where it was connected before. JobError where there is none."""
    if ray.is_initialized() and address == "auto":
        return False
    found = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    try:
        host, colon, port = found.removeprefix("ray://").rpartition(":")
        if colon:  # Ray itself would try for minutes, and then end the process
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        dashboard = False if found == "local" else None  # a cluster started so reports no usage either
        ray.init(address=found, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=dashboard)
    except Exception as error:  # of a socket, gRPC, or Ray's own
        token = "; it asks for a token: set RAY_AUTH_MODE=token" if "AuthToken" in str(error.__cause__) else ""
        raise JobError(f"--ray: no cluster at {address!r} ({_line(error)}{token}); legal: {LEGAL}") from None
    return True


def check(address: str) -> None:
    """JobError where no cluster is at ``address``."""
    if address != "local" and connect(address):
        ray.shutdown()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
