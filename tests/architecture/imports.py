"""Which of our modules imports which, by their source: lazy and TYPE_CHECKING imports count."""

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

same_worker = pytest.mark.xdist_group("sources")  # Where they were parsed.
PROJECT = Path(__file__).resolve().parents[2]
OURS = [
    "accounts",
    "assistants",
    "billing",
    "config",
    "engine",
    "inference",
    "projects",
    "training",
    "web",
]


def source_files() -> list[Path]:
    """Our own Python files, migrations aside."""
    return [
        path
        for package in OURS
        for path in sorted((PROJECT / package).rglob("*.py"))
        if "migrations" not in path.parts
    ]


def module_name(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def syntax_nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file. To parse all files takes some seconds of a processor, and to walk
    through their trees one more each time: tests that read them are of one group."""
    nodes = tuple(ast.walk(ast.parse(path.read_text())))
    gc.freeze()  # A million objects that stay: tests.conftest freezes others.
    return nodes


@cache
def import_graph() -> dict[str, set[str]]:
    """Each module and the modules of ours that it imports anywhere.

    `from package import name` depends on the module `package.name` where there is one, else on the
    package. What packages import implicitly (their parents) does not count.
    """
    files = {module_name(path): path for path in source_files()}
    return {
        name: {target for target in _imports(files, name, path) if target != name}
        for name, path in files.items()
    }


def _imports(files: dict[str, Path], name: str, path: Path) -> Iterator[str]:
    for node in syntax_nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                candidates = (f"{node.module}.{alias.name}", str(node.module))
                yield from [target for target in candidates if target in files][:1]


def import_circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in sorted(graph[module]):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            members = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(members) > 1:
                circles.append(sorted(members))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return sorted(circles)
