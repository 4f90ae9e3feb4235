"""The tables: the best peer whatever it is told, blanks where nothing was run, contrast that is kept."""

from __future__ import annotations

from typing import Any

import pytest

from bench import observer, quality, tables
from bench.cases import CASES
from bench.quality import DEFAULT_METHODS, wanted
from bench.version import fingerprint


def cell(case: str, method: str, rows: dict[str, float]) -> dict[str, Any]:
    scores = {
        row: {"psnr": psnr, "psnr_corrected": psnr, "ssim": 0.9, "sharpness": 0.9, "bias_percent": 0.0}
        for row, psnr in rows.items()
    }
    told = quality.told(method, case)
    return {"case": case, "method": method, "seed": 0, "rows": scores, "told": told, "details": {}} | {
        "minutes": 4.0,
        "device": "CPU",
        "commit": "abc",
    }


def cells_of(*found: dict[str, Any]) -> tables.Cells:
    return {(one["case"], one["method"]): [one] for one in found}


def test_the_best_peer_is_the_best_of_all_rows_whatever_it_is_told() -> None:
    cells = cells_of(
        cell("colin-rician", "noisy", {"result": 18.0}),
        cell("colin-rician", "bm3d", {"result": 21.0, "inverted": 31.0}),
        cell("colin-rician", "bm4d", {"result": 21.5, "inverted": 33.9}),
        cell("colin-rician", "bm4d-stabilised", {"result": 32.0}),
        cell("colin-rician", "r2r", {"one-pass": 20.0}),
        cell("colin-rician", "instant", {"result": 34.5, "one-pass": 31.8}),
        cell("colin-rician", "ours", {"result": 32.6, "one-pass": 32.4}),
        cell("colin-rician", "ceiling", {"result": 35.0, "one-pass": 34.8}),
    )
    (line,) = (row for row in tables.summary(cells).splitlines() if "Rician 10" in row)
    parts = [part.strip() for part in line.split("|")][1:-1]
    assert parts[2:4] == ["BM4D, then our inversion: 33.90 / 0.900", "true level"]
    assert parts[4:8] == ["31.80 / 0.900", "32.40 / 0.900", "**32.60 / 0.900**", "-1.30 dB"]
    # Clean images of other people were not run: blank, not an old figure.
    assert parts[8:] == ["", "", "34.80 / 0.900", "35.00 / 0.900"]


def test_a_case_that_ours_was_not_run_on_is_not_on_page_one() -> None:
    cells = cells_of(cell("ct-ramp", "noisy", {"result": 26.0}), cell("ct-ramp", "bm3d", {"result": 30.0}))
    assert CASES["ct-ramp"].title in tables.summary(cells)
    assert CASES["ct-ramp"].title not in tables.front(cells)


def test_each_row_says_what_it_was_told_and_with_which_commit() -> None:
    cells = cells_of(
        cell("ct-poisson", "bm3d-stabilised", {"result": 36.0}), cell("m4raw-real", "bm3d", {"result": 27.0})
    )
    page = tables.per_case(cells, [])
    assert "| BM3D, stabilised | true law of the noise, stabilised, exact unbiased inverse | 0 |" in page
    # Nobody knows a real scan's true level.
    assert "| BM3D | wavelet level | 0 | 27.00 |" in page
    assert "| abc |" in page


def test_contrast_kept_is_of_the_same_repeats() -> None:
    noisy = {
        "present": [True, True, True, False, False, False],
        "inserts": {
            "14 HU, 6 px": {"contrasts": [1.5, 0.5, 1.0, 0.1, -0.1, 0.0]},
            "3 HU, 16 px": {"contrasts": [2.0, 0.0, 1.0, 0.0, 0.0, 0.0]},
        },
    }
    half = {
        name: {"contrasts": [value / 2 for value in one["contrasts"]]}
        for name, one in noisy["inserts"].items()  # type: ignore[attr-defined]
    }
    kept, error = observer.contrast_kept({"inserts": half}, noisy)
    assert kept == pytest.approx(0.5)
    # The noise is shared, so that a mere factor is certain.
    assert error == pytest.approx(0, abs=1e-9)


def test_what_is_missing_begins_with_quick_peers_of_the_most_telling_cases() -> None:
    cells = wanted()
    assert len({(one.case, one.method, one.seed) for one in cells}) == len(cells)
    assert {one.case for one in cells} == CASES.keys()
    assert set(DEFAULT_METHODS) <= {one.method for one in cells}
    first = [one.method for one in cells].index
    assert first("bm3d") < first("ours") < first("bm4d") < first("ceiling") < first("ours-literal")


def test_a_cells_fingerprint_is_of_what_its_method_depends_on() -> None:
    assert len({fingerprint(method) for method in ("bm3d", "bm3d-our-spectrum", "r2r", "ours")}) == 4
    assert fingerprint("bm3d") == fingerprint("bm4d-stabilised")
    assert fingerprint("r2r") == fingerprint("ceiling")
