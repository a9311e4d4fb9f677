"""The source of classes, with everything of this project that they use, gathered into one text that stands alone."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cache

from search_spaces.operators import Operator, get_operator, operator_names

_OURS = "search_spaces."
_CONTRACT = set(Operator.__annotations__)  # what only the search needs: a fixed network has no layouts or roles
_FORMULAS = ("axes", "check", "output_shape", "work", "state_size")
_ALWAYS = ("from collections import OrderedDict", "from torch import Tensor, nn")

Name = tuple[str, str]  # (module, name)


def collect(wanted: Sequence[type]) -> tuple[str, list[str], dict[type, str]]:
    """The definitions of ``wanted`` classes and of all that their texts name, in an order in which they can be run.

    Returns:
        (text, import lines it needs, class -> its name in the text: changed where two files use the same name).
    """
    modules: list[str] = []
    for item in wanted:
        _visit(item.__module__, modules)
    used: dict[Name, None] = {}
    queue = [(item.__module__, item.__name__) for item in wanted]
    while queue:
        found = queue.pop()
        if found in used:
            continue
        used[found] = None
        queue += [home for name in _named(found) if (home := _home(found[0], name)) is not None]
    renamed = _renamed(list(used))
    parts, outside = [], set(_ALWAYS)
    for module in modules:
        for name, text in _definitions(module).items():
            if (module, name) not in used:
                continue
            for other in _named((module, name)):
                home = _home(module, other)
                if home is not None and renamed[home] != other:
                    text = re.sub(rf"\b{other}\b", renamed[home], text)
                outside |= {line for bound, line in _outside(module).items() if bound == other}
            parts.append(re.sub(rf"\b{name}\b", renamed[module, name], text) if renamed[module, name] != name else text)
    lines = sorted(outside, key=lambda line: ("torch" in line, line.startswith("from"), line))
    names = {item: renamed[item.__module__, item.__name__] for item in wanted}
    return "".join(f"\n\n{text}\n" for text in parts), lines, names


def _renamed(used: Sequence[Name]) -> dict[Name, str]:
    """Each definition's name in the text: its own for the first file that has it, with the file's name behind for others."""
    taken: dict[str, Name] = {}
    return {
        home: home[1] if taken.setdefault(home[1], home) == home else f"{home[1]}_{home[0].rpartition('.')[2]}"
        for home in used
    }


def _visit(module: str, order: list[str]) -> None:
    """Adds ``module`` to ``order`` after every file of ours that it imports."""
    for home, _ in _inside(module).values():
        if home not in order and home != module:
            _visit(home, order)
    if module not in order:
        order.append(module)


@cache
def _tree(module: str) -> tuple[ast.Module, str]:
    source = inspect.getsource(importlib.import_module(module))
    return ast.parse(source), source


@cache
def _inside(module: str) -> dict[str, Name]:
    """Name -> where it is defined, for what ``module`` imports from this project's operators."""
    found = {}
    for node in ast.walk(_tree(module)[0]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{_OURS}operators."):
            for alias in node.names:
                found[alias.asname or alias.name] = (str(node.module), alias.name)
    skipped = (f"{_OURS}operators.base", f"{_OURS}operators.registry")
    return {name: home for name, home in found.items() if home[0] not in skipped}


@cache
def _outside(module: str) -> dict[str, str]:
    """Name -> the import line that binds it, for what ``module`` imports from elsewhere."""
    found = {}
    for node in _tree(module)[0].body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                line = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                found[alias.asname or alias.name.partition(".")[0]] = line
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith((_OURS, "__future__")):
            for alias in node.names:
                bound = alias.asname or alias.name
                line = f"from {node.module} import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                found[bound] = _ALWAYS[1] if (node.module, bound) in (("torch", "Tensor"), ("torch", "nn")) else line
    return found


def _home(module: str, name: str) -> Name | None:
    """Where ``name``, as ``module`` uses it, is defined in this project."""
    if name in _definitions(module):
        return module, name
    home = _inside(module).get(name)
    return home if home is None or home[1] in _definitions(home[0]) else _home(*home)


@cache
def _named(home: Name) -> frozenset[str]:
    """Every name that the text of a definition uses, annotations apart."""
    tree = ast.parse("from __future__ import annotations\n" + _definitions(home[0])[home[1]])
    annotations = set()
    for node in ast.walk(tree):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        annotations |= {id(n) for part in parts if isinstance(part, ast.AST) for n in ast.walk(part)}
    return frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in annotations) - {home[1]}


@cache
def _definitions(module: str) -> dict[str, str]:
    """Top-level functions, classes and constants of a file as text, without registration and what only the search needs."""
    tree, source = _tree(module)
    lines = source.splitlines()
    found = {}
    for node in _one_name_each(tree.body):
        names = _bound(node)
        if not names:
            continue
        assert node.end_lineno is not None
        decorators = getattr(node, "decorator_list", [])
        start = min([node.lineno, *(d.lineno for d in decorators)])
        dropped = {d.lineno for d in decorators if isinstance(d, ast.Name) and d.id == "register"}
        for part in node.body if isinstance(node, ast.ClassDef) else []:
            if _only_for_search(part):
                first = min([part.lineno, *(d.lineno for d in getattr(part, "decorator_list", []))])
                dropped.update(range(first, (part.end_lineno or part.lineno) + 1))
        text = "\n".join(
            line for n, line in enumerate(lines[start - 1 : node.end_lineno], start) if n not in dropped
        ).rstrip()
        if node not in tree.body:
            text = ast.unparse(node)
        if isinstance(node, ast.ClassDef):
            text = re.sub(r"\bOperator\b", "nn.Module", text)
            if all(_only_for_search(part) for part in node.body):
                text += "\n    pass"
        found[names[0]] = re.sub(r"\n{3,}", "\n\n", text)
    return found


def _one_name_each(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """``A, B = 0, 1`` as two statements, which may then be used alone."""
    for node in body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Tuple)
            and isinstance(node.value, ast.Tuple)
        ):
            for target, value in zip(node.targets[0].elts, node.value.elts, strict=True):
                yield ast.Assign([target], value, lineno=node.lineno, end_lineno=node.end_lineno)
        else:
            yield node


def _bound(node: ast.stmt) -> list[str]:
    """The name that a top-level statement defines: functions, classes and plain constants."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return [node.targets[0].id]
    return []


def _is_classmethod(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef):
        return False
    return any(isinstance(d, ast.Name) and d.id == "classmethod" for d in node.decorator_list)


@cache
def _used_at_run_time() -> frozenset[str]:
    """Attributes that methods which compute something name, in any operator's class: not those of cost formulas."""
    names: set[str] = set()
    for name in operator_names():
        for kind in get_operator(name).__mro__:
            if kind.__module__.startswith(_OURS) or kind is get_operator(name):
                methods = [
                    p for c in ast.walk(_tree(kind.__module__)[0]) if isinstance(c, ast.ClassDef) for p in c.body
                ]
                for method in methods:
                    if isinstance(method, ast.FunctionDef) and not _is_classmethod(method):
                        names |= {n.attr for n in ast.walk(method) if isinstance(n, ast.Attribute)}
    return frozenset(names)


def _only_for_search(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef):
        return _is_classmethod(node) and (node.name in _FORMULAS or node.name not in _used_at_run_time())
    if isinstance(node, ast.Assign):
        names = {n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
        return names <= _CONTRACT
    return False
