"""The benchmark on tiny data: every method runs, cells are kept, and the page holds what they say."""

from __future__ import annotations

import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from bench import end_to_end, inferences, noise_estimates, pictures, quality, tables
from bench.cases import CASES
from bench.data import Data
from bench.noise import Noise
from bench.peers.trained import _join, _mirror, _split
from bench.sharpness import gradient_correlation
from bench.version import fingerprint

_ROOT = Path(__file__).parents[2]
#: Networks small enough for a test.
_SMALL = ["stage1.width=4", "stage2.width=4", "stage3.width=4", "data.patch=16", "data.batch=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one small scan where the MS T1W should be."""
    root = tmp_path_factory.mktemp("data")
    path = root / "mri-brain-ms-ljubljana/longitudinal/patient01/study1_T1W.nii.gz"
    path.parent.mkdir(parents=True)
    x, y = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 40), indexing="ij")
    image = 500 * np.exp(-4 * (x**2 + y**2)) + 100 * (np.abs(x) < 0.3)
    scan = nibabel.Nifti1Image(np.stack([image] * 4, -1).astype(np.int16), np.eye(4))
    nibabel.save(scan, path)
    nibabel.save(scan, path.with_name("study1_FLAIR.nii.gz"))
    return root


def cell_of(folder: Path, cells: Path, method: str, case: str = "t1w-white") -> dict[str, Any]:
    quality.main(
        [
            "--data",
            str(folder),
            "--cases",
            case,
            "--methods",
            method,
            "--minutes",
            "0.01",
            "--cells",
            str(cells),
            "--set",
            *_SMALL,
        ]
    )
    found: dict[str, Any] = json.loads((cells / f"{case}-{method}-seed0.json").read_text())
    return found


@pytest.mark.parametrize(
    "method", ["noisy", "nlm", "ceiling", "noise2void", "ap-bsn", "ours", "ours-distilled"]
)
def test_a_method_gives_scores_and_a_picture(folder: Path, tmp_path: Path, method: str) -> None:
    cell = cell_of(folder, tmp_path, method)
    scores = cell["rows"]["result"]
    assert 5 < scores["psnr"] < 60
    assert -1 <= scores["ssim"] <= 1
    assert (tmp_path / f"t1w-white-{method}-seed0.png").is_file()
    assert cell["code"] == fingerprint(method)
    assert cell["told"] == ("clean images and the law of the noise" if method == "ceiling" else "nothing")
    if method in ("ceiling", "noise2void", "ap-bsn", "ours"):
        assert {"result", "one-pass"} <= cell["rows"].keys()
    if method == "ours":
        assert {"condition", "srds", "one-pass", "distilled", "recorrupted"} <= cell["rows"].keys()
        assert cell["details"]["stages"]["refine"]["steps"]["steps"] >= 1
    if method == "ours-distilled":
        assert {"single", "two-random", "four-pairs", "one-step", "corrected"} <= cell["rows"].keys()
        assert "refine" not in cell["details"]["stages"]


@pytest.mark.parametrize("method", ["r2r-spectrum", "ours"])
def test_correlated_noise(folder: Path, tmp_path: Path, method: str) -> None:
    assert 5 < cell_of(folder, tmp_path, method, "flair-wide")["rows"]["result"]["psnr"] < 60


@pytest.mark.parametrize("method", ["r2r", "sure", "unsure", "neighbor2neighbor"])
def test_losses_of_deepinv(folder: Path, tmp_path: Path, method: str) -> None:
    if find_spec("deepinv") is None:
        pytest.skip("deepinv is not installed (docs/benchmarks.md says how)")
    assert 5 < cell_of(folder, tmp_path, method)["rows"]["result"]["psnr"] < 60


def test_a_cell_is_not_run_twice_and_another_codes_cell_only_if_asked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell_of(folder, tmp_path, "noisy")
    cell = tmp_path / "t1w-white-noisy-seed0.json"
    record = json.loads(cell.read_text())
    cell.write_text(json.dumps({**record, "code": "older", "seed": 77}))
    assert cell_of(folder, tmp_path, "noisy")["seed"] == 77
    assert "is there already" in capsys.readouterr().out
    arguments = [
        "--data",
        str(folder),
        "--cases",
        "t1w-white",
        "--methods",
        "noisy",
        "--cells",
        str(tmp_path),
    ]
    quality.main([*arguments, "--stale"])
    assert json.loads(cell.read_text())["seed"] == 0


def test_missing_cells_are_run_in_order_and_only_those(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # BM3D around a map of levels makes no sense here, and the third case's files are not there.
    found = [("t1w-white", "nlm"), ("t1w-white", "bm3d-place"), ("knee-white", "nlm"), ("t1w-white", "noisy")]
    monkeypatch.setattr(quality, "wanted", lambda: [quality.Wanted(*one, 0) for one in found])
    arguments = ["--data", str(folder), "--cells", str(tmp_path), "--missing"]
    quality.main(arguments)
    assert {path.stem for path in tmp_path.glob("*.json")} == {"t1w-white-nlm-seed0", "t1w-white-noisy-seed0"}
    said = capsys.readouterr().out
    assert said.index("nlm") < said.index("skipped knee-white") < said.index("t1w-white-noisy")
    quality.main(arguments)
    assert "psnr" not in capsys.readouterr().out


def test_a_package_that_is_not_there_is_named_and_the_rest_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "bm3d", None)
    arguments = ["--data", str(folder), "--cells", str(tmp_path), "--cases", "t1w-white"]
    quality.main([*arguments, "--methods", "bm3d", "noisy"])
    assert "skipped t1w-white, bm3d: bm3d is not installed" in capsys.readouterr().out
    assert [path.stem for path in tmp_path.glob("*.json")] == ["t1w-white-noisy-seed0"]


