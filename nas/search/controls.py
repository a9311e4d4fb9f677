"""The controls of a search: random and local search, single-family spaces, and the mixer without its state space model."""

from __future__ import annotations

from collections.abc import Callable

from search_spaces.operators import family
from search_spaces.space import SearchSpace

_SEARCHERS = ("random", "local-search")  # searchers that are controls, in the full space
_KEEP: dict[str, Callable[[str], bool]] = {
    "conv": lambda mixer: family(mixer) in ("conv", "other"),
    "attention": lambda mixer: family(mixer) in ("attention", "linear attention", "other"),
    "ssm": lambda mixer: family(mixer) in ("ssm", "other"),
    "no-ssm": lambda mixer: family(mixer) != "ssm",
    "linear-attention": lambda mixer: family(mixer) in ("linear attention", "other"),
}


def control_names() -> tuple[str, ...]:
    """Every control there is, in the order of a report."""
    return (*_SEARCHERS, *_KEEP)


def control_spaces(space: SearchSpace) -> dict[str, SearchSpace]:
    """Control name -> the space it searches, by restriction of every gene whose name ends in ``.mixer``.

    "random" and "local-search" are the full space (searched by the searcher of that name at the same number of
    evaluations); "conv", "attention" (linear attention included), "ssm" and "linear-attention" keep that family and
    identity; "no-ssm" drops only the state-space mixers. A family that would be the full space again, hold no member of
    its own, or leave a mixer gene without a legal value does not exist and is left out.
    """
    genes = [(g, choice) for g, choice in enumerate(space.choices) if choice.name.endswith(".mixer")]
    legal = {choice.name: [choice.values[i] for i in space.legal[g]] for g, choice in genes}
    full = sum(len(values) for values in legal.values())
    spaces = dict.fromkeys(_SEARCHERS, space)
    for name, keep in _KEEP.items():
        kept = {gene: [value for value in values if keep(value)] for gene, values in legal.items()}
        count = sum(len(values) for values in kept.values())
        real = any(family(value) != "other" for values in kept.values() for value in values)
        if real and count < full and all(kept.values()):
            spaces[name] = space.restrict(kept)
    return spaces


def control_searcher(control: str, searcher: str) -> str:
    """The searcher that runs a control: the one of that name, or for a smaller space the searcher under test."""
    return control if control in _SEARCHERS else searcher
