"""`diffdenoise report`, and what `denoise` writes with `--report` and `--save-uncertainty`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from diffdenoise.trust.places import disc
from tests.scan.dicom.files import CANARY, slices

from .conftest import Outcome, files_below, save_nifti

Run = Callable[..., Outcome]
STD = 60.0
#: Where a lesion is that only the noisy scan shows: slice and pixel.
LESION = (3, 40, 62)


def clean_values(count: int = 5, side: int = 128) -> NDArray[np.float64]:
    """A round body with soft discs in it, (side, side, count)."""
    y, x = np.mgrid[:side, :side] / (side - 1) - 0.5
    image = 600 + 300 * x + 80 * np.sin(9 * y)
    for row, column, size in ((0.2, 0.1, 0.09), (-0.15, -0.2, 0.06), (0.1, -0.25, 0.05)):
        image += 250 / (1 + np.exp(60 * (np.hypot(y - row, x - column) - size)))
    image *= 1 / (1 + np.exp(60 * (np.hypot(y, x) - 0.45)))
    return np.stack([np.roll(image, 2 * number, 1) for number in range(count)], 2)


def noisy_values(clean: NDArray[np.float64], seed: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(0, STD, clean.shape)
    return np.asarray(clean + noise, np.float32)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A scan with a lesion, and what somebody made of it, without."""
    clean = clean_values()
    rows, columns = np.indices(clean.shape[:2])
    noisy = noisy_values(clean)
    noisy[:, :, LESION[0]] += 3 * STD * disc(rows - LESION[1], columns - LESION[2], 8)
    return (
        save_nifti(tmp_path / "noisy.nii.gz", noisy),
        save_nifti(tmp_path / "theirs.nii.gz", clean.astype(np.float32)),
    )


def test_a_page_and_its_json_are_written(run: Run, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    outcome = run("report", *pair, "-o", tmp_path / "r.html")
    assert (outcome.code, outcome.err) == (0, "")
    tree = json.loads((tmp_path / "r.json").read_text())
    assert {"verdict", "reasons", "figures"} <= set(tree)
    assert "<html" in (tmp_path / "r.html").read_text()
    lines = dict(
        line.split(None, 1) for line in outcome.out.splitlines() if line.startswith(("verdict", "report"))
    )
    assert lines["verdict"] == tree["verdict"]
    assert lines["report"] == str(tmp_path / "r.html")
    assert "not judged" in outcome.out
    assert "--model" in outcome.out
    # Nothing else.
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"noisy.nii.gz", "theirs.nii.gz", "r.html", "r.json"}