def test_cases_without_their_files_are_skipped_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quality.main(["--data", str(tmp_path), "--cells", str(tmp_path / "cells"), "--methods", "noisy"])
    assert capsys.readouterr().out.count("skipped") == len(quality.MAIN)


def test_told_levels() -> None:
    flat = [np.full((3, 64, 64), 0.5, np.float32)]
    rng = np.random.default_rng(0)
    noise = Noise("gaussian", 0.07)
    data = Data([noise.add(flat[0], rng)], flat, flat, flat, noise)
    assert data.told_std == 0.07
    assert data.estimated_std == pytest.approx(0.07, rel=0.05)
    assert len(data.scored) == 3


def test_pixel_shuffle_and_back() -> None:
    image = torch.arange(2 * 6 * 4, dtype=torch.float32).reshape(2, 1, 6, 4)
    assert torch.equal(_join(_split(image, 2), 2), image)
    assert _split(image, 2)[1].tolist() == [[[1.0, 3.0], [9.0, 11.0], [17.0, 19.0]]]
    assert _mirror(torch.tensor([-2, 0, 3, 5]), 4).tolist() == [2, 0, 3, 1]


def test_sharpness_falls_with_smoothing() -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    sharp = np.kron(rng.random((2, 12, 12)), np.ones((1, 5, 5))).astype(np.float32)
    values = [gradient_correlation(gaussian_filter(sharp, (0, s, s)), sharp) for s in (0.0, 1.0, 2.0)]
    assert values[0] == pytest.approx(1)
    assert values[0] > values[1] > values[2]


def test_the_page_holds_what_the_cells_say(tmp_path: Path) -> None:
    page, readme = tmp_path / "benchmarks.md", tmp_path / "README.md"
    shutil.copy(_ROOT / "docs" / "benchmarks.md", page)
    shutil.copy(_ROOT / "README.md", readme)
    cells, noise = _ROOT / "bench/cells/quality", _ROOT / "bench/cells/noise-estimates.json"
    inferences = _ROOT / "bench/cells/inferences.json"
    tables.write(cells, noise, inferences, page, readme)
    assert page.read_text() == (_ROOT / "docs" / "benchmarks.md").read_text()
    assert readme.read_text() == (_ROOT / "README.md").read_text()
    assert {case for case, _ in tables.read_cells(cells)} <= CASES.keys()


def test_pictures_are_drawn_of_a_run(folder: Path, tmp_path: Path) -> None:
    for method in ("noisy", "nlm", "ours"):
        cell_of(folder, tmp_path, method)
    names = {"noisy": "noisy", "nlm": "NLM", "ours": "ours"}
    assert pictures.draw("t1w-white", names, tmp_path, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 2000
    assert not pictures.draw("knee-white", names, tmp_path, tmp_path / "other.png")


def test_a_peer_is_drawn_as_it_does_best(tmp_path: Path) -> None:
    for method in ("bm3d", "bm3d-spectrum", "r2r"):
        (tmp_path / f"ct-ramp-{method}-seed0.png").touch()
    drawn = pictures.shown("ct-ramp", tmp_path)
    assert drawn == ["noisy", "bm3d-spectrum", "r2r", "ours", "ceiling"]


@pytest.mark.parametrize(
    ("label", "within", "lags_within"),
    [("white 10%", 0.05, 0.05), ("0.8 px, 10%", 0.05, 0.05), ("1.2 px, 10%", 0.1, 0.07)],
)
def test_noise_estimates_of_a_reference(label: str, within: float, lags_within: float) -> None:
    x, y = np.meshgrid(np.linspace(-1, 1, 240), np.linspace(-1, 1, 240), indexing="ij")
    image = (0.5 + 0.4 * np.cos(3 * x) * np.sin(2 * y)).astype(np.float32)
    known = noise_estimates.ADDED[label]
    noisy = 1000 * known.add(np.stack([image] * 6), np.random.default_rng(0))
    lags = noise_estimates.lags_of(known.colour)
    row = noise_estimates.measure(noise_estimates.Truth(noisy, 100.0, lags))
    assert row["read"] == pytest.approx(100, rel=within)
    assert row["lags_off"] < lags_within
    table = noise_estimates.table({f"MS T1W, {label}": row, "another scan": row})
    assert f"| another scan | 100 | {row['read']:.3g}" in table
    assert f"| {label} | {row['read'] / 10:.1f}%" in table


def test_the_scatter_of_inferences_is_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scores = {"single sample": rng.normal(16, 0.2, 50).tolist(), "student": [34.0]}
    inferences.draw_picture(scores, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 2000


def test_two_versions_are_scored_on_the_same_scan(folder: Path, tmp_path: Path) -> None:
    data = CASES["t1w-white"].load(folder, 0)
    source = Path(quality.__file__).parent.parent / "src"
    found = end_to_end.compare(data, {"before": source, "after": source}, 0.02, tmp_path)
    assert set(found) == {"before", "after"}
    assert all(one["psnr"] is not None and 5 < one["psnr"] < 60 for one in found.values())
