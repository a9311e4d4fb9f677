"""A readable Python file that builds one architecture with nothing but PyTorch: the operators' own source, and a list."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from nas.export.definitions import collect
from search_spaces import Architecture
from search_spaces.build import has_shell
from search_spaces.operators import Operator, get_operator, layers
from search_spaces.supernet import module_name

_HEADER = '''"""{what} {hash}, found by hybrid-nas in the search space {space}.

{shapes}
Needs PyTorch, and safetensors to load the weights:

    from model import build, load
    network = load("model.safetensors")
"""

from __future__ import annotations

{imports}
'''

_FOOTER = '''

def build() -> nn.Sequential:
    """The network with fresh weights."""
    return {network}(
        OrderedDict(
            [
{layers}
            ]
        ){wiring}
    )


def load(path: str) -> nn.Sequential:
    """The network with the weights of ``path``, in evaluation mode."""
    from safetensors.torch import load_file

    network = build()
    network.load_state_dict(load_file(path))
    return network.eval()
'''

_WIRED = '''

class Wired(nn.Sequential):
    """Operators in order; each reads the value at a point (or what came before) and adds to the value at a point."""

    def __init__(self, operators: OrderedDict[str, nn.Module], wiring: list[tuple[str, str]]) -> None:
        super().__init__(operators)
        self.wiring = wiring

    def forward(self, x: Tensor) -> Tensor:
        values = {}
        for module, (source, target) in zip(self, self.wiring):
            x = module(values[source] if source else x)
            if target:
                x = values[target] = values[target] + x if target in values else x
        return x
'''


def network_source(architecture: Architecture) -> str:
    """The text of ``model.py`` for ``architecture``: the definitions that it uses, ``build`` and ``load``."""
    operators = list(dict.fromkeys(get_operator(spec.name) for spec in architecture.specs))
    shells = {_shell(operator) for operator in operators if has_shell(operator)}
    text, imports, names = collect([*operators, *(getattr(layers, shell) for shell in sorted(shells))])
    wired = any(node.source or node.target for node in architecture.nodes)
    wiring = ", ".join(f"({node.source!r}, {node.target!r})" for node in architecture.nodes)
    what, shapes = _contract(architecture)
    header = _HEADER.format(
        what=what, shapes=shapes, hash=architecture.hash, space=architecture.space.name, imports="\n".join(imports)
    )
    footer = _FOOTER.format(
        network="Wired" if wired else "nn.Sequential",
        layers="\n".join(_lines(architecture, names)),
        wiring=f",\n        [{wiring}]," if wired else "",
    )
    return header + text + (_WIRED if wired else "") + footer


def module_of(text: str) -> Any:
    """The module that a user gets who imports such a text: it has ``build`` and ``load``."""
    module = ModuleType("exported_model")
    sys.modules[module.__name__] = module  # data classes look their module up
    try:
        exec(compile(text, "model.py", "exec"), module.__dict__)
    finally:
        del sys.modules[module.__name__]
    return module


def _contract(architecture: Architecture) -> tuple[str, str]:
    """What the network is, and the shapes of its input and output."""
    shape = ", ".join(map(str, architecture.input_shape))
    last = architecture.specs[-1]
    out = ", ".join(map(str, get_operator(last.name).output_shape(last.shape, **dict(last.sizes))))
    if len(architecture.input_shape) == 1:
        return "Sequence network", f"Input: int64 (B, {shape}), token numbers. Output: scores (B, {out})."
    what = f"Input: float32 (B, {shape}), normalised as manifest.json says. Output: class scores (B, {out})."
    return "Image classifier", what


def _shell(operator: type[Operator]) -> str:
    return "SequenceResidual" if operator.domain == "sequence" else "Residual"


def _lines(architecture: Architecture, names: dict[type, str]) -> Iterable[str]:
    for node in architecture.nodes:
        operator, sizes = get_operator(node.spec.name), dict(node.spec.sizes)
        call = f"{names[operator]}({', '.join(f'{size}={value}' for size, value in sizes.items())})"
        if has_shell(operator):
            prenorm = "" if operator.domain == "sequence" else f", prenorm={operator.prenorm!r}"
            call = f"{_shell(operator)}({call}, dim={sizes['dim']}{prenorm})"
        yield f"                ({module_name(node.key)!r}, {call}),"
