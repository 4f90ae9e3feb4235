"""Check by reading the source which module imports which: layers, cycles, slow imports at start-up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: The layer of everything directly below the package; a file imports only from its own or a lower one.
LAYERS = {
    "errors": 0,
    "types": 0,
    "config": 0,
    "_version": 0,
    "plain_files": 0,
    "owner": 0,
    "lock": 0,
    "threads": 0,
    "packages": 0,
    "scan": 1,
    "noise": 1,
    "networks": 2,
    "training": 3,
    "trust": 4,
    "plan": 5,
    "method": 5,
    "model": 5,
    "page": 6,
    "work": 6,
    "bars": 7,
    "kinds": 7,
    "images": 7,
    "groups": 7,
    "api": 7,
    "__init__": 7,
    "serve": 8,
    "cli": 8,
    "__main__": 8,
}
#: Slow to load: not loaded by importing layers 0 and 1, a trained model, jobs, Python calls or commands.
SLOW = {"torch", "matplotlib", "skimage", "scipy"}
#: Parts of light packages that load a slow one.
SLOW_PARTS = {"safetensors.torch"}


@dataclass(frozen=True)
class Import:
    """One name that a module imports: where it is written, and whether that runs at import time."""

    target: str
    line: int
    at_start: bool


def breaches(package: Path) -> list[str]:
    """Return every breach of the rules below a package folder, one readable line each."""
    modules = {_name(path, package): path for path in sorted(package.rglob("*.py"))}
    imports = {name: _imports(path) for name, path in modules.items()}
    return [
        *_without_layer(modules, package),
        *_upward(modules, imports, package),
        *_cycles(modules, imports),
        *_slow(modules, imports, package),
    ]


def _name(path: Path, package: Path) -> str:
    """Return "diffdenoise.scan.read" for its file; a folder's name for its __init__.py."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _layer(module: str) -> int | None:
    _, _, inside = module.partition(".")
    return LAYERS.get(inside.split(".")[0] if inside else "__init__")


def _imports(path: Path) -> list[Import]:
    """Return all imports in a file, those inside functions too."""
    found: list[Import] = []

    def visit(node: ast.AST, at_start: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(each.name, node.lineno, at_start) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found.append(Import(base, node.lineno, at_start))
            # Whether the names are modules shows when they are looked up.
            if not node.level:
                found.extend(Import(f"{base}.{each.name}", node.lineno, at_start) for each in node.names)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            at_start = False
        for child in ast.iter_child_nodes(node):
            hidden = isinstance(node, ast.If) and _is_type_checking(node.test) and child in node.body
            visit(child, at_start and not hidden)

    visit(ast.parse(path.read_text(encoding="utf-8"), str(path)), True)
    return found


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _edges(module: str, imports: list[Import], modules: dict[str, Path]) -> Iterator[tuple[str, Import]]:
    """Yield what a module asks for in this package: `a.b.c`, and not `a.b`, for `from a.b import c`."""
    inner = [each for each in imports if each.target in modules and each.target != module]
    for each in inner:
        if not any(o.target.startswith(f"{each.target}.") and o.line == each.line for o in inner):
            yield each.target, each


def _without_layer(modules: dict[str, Path], package: Path) -> Iterator[str]:
    tops = {path.relative_to(package).parts[0].removesuffix(".py") for path in modules.values()}
    for top in sorted(tops - LAYERS.keys()):
        yield f"{package.name}/{top}: has no layer; add it to tests/layers.py and ARCHITECTURE.md"


def _upward(modules: dict[str, Path], imports: dict[str, list[Import]], package: Path) -> Iterator[str]:
    for module, path in modules.items():
        own = _layer(module)
        place = path.relative_to(package.parent)
        for each in imports[module]:
            if each.target.startswith("."):
                yield f"{place}:{each.line}: relative import; write 'from {package.name}...' in full"
        for target, each in _edges(module, imports[module], modules):
            other = _layer(target)
            if own is not None and other is not None and other > own:
                yield f"{place}:{each.line}: layer {own} imports {target} of layer {other}"


def _cycles(modules: dict[str, Path], imports: dict[str, list[Import]]) -> Iterator[str]:
    """Yield each cycle once, starting at its alphabetically first module."""
    graph = {module: {target for target, _ in _edges(module, imports[module], modules)} for module in modules}
    seen: set[frozenset[str]] = set()
    done: set[str] = set()

    def walk(module: str, trail: list[str]) -> Iterator[str]:
        if module in trail:
            cycle = trail[trail.index(module) :]
            if frozenset(cycle) not in seen:
                seen.add(frozenset(cycle))
                start = cycle.index(min(cycle))
                ring = [*cycle[start:], *cycle[:start]]
                yield f"import cycle: {' -> '.join([*ring, ring[0]])}"
            return
        if module in done:
            return
        for target in sorted(graph[module]):
            yield from walk(target, [*trail, module])
        done.add(module)

    for module in sorted(graph):
        yield from walk(module, [])


def _loaded(imports: list[Import]) -> Iterator[tuple[str, Import]]:
    """Yield what runs when a module is imported: its imports, and the folders around them."""
    for each in imports:
        if not each.at_start:
            continue
        yield each.target, each
        parts = each.target.split(".")
        for count in range(1, len(parts)):
            yield ".".join(parts[:count]), each


def _slow(modules: dict[str, Path], imports: dict[str, list[Import]], package: Path) -> Iterator[str]:
    """Yield slow libraries that importing a light module loads, itself or by way of another module."""

    def reason(module: str, visited: set[str]) -> str | None:
        visited.add(module)
        for target, each in _loaded(imports[module]):
            place = f"{modules[module].relative_to(package.parent)}:{each.line}"
            if target in SLOW or target in SLOW_PARTS:
                return f"{place} imports {target}"
            if target in modules and target not in visited and (deeper := reason(target, visited)):
                return f"{place} imports {target}; {deeper}"
        return None

    for module in filter(_is_light, modules):
        if why := reason(module, set()):
            yield f"importing {module} is slow: {why}; import it inside the function that needs it"


def _is_light(module: str) -> bool:
    """Whether a module is to load nothing slow."""
    top = module.partition(".")[2].partition(".")[0]
    return _layer(module) in {0, 1, 6, 7, 8} or top in ("", "model")