def test_a_result_on_a_turned_grid_is_turned_back_and_one_elsewhere_refused(
    run: Run, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    noisy, theirs = pair
    image = nibabel.load(theirs)
    turned = image.as_reoriented(np.array([[0, -1], [1, 1], [2, 1]]))
    nibabel.save(turned, tmp_path / "turned.nii.gz")
    same, other = (run("report", noisy, path, "--json").json for path in (theirs, tmp_path / "turned.nii.gz"))
    assert same["figures"] == other["figures"]
    moved = nibabel.Nifti1Image(image.get_fdata(dtype=np.float32), image.affine + np.eye(4, k=3) * 5)
    nibabel.save(moved, tmp_path / "moved.nii.gz")
    outcome = run("report", noisy, tmp_path / "moved.nii.gz", "-o", tmp_path / "r.html")
    assert outcome.code == 2
    assert "expected the same grid" in outcome.err


def test_a_model_that_did_not_make_the_result_judges_nothing(
    run: Run, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    noisy, _ = pair
    assert run("denoise", noisy, "-o", tmp_path / "ours.nii.gz").code == 0
    ours = run("report", noisy, tmp_path / "ours.nii.gz", "--model", "general", "--json").json
    assert ours["sections"]["insertion"]["missing"] is None
    assert run("denoise", noisy, "-o", tmp_path / "half.nii.gz", "--strength", "0.5").code == 0
    half = run("report", noisy, tmp_path / "half.nii.gz", "--model", "general", "--json").json
    assert "gives another result" in half["sections"]["insertion"]["missing"]


def test_an_erased_lesion_is_named_with_its_slice(run: Run, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    outcome = run("report", *pair, "-o", tmp_path / "r.html", "--json")
    found = outcome.json
    assert found["verdict"] in ("look closer", "do not trust")
    assert any("place" in reason for reason in found["reasons"])
    place = found["places"][0]
    assert place["slice"] == LESION[0]
    assert (place["row"], place["column"]) == pytest.approx(LESION[1:], abs=3)
    assert place["kind"].startswith("something bright was taken off")
    page = (tmp_path / "r.html").read_text()
    assert f"slice {LESION[0]}, row {place['row']}, column {place['column']}: something bright" in page
    assert found["seconds"] >= 0
    assert {key for key in found if key != "seconds"} == set(json.loads((tmp_path / "r.json").read_text()))


def test_figures_alone_leave_no_file(run: Run, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    before = files_below(tmp_path)
    outcome = run("report", *pair, "--json")
    assert outcome.code == 0
    assert outcome.json["figures"]["taken_off"] == pytest.approx(1, abs=0.15)
    assert files_below(tmp_path) == before


def test_the_model_makes_what_needs_it(run: Run, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    noisy = pair[0]
    assert run("denoise", noisy, "-o", tmp_path / "ours.nii.gz", "--threads", "1", "-q").code == 0
    mask = np.zeros((128, 128, 5), np.uint8)
    mask[40:48, 40:48, 2] = 1
    words = ["--model", "general", "--roi", save_nifti(tmp_path / "roi.nii.gz", mask), "--threads", "1"]
    error = tmp_path / "error.nii.gz"
    outcome = run("report", noisy, tmp_path / "ours.nii.gz", "--json", *words, "--save-uncertainty", error)
    assert outcome.code == 0, outcome.err
    sections = outcome.json["sections"]
    assert all(one["missing"] is None for one in sections.values()), sections
    assert 0.1 * STD < outcome.json["figures"]["rmse"] < 0.7 * STD
    rows = dict(sections["uncertainty"]["tables"][-1]["rows"])
    values = nibabel.load(noisy).get_fdata()
    assert rows["voxels, in slices"] == "64, 1"
    before = next(value for name, value in rows.items() if name.startswith("mean before"))
    assert float(before.split(" ± ")[0]) == pytest.approx(values[mask > 0].mean(), rel=1e-3)
    assert float(before.split(" ± ")[1]) == pytest.approx(STD / 8, rel=0.3)
    image = nibabel.load(error)
    assert image.shape == (128, 128, 5)
    np.testing.assert_array_equal(image.affine, nibabel.load(noisy).affine)
    inside = image.get_fdata()[46:82, 46:82]
    assert np.sqrt((inside**2).mean()) == pytest.approx(outcome.json["figures"]["rmse"], rel=0.3)


def test_wrong_use_is_told_in_a_line(run: Run, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    noisy, theirs = pair
    page = tmp_path / "r.html"
    other = save_nifti(tmp_path / "other.nii.gz", np.zeros((90, 96, 5), np.float32) + np.arange(5))
    page.with_name("there.html").write_text("mine")
    page.with_name("half.json").write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a.nii.gz", "b.nii.gz"):
        save_nifti(folder / name, np.zeros((40, 40, 3), np.int16) + np.arange(3, dtype=np.int16))
    before = files_below(tmp_path)
    for words, said in (
        ([noisy, other, "-o", page], "expected the same grid"),
        ([noisy, theirs, "-o", tmp_path / "r.pdf"], ".html"),
        ([noisy, theirs, "-o", folder], "folder"),
        ([noisy, theirs, "-o", tmp_path / "there.html"], "--overwrite"),
        ([noisy, theirs, "-o", tmp_path / "half.html"], "--overwrite"),
        ([noisy, tmp_path / "their.nii.gz", "-o", page], "did you mean"),
        ([noisy, folder, "-o", page], "folder of 2 scans"),
        ([noisy, theirs], "-o FILE.html"),
        ([noisy, "-o", page], "then the denoised one"),
        ([noisy, theirs, "-o", page, "--roi", other], "expected the same grid"),
        ([noisy, theirs, "-o", page, "--model", "generall"], "generall"),
        ([noisy, theirs, "--save-uncertainty", tmp_path / "u.png"], "u.png"),
        ([noisy, theirs, "--save-uncertainty", tmp_path / "u.nii.gz"], "can't be told"),
        ([noisy, theirs, "--save-uncertainty", noisy], "noisy.nii.gz"),
        (["--group", folder], "--group"),
        (["--group", folder, noisy, "-o", page], "--group"),
        (["--group", folder, "--roi", other, "-o", page], "--group"),
        (["--group", folder, "-o", page], "holds no report"),
        (["--group", tmp_path / "absent", "-o", page], "no such"),
    ):
        outcome = run("report", *words)
        assert outcome.code == 2, (words, outcome.out, outcome.err)
        assert outcome.err.count("\n") == 1, (words, outcome.err)
        assert said in outcome.err, (words, outcome.err)
        assert outcome.out == "", words
        assert files_below(tmp_path) == before, words


def test_an_input_is_no_output(run: Run, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    noisy, theirs = pair
    outcome = run("report", noisy, theirs, "--overwrite", "--save-uncertainty", theirs, "--model", "general")
    assert outcome.code == 2
    assert "theirs.nii.gz: is also the input" in outcome.err


def test_files_are_replaced_if_that_is_asked_for(run: Run, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    for name in ("r.html", "r.json"):
        (tmp_path / name).write_text("mine")
    assert run("report", *pair, "-o", tmp_path / "r.html", "--overwrite", "-q").code == 0
    assert (tmp_path / "r.html").read_text() != "mine"
    assert json.loads((tmp_path / "r.json").read_text())["verdict"]


def test_an_unchanged_scan_has_a_report(run: Run, tmp_path: Path, pair: tuple[Path, Path]) -> None:
    outcome = run("report", pair[0], pair[0], "-o", tmp_path / "r.html", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["verdict"] == "fine"
    assert list(outcome.json["sections"]) == ["noise"]


def series(folder: Path, values: NDArray[np.generic], uid: str) -> Path:
    """A DICOM series of a patient; slices first."""
    whole = np.rint(np.moveaxis(values, 2, 0)).clip(0).astype(np.int16)
    slices(folder, values=whole, count=len(whole), series=uid)
    return folder


def test_a_series_has_a_report_that_holds_nothing_of_the_patient(run: Run, tmp_path: Path) -> None:
    clean = clean_values()
    noisy = series(tmp_path / "in", noisy_values(clean) + 300, "1.2.3")
    theirs = series(tmp_path / "out", clean + 300, "1.2.4")
    page = tmp_path / "r.html"
    outcome = run("report", noisy, theirs, "-o", page, "--json", "--axis", "2")
    assert outcome.code == 0, outcome.err
    for text in (page.read_text(), (tmp_path / "r.json").read_text()):
        for secret in (CANARY, "19010203", str(tmp_path), "t1 tse"):
            assert secret not in text
    assert outcome.json["figures"]["taken_off"] == pytest.approx(1, abs=0.2)


def test_denoise_writes_a_report_and_a_map(run: Run, tmp_path: Path) -> None:
    noisy = save_nifti(tmp_path / "noisy.nii.gz", noisy_values(clean_values()))
    words = ["--report", tmp_path / "r.html", "--save-uncertainty", tmp_path / "u.nii.gz", "--threads", "1"]
    outcome = run("denoise", noisy, "-o", tmp_path / "out.nii.gz", *words, "--json")
    assert outcome.code == 0, outcome.err
    tree = json.loads((tmp_path / "r.json").read_text())
    (scan,) = outcome.json["scans"]
    assert scan["verdict"] == tree["verdict"]
    assert (outcome.json["report"], outcome.json["uncertainty"]) == (
        str(tmp_path / "r.html"),
        str(tmp_path / "u.nii.gz"),
    )
    assert all(one["missing"] is None for one in tree["sections"].values())
    image = nibabel.load(tmp_path / "u.nii.gz")
    np.testing.assert_array_equal(image.affine, nibabel.load(noisy).affine)
    assert image.header.get_zooms() == nibabel.load(noisy).header.get_zooms()
    off = nibabel.load(tmp_path / "out.nii.gz").get_fdata() - clean_values()
    part = (slice(30, 98), slice(30, 98))
    stated, true = (np.sqrt((one[part] ** 2).mean()) for one in (image.get_fdata(), off))
    # The smaller the error is beside the noise, the less sure it is told.
    assert 0.6 < stated / true < 1.7
    assert str(tmp_path) not in (tmp_path / "r.html").read_text()


def test_of_a_folder_each_scan_has_its_own(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for seed, name in enumerate(("a", "b")):
        save_nifti(source / f"{name}.nii.gz", noisy_values(clean_values(2, 64), seed))
    base = ["denoise", source, "-o", tmp_path / "out", "--threads", "1", "--json"]
    words = ["--report", tmp_path / "reports", "--save-uncertainty", tmp_path / "errors"]
    outcome = run(*base, "--report", tmp_path / "r.html")
    assert outcome.code == 2
    assert "name a folder" in outcome.json["error"]
    assert not (tmp_path / "out").exists()
    outcome = run(*base, *words)
    assert outcome.code == 0, outcome.err
    assert set(files_below(tmp_path / "reports")) == {"a.html", "a.json", "b.html", "b.json"}
    assert set(files_below(tmp_path / "errors")) == {"a.nii.gz", "b.nii.gz"}
    assert {one["verdict"] for one in outcome.json["scans"]} <= {"fine", "look closer", "do not trust"}
    assert run(*base, *words, "--resume").json["done_before"] == 2
    # What lacks one of its files is not done.
    (tmp_path / "reports" / "b.html").unlink()
    outcome = run(*base, *words, "--resume")
    assert outcome.code == 0, outcome.err
    assert outcome.json["done_before"] == 1
    assert (tmp_path / "reports" / "b.html").is_file()
    # One page on all of them.
    outcome = run("report", "--group", tmp_path / "reports", "-o", tmp_path / "all.html")
    assert outcome.code == 0, outcome.err
    assert outcome.out.split() == ["report", str(tmp_path / "all.html")]
    page = (tmp_path / "all.html").read_text()
    assert 'href="reports/a.html"' in page
    assert 'href="reports/b.html"' in page


def test_a_scan_that_was_left_as_it_was_has_a_report(run: Run, tmp_path: Path) -> None:
    calm = np.rint(clean_values() + np.random.default_rng(0).normal(0, 1.0, (128, 128, 5))).astype(np.float32)
    source = save_nifti(tmp_path / "calm.nii.gz", calm)
    words = ["--report", tmp_path / "r.html", "--save-uncertainty", tmp_path / "u.nii.gz", "--threads", "1"]
    outcome = run("denoise", source, "-o", tmp_path / "out.nii.gz", *words, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["already_clean"]
    tree = json.loads((tmp_path / "r.json").read_text())
    assert (tree["verdict"], list(tree["sections"])) == ("fine", ["noise"])
    # The error of what was not touched is its noise.
    assert np.median(nibabel.load(tmp_path / "u.nii.gz").get_fdata()) == pytest.approx(1.0, rel=0.5)


def test_a_report_takes_no_other_files_place(run: Run, tmp_path: Path) -> None:
    noisy = save_nifti(tmp_path / "noisy.nii.gz", noisy_values(clean_values(3)))
    before = files_below(tmp_path)
    for words, said in (
        (["--report", tmp_path / "r.txt"], ".html"),
        (["--save-uncertainty", tmp_path / "out.nii.gz"], "is also the output"),
        (["--save-uncertainty", noisy, "--overwrite"], "is also the input"),
        (
            ["--save-uncertainty", tmp_path / "u.nii.gz", "--save-residual", tmp_path / "u.nii.gz"],
            "another purpose",
        ),
        (["--save-uncertainty", tmp_path / "u.dcm"], "u.dcm"),
    ):
        outcome = run("denoise", noisy, "-o", tmp_path / "out.nii.gz", *words, "--threads", "1")
        assert outcome.code == 2, words
        assert outcome.err.count("\n") == 1
        assert said in outcome.err, (words, outcome.err)
        assert files_below(tmp_path) == before
