"""Messages name options as whoever reads them would write them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import diffdenoise as dd
from diffdenoise.cli.app import app
from diffdenoise.errors import OutputError, option, told_to_a_command_line
from diffdenoise.scan.write import check_output

PACKAGE = Path(dd.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z]")


def test_an_option_is_a_flag_on_a_command_line_and_an_argument_in_python():
    assert (option("overwrite"), option("device", "cpu")) == ("overwrite=True", "device='cpu'")
    assert option("retry-failed") == "retry_failed=True"
    assert option("series", command="name one with", python="name its files") == "name its files"
    with told_to_a_command_line():
        assert (option("overwrite"), option("device", "cpu")) == ("--overwrite", "--device cpu")
        assert option("series", command="name one with", python="name its files") == "name one with --series"
    assert option("overwrite") == "overwrite=True"


def test_a_command_that_fails_leaves_python_its_words(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 4)))
    with pytest.raises(OutputError, match="use --overwrite"), told_to_a_command_line():
        check_output(path, "numpy", False, [])
    with pytest.raises(OutputError, match="use overwrite=True"):
        check_output(path, "numpy", False, [])


def test_the_same_mistake_is_told_to_both(tmp_path):
    (tmp_path / "model" / "work").mkdir(parents=True)
    with pytest.raises(dd.DiffDenoiseError, match="go on with resume=True"):
        dd.load(tmp_path / "model")
    np.save(tmp_path / "a.npy", np.zeros((32, 32)))
    words = ["denoise", tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--model", tmp_path / "model"]
    told = CliRunner().invoke(app, [str(word) for word in words], prog_name="diffdenoise")
    assert "go on with --resume" in told.stderr


def _texts(path: Path) -> list[tuple[int, str]]:
    """All words of a file but its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in said]
    return [(node.lineno, node.value) for node in found if isinstance(node.value, str)]


def test_no_message_below_the_command_line_names_a_flag():
    below = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "cli"]
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line}: {text}"
        for path in below
        for line, text in _texts(path)
        # What a command is quoted with, such as in a model's own description, is a command; and a flag alone
        # is what a process of ours is started with.
        if FLAG.search(text) and "diffdenoise " not in text and not re.fullmatch(r"--[a-z]+", text)
    ]
    assert len(below) > 100
    assert wrong == []
