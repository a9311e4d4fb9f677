"""Which genes of a space act together: the groups that are its places (`nas.search.places`), closed under parents.

Genes meet where one is the parent of another, or where both shape one operator. What hangs together so is a group; one with
more tuples than can be handled is cut at the genes that most of its operators share, which are then in several groups.
"""

from __future__ import annotations

from collections.abc import Iterable

from search_spaces.space import SearchSpace

ALONE = 2000  # tuples of its own genes that a group may have; one with more is cut at the gene of most operators

Genes = frozenset[int]


def groups(space: SearchSpace) -> list[Genes]:
    """Genes that act together, where they are too many cut apart at those of most operators; none within another."""
    parent = parents(space)
    slots = [{space.index[g] for g in (*slot.genes, *(slot.when[:1] if slot.when else ()))} for slot in space.slots]
    together = [_closed(parent, genes) for genes in ([{g} for g in range(len(space.choices))] + slots)]
    met: dict[int, set[int]] = {g: set() for g in range(len(space.choices))}
    for genes in (*slots, *({g, parent[g]} - {-1} for g in met)):
        for g in genes:
            met[g] |= genes - {g}
    operators = [_closed(parent, genes) for genes in slots]
    times = {g: sum(g in genes for genes in operators) for g in met}
    shared: set[int] = set()
    while big := [group for group in _components(met, shared) if len(group) > 1 and size(space, group) > ALONE]:
        shared |= {max(sorted(group), key=lambda g: times[g]) for group in big}
    around = [group.union(*(met[g] & shared for g in group)) for group in _components(met, shared)]
    found = {_closed(parent, genes) for genes in (*around, *together)}
    return sorted((a for a in found if not any(a < b for b in found)), key=sorted)


def parents(space: SearchSpace) -> list[int]:
    """The gene that each gene depends on, -1 for none."""
    return [-1 if choice.when is None else space.index[choice.when[0]] for choice in space.choices]


def size(space: SearchSpace, members: Genes) -> int:
    """How many tuples the genes have, those whose parents are not among them being active."""
    choices, parent = space.choices, parents(space)

    def count(g: int) -> int:
        total = 0
        for value in space.legal[g]:
            product = 1
            for child in children.get(g, ()):
                if choices[g].values[value] in choices[child].when[1]:  # type: ignore[index]
                    product *= count(child)
            total += product
        return total

    children: dict[int, list[int]] = {}
    for g in members:
        if parent[g] in members:
            children.setdefault(parent[g], []).append(g)
    found = 1
    for g in members:
        if parent[g] not in members:
            found *= count(g)
    return found


def intersections(sets: list[Genes]) -> list[Genes]:
    """All intersections of the sets and of these, without the sets themselves, the largest first."""
    found: set[Genes] = set(sets)
    new = set(sets)
    while new:
        new = {a & b for a in new for b in found} - found
        found |= new
    return sorted(found - set(sets), key=lambda genes: (-len(genes), sorted(genes)))


def _closed(parent: list[int], genes: Iterable[int]) -> Genes:
    """With all parents."""
    found: set[int] = set()
    for gene in genes:
        while gene >= 0 and gene not in found:
            found.add(gene)
            gene = parent[gene]
    return frozenset(found)


def _components(met: dict[int, set[int]], without: set[int]) -> list[Genes]:
    """Connected groups of the genes that are not in ``without``."""
    left = set(met) - without
    found = []
    while left:
        group, border = set(), {min(left)}
        while border:
            group |= border
            border = set().union(*(met[g] for g in border)) - without - group
        found.append(frozenset(group))
        left -= group
    return found
