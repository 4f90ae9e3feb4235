"""The format that CONTRIBUTING.md shows, in one file and named in the registry, is read and written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import diffdenoise

ROOT = Path(__file__).parents[2]
USE = """
import sys
import numpy as np
from pathlib import Path
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.write import write_scan

folder = Path(sys.argv[1])
(folder / "a.toy").write_bytes(b"TOY 2 3\\n" + np.array([1, 2, 3, 4, 5, -6], "<i2").tobytes())
scan = read_scan(folder / "a.toy")
assert (scan.format, scan.name, scan.stored_dtype) == ("toy", "a.toy", np.int16), scan
assert scan.data.tolist() == [[1, 3, 5], [2, 4, -6]], scan.data
write_scan(scan.with_data(np.array([[0.5, 1.5, 1e9], [-1e9, 2.4, 2.6]])), folder / "b.toy")
assert read_scan(folder / "b.toy").data.tolist() == [[0, 2, 32767], [-32768, 2, 3]]
from diffdenoise.errors import FormatError
(folder / "c.toy").write_bytes(b"TOY 2000 3000\\n123")
try:
    read_scan(folder / "c.toy")
except FormatError as error:
    print(error)
"""


def test_the_format_in_the_guide_works(tmp_path: Path) -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    assert found is not None
    package = tmp_path / "src" / "diffdenoise"
    shutil.copytree(
        Path(diffdenoise.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "weights")
    )
    toy = textwrap.dedent("   " + found[1].lstrip(" "))
    (package / "scan" / "formats" / "toy.py").write_text(toy, encoding="utf-8")
    registry = package / "scan" / "registry.py"
    text = registry.read_text(encoding="utf-8")
    text = text.replace("    tiff,\n", "    tiff,\n    toy,\n", 1)
    text = text.replace("    tiff.FORMAT,\n", "    tiff.FORMAT,\n    toy.FORMAT,\n", 1)
    registry.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "c.toy: is damaged: its header states 12,000,000 bytes" in done.stdout
