"""The runner on a small tree of its own: survivors are reported, and a list that has rotted is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mutants.choose import changed_since, choose
from mutants.listing import COPIED, ListError, Mutant, read_list

ROOT = Path(__file__).parents[2]
ADD = {
    "name": "sums are differences",
    "file": "src/sums.py",
    "old": "a + b",
    "new": "a - b",
    "tests": ["tests/test_sums.py"],
}
#: No test looks at large numbers.
LARGE = {**ADD, "name": "large numbers are lost", "old": "if a > 10**9:", "new": "if a > 10**8:"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small repository with one module and one test."""
    root = tmp_path / "tree"
    (root / "src").mkdir(parents=True)
    (root / "tests").mkdir()
    (root / "src/sums.py").write_text(
        "def add(a, b):\n    if a > 10**9:\n        return 0\n    return a + b\n"
    )
    (root / "tests/test_sums.py").write_text(
        "from sums import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
    )
    return root


def listed(root: Path, *entries: object) -> Path:
    """Write a list of mutants."""
    path = root / "list.yaml"
    path.write_text(yaml.safe_dump(list(entries)))
    return path


def run(root: Path, *entries: object, words: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command on a tree."""
    command = [sys.executable, "-m", "mutants", "--root", str(root), "--list", str(listed(root, *entries))]
    return subprocess.run([*command, *words], capture_output=True, text=True, cwd=ROOT)


def mutant(number: int) -> Mutant:
    return Mutant(f"number {number}", f"src/{number % 3}.py", "a", "b", ("tests/x.py",))


def test_a_mutant_that_is_noticed_is_well(tree: Path) -> None:
    before = (tree / "src/sums.py").read_text()
    found = run(tree, ADD)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "1 tried, 0 survived" in found.stdout
    assert (tree / "src/sums.py").read_text() == before
    assert not list(tree.rglob("__pycache__"))


@pytest.mark.parametrize("folder", COPIED)
def test_only_a_copy_is_broken(tree: Path, folder: str) -> None:
    (tree / folder).mkdir(exist_ok=True)
    module = tree / folder / "products.py"
    module.write_text("def times(a, b):\n    return a * b\n")
    # Notices a broken copy, and passes where the tree itself is broken.
    (tree / "tests/test_products.py").write_text(
        "from pathlib import Path\n\n\ndef test_times():\n"
        f"    broken, tree = (Path(one).read_text() for one in ('{folder}/products.py', '{module}'))\n"
        "    assert 'a * b' in broken or 'a * b' not in tree\n"
    )
    entry = {
        **ADD,
        "file": f"{folder}/products.py",
        "old": "a * b",
        "new": "a / b",
        "tests": ["tests/test_products.py"],
    }
    found = run(tree, entry)
    assert "1 tried, 0 survived" in found.stdout, found.stdout + found.stderr
    assert "a * b" in module.read_text()


def test_survivors_are_named(tree: Path) -> None:
    found = run(tree, ADD, LARGE)
    assert found.returncode == 1
    assert "survived: large numbers are lost: src/sums.py" in found.stdout
    assert "2 tried, 1 survived" in found.stdout


def test_mutants_of_one_file_and_size_are_told_apart(tree: Path) -> None:
    # One survives, and the other of the same length must not be taken for it.
    found = run(tree, *({**LARGE, "name": f"{n}", "new": f"if a > 10**{n}:"} for n in (8, 0)))
    assert found.returncode == 1
    assert "2 tried, 1 survived" in found.stdout
    assert "survived: 0:" not in found.stdout


def test_tests_that_fail_without_a_mutant_are_an_error(tree: Path) -> None:
    (tree / "tests/test_sums.py").write_text("def test_add():\n    assert False\n")
    found = run(tree, ADD)
    assert found.returncode == 2
    assert "must pass first" in found.stderr


def test_a_mutant_that_stops_the_tests_from_starting_is_an_error(tree: Path) -> None:
    found = run(tree, {**ADD, "name": "no Python", "new": "a +* b"})
    assert found.returncode == 2
    assert "ERROR: the tests could not run (exit code 2)" in found.stdout


def test_no_other_is_begun_after_the_time(tree: Path) -> None:
    found = run(tree, ADD, LARGE, words=("--minutes", "0"))
    assert found.returncode == 0
    assert "0 tried, 0 survived, 2 left for another time" in found.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"old": "a ++ b"}, "sums are differences: 'a ++ b' is 0 times in src/sums.py"),
        ({"old": "a"}, "sums are differences: 'a' is 4 times in src/sums.py"),
        ({"file": "src/gone.py"}, "sums are differences: src/gone.py is not there any more"),
        ({"file": "list.yaml"}, "sums are differences: list.yaml is in none of src, tests"),
        ({"tests": ["tests/gone.py"]}, "sums are differences: these tests are not there: tests/gone.py"),
        ({"tests": ["tests/test_sums.py::test_gone"]}, "tests are not there: tests/test_sums.py::test_gone"),
        ({"tests": []}, "none is named"),
        ({"new": "a + b"}, "two different parts of one line"),
        ({"more": "a"}, "expected the keys"),
    ],
)
def test_an_entry_that_no_longer_fits_is_an_error_that_names_it(
    tree: Path, change: dict[str, object], said: str
) -> None:
    found = run(tree, LARGE, {**ADD, **change})
    assert found.returncode == 2
    assert said in found.stderr
    assert not found.stdout


def test_every_entry_of_the_committed_list_fits_the_tree() -> None:
    found = read_list(ROOT / "mutants" / "list.yaml", ROOT)
    assert len(found) >= 25


def test_parts_make_up_the_whole() -> None:
    everything = [mutant(number) for number in range(11)]
    parts = [choose(everything, f"{number}/4", None) for number in (1, 2, 3, 4)]
    assert sorted(one.name for part in parts for one in part) == sorted(one.name for one in everything)
    assert choose(everything, None, None) == everything
    for wrong in ("0/4", "5/4", "1", "a/b"):
        with pytest.raises(ListError, match="expected such as 2/5"):
            choose(everything, wrong, None)


def test_those_of_changed_files_come_first_and_each_once() -> None:
    everything = [mutant(number) for number in range(6)]
    chosen = choose(everything, "1/2", {"src/1.py", "README.md"})
    assert [one.name for one in chosen] == ["number 1", "number 4", "number 0", "number 2"]
    assert choose(everything, None, {"README.md"}) == []
    # A changed test may have lost what it noticed.
    assert choose(everything, None, {"tests/x.py"}) == everything


def test_changed_files_are_those_of_the_working_tree(tree: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(tree), *words], check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "all")
    assert changed_since("HEAD", tree) == set()
    (tree / "src/sums.py").write_text("def add(a, b):\n    return a + b\n")
    assert changed_since("HEAD", tree) == {"src/sums.py"}
    with pytest.raises(ListError, match="git doesn't know"):
        changed_since("no-such-commit", tree)
