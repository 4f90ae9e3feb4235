"""What a training gains: by case, of cells that are there, and said the same wherever it is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.cases import CASES
from bench.gain import gains, rank_correlation, table

ROOT = Path(__file__).parents[2]


def store(cells: Path, case: str, method: str, psnr: float, level: float = 0.1, commit: str = "a") -> None:
    cell = {
        "rows": {"result": {"psnr": psnr}},
        "details": {"noise": {"stds": [level / 2, level]}},
        "commit": commit,
    }
    (cells / f"{case}-{method}-seed0.json").write_text(json.dumps(cell))


def test_gains_are_of_cases_with_all_cells(tmp_path: Path) -> None:
    for case, psnr, level in (("t1w-white", 34.5, 0.08), ("ct-ramp", 35.0, 0.04), ("m4raw-real", 26.9, 0.05)):
        store(tmp_path, case, "noisy", 20.0)
        store(tmp_path, case, "instant", psnr, level)
    store(tmp_path, "t1w-white", "ours", 35.1, commit="a+")
    store(tmp_path, "ct-ramp", "ours", 34.9, commit="b")
    found = gains(tmp_path)
    assert [one.title for one in found] == [CASES[name].title for name in ("t1w-white", "ct-ramp")]
    assert [one.gain for one in found] == pytest.approx([0.6, -0.1])
    assert [one.level for one in found] == [0.08, 0.04]
    text = table(found)
    assert "| 34.50 | 35.10 | +0.60 dB |  |" in text
    assert "| 35.00 | 34.90 | -0.10 dB | trained by older code |" in text
    assert "2 cases: -0.10 to +0.60 dB" in text
    assert "+1.00 by the noise's level, -1.00 by what was gained at once" in text


def test_ranks_are_correlated_as_by_spearman() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 40]) == 1
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == -1
    assert rank_correlation([1, 2, 3, 4], [2, 1, 4, 3]) == pytest.approx(0.6)


def test_the_range_is_the_same_wherever_it_is_said() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"^7 cases: (\S+ to \S+ dB),", page, re.MULTILINE)
    for other in ("docs/quickstart.md", "src/diffdenoise/cli/options.py"):
        text = " ".join((ROOT / other).read_text(encoding="utf-8").split())
        assert f"gained {said}" in text
