"""What the documents say can be typed exists, and docs/settings.md is up to date."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

from diffdenoise.cli.app import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md"), ROOT / "samples" / "README.md"])


def commands(text: str) -> list[str]:
    """Return the `diffdenoise ...` lines of a page's shell blocks."""
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith("diffdenoise ")]


def unknown(command: str) -> list[str]:
    """Return the words of a command line that the program doesn't know."""
    program = typer.main.get_command(app)
    _, *words = shlex.split(command, comments=True)
    if words[0] not in program.commands:
        return [] if words[0] in {"--help", "--version"} else words[:1]
    options = {name for each in program.commands[words[0]].params for name in each.opts}
    given = [word.split("=")[0] for word in words[1:] if re.match(r"--?[a-zA-Z]", word)]
    return [word for word in given if word not in options | {"--help", "-h"}]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_in_a_page_exist(page: Path) -> None:
    found = {line: unknown(line) for line in commands(page.read_text(encoding="utf-8"))}
    assert {line: words for line, words in found.items() if words} == {}


def test_an_unknown_command_or_option_would_be_found() -> None:
    assert unknown("diffdenoise polish scan.nii") == ["polish"]
    assert unknown("diffdenoise info scan.nii --no-such-thing=3 --json") == ["--no-such-thing"]
    assert commands("```sh\nmake demo\ndiffdenoise info \\\n  a.nii\n```") == ["diffdenoise info    a.nii"]


def test_the_quick_start_shows_every_command() -> None:
    shown = {shlex.split(line)[1] for line in commands((DOCS / "quickstart.md").read_text(encoding="utf-8"))}
    assert shown == {
        "denoise",
        "train",
        "info",
        "models",
        "export",
        "convert",
        "simulate",
        "evaluate",
        "report",
        "serve",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_in_a_page_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_page_of_settings_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("make_settings", DOCS / "make_settings.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    fresh = script.page() == (DOCS / "settings.md").read_text(encoding="utf-8")
    assert fresh, "docs/settings.md is out of date: run python docs/make_settings.py"


def test_the_table_of_formats_is_that_of_the_registry() -> None:
    spec = importlib.util.spec_from_file_location("make_formats", DOCS / "make_formats.py")
    assert spec is not None
    assert spec.loader is not None
    make_formats = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_formats)
    text = make_formats.PAGE.read_text(encoding="utf-8")
    assert make_formats.page(text) == text, "run: python docs/make_formats.py"
