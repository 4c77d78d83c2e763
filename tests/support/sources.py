"""Our own source code as data, for the tests that guard its shape."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

ROOT = Path(__file__).parent.parent.parent
#: Packages that are installed, or run from the repository.
PACKAGES = ("wire", "hub", "agent", "gateways", "dashboard", "bench")


@dataclass(frozen=True)
class Module:
    """One file of ours, parsed."""

    #: Dotted; that of a package for its ``__init__.py``.
    name: str
    #: From the root of the repository, with ``/``.
    path: str
    text: str = field(repr=False)
    is_package: bool = False

    @functools.cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.name.partition(".")[0]


@functools.cache
def modules(*folders: str) -> tuple[Module, ...]:
    """The modules below these folders of the repository."""
    files = sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return tuple(read(file) for file in files)


def read(file: Path) -> Module:
    parts = file.relative_to(ROOT).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    return Module(name, file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"), is_package)


def imported(module: Module, known: Collection[str] = ()) -> set[str]:
    """Every module that ``module`` names in an import: at its top, in functions, and for type checkers alike.

    ``from a import b`` counts as ``a.b`` where that is one of the ``known`` modules, and as ``a`` otherwise.
    """
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in known else base for a in node.names}
    return found


def _base(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    above = parts[: len(parts) - node.level + (1 if module.is_package else 0)]
    return ".".join([*above, *([node.module] if node.module else [])])


def cycle(graph: Mapping[str, Collection[str]]) -> list[str] | None:
    """One circle of a graph, its first member repeated at its end; None when there is none."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for below in sorted(graph.get(name, ())):
            if (found := walk(below, [*path, name])) is not None:
                return found
        done.add(name)
        return None

    return next((found for name in sorted(graph) if (found := walk(name, [])) is not None), None)


def strings(module: Module) -> Iterator[tuple[int, str]]:
    """Line and text of every string that is no docstring; the holes of an f-string are ``{}``."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    parts = {id(part) for node in ast.walk(module.tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.JoinedStr):
            texts = [str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values]
            yield node.lineno, "".join(texts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | parts:
            yield node.lineno, node.value
