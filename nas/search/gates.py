"""What every choice would change, to first order: gradients of the loss by gates, at one architecture.

Sources: Liu, Simonyan and Yang, "DARTS: differentiable architecture search" (arXiv 1806.09055), whose mixed operation weighs
the outputs of all alternatives by gates; Cai, Zhu and Han, "ProxylessNAS" (arXiv 1812.00332), where one alternative is on and
the gradient by the gate of every other one is the product of its output with the gradient by the output that is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.search.problem import Floats, Rows
from nas.training.evaluate import answers
from search_spaces import Architecture, Network, SearchSpace, Supernet
from search_spaces.architecture import Node
from search_spaces.build import cost
from search_spaces.spec import OperatorSpec


class Segment(NamedTuple):
    """Operators that another architecture has in place of some: nodes ``start`` to ``end`` here, ``start`` to ``other_end``
    there. They read the same value, and give one of the same shape."""

    start: int
    end: int
    other_end: int


def segments(here: Sequence[Node], there: Sequence[Node]) -> list[Segment] | None:
    """Where two architectures differ; None where the gate of one in place of the other is not well defined.

    That is where what the other operators read has another shape (another resolution), or comes from other places. A stage of
    another width is well defined, as a whole: from the operator that leads to that width to the one that leads away from it.
    """
    found = _runs(here, there) if len(here) == len(there) else [_middle(here, there)]
    for start, end, other_end in found:
        one, other = here[start:end], there[start:other_end]
        wires = [(node.source, node.target) for node in (*one, *other)]
        if any(map(any, wires)) and not (len(one) == len(other) == 1 and wires[0] == wires[1]):
            return None
        if one and other and one[0].spec.shape != other[0].spec.shape:
            return None
        if not one and (start == 0 or (start < len(here) and here[start].source)):
            return None
    return found


def _middle(here: Sequence[Node], there: Sequence[Node]) -> Segment:
    """All but the nodes that both begin and end with."""
    shorter = min(len(here), len(there))
    start = next((i for i in range(shorter) if here[i] != there[i]), shorter)
    tail = next((i for i in range(shorter - start) if here[-1 - i] != there[-1 - i]), shorter - start)
    return Segment(start, len(here) - tail, len(there) - tail)


def _runs(here: Sequence[Node], there: Sequence[Node]) -> list[Segment]:
    """Node by node, neighbours that differ together."""
    found: list[Segment] = []
    for i, (one, other) in enumerate(zip(here, there, strict=True)):
        if one == other:
            continue
        if found and found[-1].end == i and not one.source:
            found[-1] = Segment(found[-1].start, i + 1, i + 1)
        else:
            found.append(Segment(i, i + 1, i + 1))
    return found


def alternatives(space: SearchSpace, row: Rows) -> Iterator[tuple[int, int, Architecture]]:
    """(gene, value, architecture) for every other legal value of every active gene of a row (G,); a gene that becomes active
    takes its first legal value."""
    active = space.active(row[None])[0]
    first = np.array([values[0] for values in space.legal])
    for gene in np.flatnonzero(active):
        for value in space.legal[gene]:
            if value != row[gene]:
                other = np.where(active, row, first)
                other[gene] = value
                yield int(gene), int(value), space.architecture(space.canonicalise(other[None])[0])


def gates(supernet: Supernet, row: Rows, inputs: Tensor, labels: Tensor) -> tuple[float, Floats]:
    """The loss of an architecture with inherited weights, and the change of the loss (G, V) for every value of every gene in
    place of the row's, to first order: <dL/dy, o(x) - y> for a segment with input x and output y, and the other one o.

    nan where that is not defined (see `segments`), and for genes that are not active; 0 for the values of the row. One
    forward and backward of the network and one forward of every alternative segment. Batch norm takes its statistics from these
    examples and keeps none, as in DARTS: those of an operator that was never calibrated with this network mean nothing.

    Args:
        supernet: in evaluation mode; left as it is, gradients too.
        row: (G,) canonical.
        inputs: as the network takes them.
        labels: as many.
    """
    space = supernet.space
    architecture = space.architecture(row)
    network = supernet.subnet(architecture)
    changes = np.full((len(space.choices), int(space.cardinalities.max())), np.nan)
    active = np.flatnonzero(space.active(row[None])[0])
    changes[active, row[active]] = 0.0
    with torch.enable_grad(), _batch_statistics(network):
        read, given, logits = _traced(network, inputs)
        found, asked = answers(logits, labels)
        loss = F.cross_entropy(found.float(), asked)
        slopes = torch.autograd.grad(loss, given, allow_unused=True, materialize_grads=True)
    for gene, value, other in alternatives(space, row):
        places = segments(architecture.nodes, other.nodes)
        if places is None:
            continue
        modules = supernet.subnet(other)
        with torch.no_grad(), _batch_statistics(modules):
            changes[gene, value] = sum(_change(read, given, slopes, modules, place) for place in places)
    return float(loss.detach()), changes


def relative_cost(space: SearchSpace, X: Rows) -> Fraction:
    """What `gates` costs an example, in forwards of the network, by MACs: the mean over rows (n, G). A backward is two."""
    total = Fraction(0)
    for row in X:
        architecture = space.architecture(row)
        work = sum(_macs(node.spec) for node in architecture.nodes)
        other_work = 0
        for _, _, other in alternatives(space, row):
            for start, _, end in segments(architecture.nodes, other.nodes) or ():
                other_work += sum(_macs(node.spec) for node in other.nodes[start:end])
        total += 3 + Fraction(other_work, max(work, 1))
    return total / len(X)


def _macs(spec: OperatorSpec) -> int:
    return cost(spec).macs


def _traced(network: Network, x: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """What every operator of the network reads and gives, and what the last one gives; as `Network.forward` runs them."""
    values: dict[str, Tensor] = {}
    read, given = [], []
    for module, (source, target) in zip(network, network.wiring, strict=True):
        x = values[source] if source else x
        read.append(x)
        x = module(x)
        # a tensor of its own: an identity gives the one that others read too, and zeros have no gradient
        x = x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
        given.append(x)
        if target:
            x = values[target] = values[target] + x if target in values else x
    return read, given, x


def _change(
    read: Sequence[Tensor], given: Sequence[Tensor], slopes: Sequence[Tensor], modules: Network, segment: Segment
) -> float:
    start, end, other_end = segment
    x = read[start] if start < len(read) else given[-1]
    y, slope = given[end - 1], slopes[end - 1]
    for module in list(modules)[start:other_end]:
        x = module(x)
    return float((slope.double() * (x.double() - y.double())).sum()) if x.shape == y.shape else float("nan")


@contextmanager
def _batch_statistics(network: nn.Module) -> Iterator[None]:
    """Batch norms take the statistics of the batch inside, and keep none."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    try:
        for norm in norms:
            norm.training, norm.track_running_stats = True, False
        yield
    finally:
        for norm, (training, track) in zip(norms, before, strict=True):
            norm.training, norm.track_running_stats = training, track
