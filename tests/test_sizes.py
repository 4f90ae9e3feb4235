"""The house stays easy to read: no long function, no long file. Complexity is ruff's to count (C901)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "diffdenoise"
#: Lines of a function without its docstring, of a command with all its options, and of a file.
MOST_OF_A_FUNCTION, MOST_OF_A_COMMAND, MOST_OF_A_FILE = 60, 60, 400
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def lengths(tree: ast.AST, *, docstrings: bool) -> dict[str, int]:
    """Return the lines of each function in a file."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            told = isinstance(first, ast.Expr) and ast.get_docstring(node) is not None
            said = (first.end_lineno or 0) - first.lineno + 1 if told and not docstrings else 0
            found[node.name] = (node.end_lineno or 0) - node.lineno + 1 - said
    return found


@pytest.mark.parametrize("file", FILES)
def test_files_and_functions_are_short(file: str) -> None:
    text = (PACKAGE / file).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_OF_A_FILE
    found = lengths(ast.parse(text), docstrings=file.startswith("cli/"))
    most = MOST_OF_A_COMMAND if file.startswith("cli/") else MOST_OF_A_FUNCTION
    assert {name: count for name, count in found.items() if count > most} == {}


def test_lengths_are_counted_without_docstrings() -> None:
    tree = ast.parse('def f():\n    """One\n\n    two."""\n    return 1\n')
    assert lengths(tree, docstrings=False) == {"f": 2}
    assert lengths(tree, docstrings=True) == {"f": 5}
