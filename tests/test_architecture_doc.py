"""ARCHITECTURE.md is true: it lists the files that there are, in their layers, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from tests.layers import LAYERS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "diffdenoise"
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def listed() -> dict[str, int]:
    """Return the layer of each file in the table, by its path in the package."""
    files = {}
    for layer, folder, names in re.findall(r"^\| (\d) \| `([^`]+)` \| ([^|]+) \|", PAGE, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", names):
            files[f"{folder}{name}".removeprefix("./")] = int(layer)
    return files


def there() -> set[str]:
    """Return the files of the package; a folder's own __init__.py goes without saying."""
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    return {file for file in files if not file.endswith("/__init__.py")}


def test_the_table_lists_the_files_that_there_are() -> None:
    missing, gone = there() - listed().keys(), listed().keys() - there()
    assert not missing, f"not in the table of ARCHITECTURE.md: {sorted(missing)}"
    assert not gone, f"in the table of ARCHITECTURE.md, but not there: {sorted(gone)}"


def test_the_table_states_the_layers_that_are_checked() -> None:
    stated = {file.split("/")[0].removesuffix(".py"): layer for file, layer in listed().items()}
    assert stated == LAYERS


def test_the_diagram_names_files_that_exist_and_every_folder() -> None:
    diagram = re.search(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    assert diagram is not None
    names = set(re.findall(r"[\w/]+\.py|\w+/(?!\w)", diagram[1]))
    assert [name for name in sorted(names) if not (PACKAGE / name).exists()] == []
    folders = {file.split("/")[0] for file in there() if "/" in file}
    assert {name.split("/")[0] for name in names if "/" in name} == folders


def test_the_diagram_connects_only_its_own_boxes() -> None:
    diagram = re.search(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    assert diagram is not None
    boxes = set(re.findall(r"^\s*(\w+)\[", diagram[1], re.MULTILINE))
    arrows = [line for line in diagram[1].splitlines() if re.search(r"-->|-\.", line)]
    ends = {end for line in arrows for end in re.split(r"\s*(?:-->|-\. .*? \.->?)\s*", line.strip())}
    assert ends == boxes


def test_every_path_on_the_page_exists() -> None:
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    paths = {path for path in re.findall(r"`([\w./]+(?:\.py|/))`", prose) if path != "./"}
    paths |= set(re.findall(r"\]\(([\w./]+)\)", prose))
    in_table = {Path(file).name for file in listed()}
    unknown = [
        path
        for path in sorted(paths - in_table)
        if not (ROOT / path).exists() and not (PACKAGE / path).exists()
    ]
    assert unknown == []


def test_it_is_one_page_with_one_diagram() -> None:
    assert len(PAGE.splitlines()) <= 100
    assert PAGE.count("```") == 2
