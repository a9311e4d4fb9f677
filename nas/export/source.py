"""A readable Python file that builds one architecture with nothing but PyTorch: the operators' own source, and a list."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from types import ModuleType

from search_spaces import Architecture
from search_spaces.build import has_shell
from search_spaces.operators import get_operator, layers
from search_spaces.supernet import module_name

# what only the search needs: a fixed network has neither layouts nor cost formulas
_DROPPED = {"layout", "elastic", "not_deployable"}

_HEADER = '''"""Image classifier {hash}, found by hybrid-nas in the search space {space}.

Input: float32 (B, {channels}, {height}, {width}), normalised as manifest.json says. Output: class scores (B, {classes}).
Needs PyTorch, and safetensors to load the weights:

    from model import build, load
    network = load("model.safetensors")
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn
'''

_FOOTER = '''

def build() -> nn.Sequential:
    """The network with fresh weights."""
    return nn.Sequential(
        OrderedDict(
            [
{layers}
            ]
        )
    )


def load(path: str) -> nn.Sequential:
    """The network with the weights of ``path``, in evaluation mode."""
    from safetensors.torch import load_file

    network = build()
    network.load_state_dict(load_file(path))
    return network.eval()
'''


def network_source(architecture: Architecture) -> str:
    """The text of ``model.py`` for ``architecture``: the definitions that it uses, ``build`` and ``load``."""
    operators = [get_operator(spec.name) for spec in architecture.specs]
    wanted = {operator.__name__ for operator in operators} | {"Residual"}
    modules: list[ModuleType] = [layers]
    for operator in operators:
        module = inspect.getmodule(operator)
        assert module is not None
        if module not in modules:
            modules.append(module)
    definitions = {name: text for module in modules for name, text in _definitions(module).items()}
    used = _closure(definitions, wanted)
    channels, height, width = architecture.input_shape
    header = _HEADER.format(
        hash=architecture.hash,
        space=architecture.space.name,
        channels=channels,
        height=height,
        width=width,
        classes=architecture.space.definition["classes"],
    )
    body = "".join(f"\n\n{text}\n" for name, text in definitions.items() if name in used)
    return header + body + _FOOTER.format(layers="\n".join(_lines(architecture)))


def _lines(architecture: Architecture) -> Iterable[str]:
    for key, spec in architecture.nodes:
        operator = get_operator(spec.name)
        call = f"{operator.__name__}({', '.join(f'{size}={value}' for size, value in spec.sizes)})"
        if has_shell(operator):
            call = f"Residual({call}, dim={dict(spec.sizes)['dim']}, prenorm={operator.prenorm!r})"
        yield f"                ({module_name(key)!r}, {call}),"


def _definitions(module: ModuleType) -> dict[str, str]:
    """Top-level functions and classes of a module as text, without decorators and without what only the search needs."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert node.end_lineno is not None
            dropped: set[int] = set()
            for part in node.body if isinstance(node, ast.ClassDef) else []:
                if _only_for_search(part):
                    first = min([part.lineno, *(d.lineno for d in getattr(part, "decorator_list", []))])
                    dropped.update(range(first, (part.end_lineno or part.lineno) + 1))
            kept = [
                line for n, line in enumerate(lines[node.lineno - 1 : node.end_lineno], node.lineno) if n not in dropped
            ]
            text = "\n".join(kept).replace("(Operator)", "(nn.Module)").rstrip()
            while "\n\n\n" in text:
                text = text.replace("\n\n\n", "\n\n")
            found[node.name] = text
    return found


def _only_for_search(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef):
        return any(isinstance(d, ast.Name) and d.id == "classmethod" for d in node.decorator_list)
    if isinstance(node, ast.Assign):
        return any(isinstance(t, ast.Name) and t.id in _DROPPED for t in node.targets)
    return False


def _closure(definitions: dict[str, str], wanted: set[str]) -> set[str]:
    """``wanted`` and every definition that their texts name."""
    used: set[str] = set()
    queue = [name for name in wanted if name in definitions]
    while queue:
        name = queue.pop()
        if name in used:
            continue
        used.add(name)
        named = {n.id for n in ast.walk(ast.parse(definitions[name])) if isinstance(n, ast.Name)}
        queue += [other for other in named if other in definitions]
    return used
