"""`OperatorSpec`: operator name + sizes + input shape, the coin that every wing of the project trades in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from search_spaces.errors import SpaceError

_PATTERN = re.compile(r"^(?P<name>[a-z][a-z0-9_]*)\((?P<sizes>[^()]*)\)@(?P<shape>\d+(?:x\d+)*)$")


@dataclass(frozen=True, slots=True)
class OperatorSpec:
    """One operator at fixed sizes on a fixed input.

    The same spec builds the module, keys the latency table and keys the cost.

    Attributes:
        name: registered operator name, e.g. ``"mhsa"``.
        sizes: ``(size, value)`` pairs sorted by size name; these are the constructor's keyword arguments.
        shape: input shape without the batch, e.g. ``(channels, height, width)``.
    """

    name: str
    sizes: tuple[tuple[str, int], ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, name: str, shape: tuple[int, ...], **sizes: int) -> OperatorSpec:
        """The spec of operator ``name`` with ``sizes`` on an input of ``shape`` (no batch)."""
        return cls(name, tuple(sorted(sizes.items())), tuple(shape))

    @property
    def canonical(self) -> str:
        """The one string of this spec: ``mhsa(dim=32,head_dim=8,heads=4)@32x14x14``."""
        sizes = ",".join(f"{size}={value}" for size, value in self.sizes)
        return f"{self.name}({sizes})@{'x'.join(map(str, self.shape))}"

    @classmethod
    def parse(cls, text: str) -> OperatorSpec:
        """The spec whose `canonical` string is ``text``.

        Raises:
            SpaceError: ``text`` is not such a string.
        """
        match = _PATTERN.match(text)
        if match is None:
            raise SpaceError(f"operator spec: got {text!r}; legal is 'name(size=1,...)@CxHxW'")
        sizes = {}
        for pair in filter(None, match["sizes"].split(",")):
            size, _, value = pair.partition("=")
            if not value.isdigit():
                raise SpaceError(f"operator spec {text!r}: size {pair!r} is not 'name=integer'")
            sizes[size] = int(value)
        return cls.of(match["name"], tuple(int(n) for n in match["shape"].split("x")), **sizes)

    def __str__(self) -> str:
        return self.canonical
