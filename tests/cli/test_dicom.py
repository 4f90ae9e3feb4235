"""DICOM from the command line: a study in, a derived one out, and nothing of the patient on the way."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from diffdenoise.cli.progress import Lines
from diffdenoise.errors import DiskFullError, OutputError
from diffdenoise.scan.dicom import derive as derive_module
from diffdenoise.scan.read import read_scan
from diffdenoise.work.jobs import Job
from diffdenoise.work.journal import JOURNAL
from tests.scan.dicom.files import CANARY, DX, bare, dataset, enhanced, read, save, slices

from .conftest import TINY, Outcome, results_in

Run = Callable[..., Outcome]
CASES = Path(__file__).parents[1] / "cases"


def noisy_values(count: int = 4, side: int = 40, seed: int = 0) -> np.ndarray:
    """Stored values (slices, side, side) of smooth shapes with noise."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    clean = 300 * (x**2 + y**2 < 0.7) + 100 * np.cos(3 * x) * (y > 0) + 200
    return (clean + 40 * rng.standard_normal((count, side, side))).clip(0).astype(np.int16)


def study(folder: Path) -> Path:
    """Two series, a localiser, a report."""
    slices(folder / "t1", values=noisy_values(4), count=4, series="1.2.3", SeriesNumber=3)
    slices(folder / "t2", values=noisy_values(3, seed=1), count=3, series="1.2.4", SeriesNumber=4)
    save(dataset(noisy_values(1)[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), folder / "scout")
    (folder / "notes.txt").write_text("none")
    return folder


def test_a_study_becomes_a_study(run: Run, tmp_path: Path) -> None:
    source = study(tmp_path / "in")
    outcome = run("denoise", source, "-o", tmp_path / "out", *TINY, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["passed_over"] == {"localiser": 1}
    assert len(outcome.json["scans"]) == 2
    before = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    after = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()}
    after.remove(Path(JOURNAL))
    assert after == before - {Path("scout"), Path("notes.txt")}
    for name in after:
        old, new = read(source / name), read(tmp_path / "out" / name)
        assert new.PatientName == old.PatientName
        assert new.StudyInstanceUID == old.StudyInstanceUID
        assert not np.array_equal(new.pixel_array, old.pixel_array)
    assert len({read(tmp_path / "out" / name).SeriesInstanceUID for name in after}) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_one_series_or_file_can_be_named(run: Run, tmp_path: Path) -> None:
    source = study(tmp_path / "in")
    outcome = run("denoise", source, "-o", tmp_path / "out", "--series", "1.2.4", *TINY, "-q")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert [path.name for path in results_in(tmp_path / "out")] == ["t2"]
    single = next((source / "t1").iterdir())
    outcome = run("denoise", single, "-o", tmp_path / "one.dcm", *TINY, "-q", "--uid-root", "1.2.826.0.1")
    assert outcome.code == 0, outcome.err
    assert read(tmp_path / "one.dcm").SOPInstanceUID.startswith("1.2.826.0.1.")
    (tmp_path / "empty").mkdir()
    outcome = run("denoise", single, "-o", tmp_path / "empty", *TINY, "-q", "--compress", "jpeg-ls")
    assert outcome.code == 0, outcome.err
    assert read(tmp_path / "empty" / single.name).file_meta.TransferSyntaxUID.is_compressed


def test_a_zip_becomes_a_folder(run: Run, tmp_path: Path) -> None:
    slices(tmp_path / "in", values=noisy_values(3), count=3)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in (tmp_path / "in").iterdir():
            archive.write(path, f"sub/{path.name}")
    outcome = run("denoise", tmp_path / "a.zip", "-o", tmp_path / "out", *TINY, "-q")
    assert outcome.code == 0, outcome.err
    assert len(list((tmp_path / "out" / "sub").iterdir())) == 3


def test_x_rays_are_learned_from_together(run: Run, tmp_path: Path) -> None:
    for k in range(3):
        made = dataset(noisy_values(1, seed=k)[0], sop_class=DX, modality="DX", series=f"1.2.{k + 5}")
        save(made, tmp_path / "in" / f"{k}")
    outcome = run("denoise", tmp_path / "in", "-o", tmp_path / "out", *TINY)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("stage 1 of 3: blind-spot network\n") == 1
    assert len(results_in(tmp_path / "out")) == 3


@pytest.mark.parametrize("is_enhanced", [True, False])
def test_a_series_that_is_already_clean_is_not_called_denoised(
    run: Run, tmp_path: Path, calm: np.ndarray, is_enhanced: bool
) -> None:
    values = np.ascontiguousarray(calm.transpose(2, 1, 0))
    if is_enhanced:
        enhanced(tmp_path / "in", values=values, PulseSequenceName="x")
    else:
        slices(tmp_path / "in", values=values, count=3)
    outcome = run("denoise", tmp_path / "in", "-o", tmp_path / "out", *TINY)
    assert outcome.code == 0, outcome.err
    assert "already clean" in outcome.out
    for path in (tmp_path / "in").iterdir():
        before, after = read(path), read(tmp_path / "out" / path.name)
        assert np.array_equal(after.pixel_array, before.pixel_array)
        assert after.SeriesDescription == "CANARY t1 tse unchanged"
        assert after.ImageType == before.ImageType
        assert "DerivationCodeSequence" not in after
        assert after.DerivationDescription.startswith("Left unchanged by DiffDenoise")
        assert after.get("PulseSequenceName") == before.get("PulseSequenceName")
        assert after.SeriesInstanceUID != before.SeriesInstanceUID
        assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_a_folder_with_one_series_becomes_the_file_that_was_named(
    run: Run, tmp_path: Path, suffix: str
) -> None:
    slices(tmp_path / "in", values=noisy_values(4), count=4, RescaleSlope=1, RescaleIntercept=-100)
    target = tmp_path / f"o{suffix}"
    outcome = run("denoise", tmp_path / "in", "-o", target, *TINY)
    assert outcome.code == 0, outcome.err
    assert target.is_file()
    source, made = read_scan(tmp_path / "in"), read_scan(target)
    assert made.data.shape == source.data.shape
    assert made.affine == pytest.approx(source.affine, abs=1e-4)
    assert made.stored_dtype == np.int16
    difference = made.data - source.data
    assert 0 < np.abs(difference).mean() < 100
    assert abs(difference.mean()) < 20
    again = run("denoise", tmp_path / "in", "-o", target, *TINY)
    assert again.code == 2
    assert "exists already" in again.err


def test_values_with_a_slope_stay_real_numbers(run: Run, tmp_path: Path) -> None:
    slices(tmp_path / "in", values=noisy_values(4), count=4, RescaleSlope=0.25, RescaleIntercept=0)
    outcome = run("denoise", tmp_path / "in", "-o", tmp_path / "o.nii.gz", *TINY)
    assert outcome.code == 0, outcome.err
    made = read_scan(tmp_path / "o.nii.gz")
    assert made.stored_dtype == np.float32
    assert 0 < np.abs(made.data - read_scan(tmp_path / "in").data).mean() < 25


def test_no_folder_is_named_like_a_file(run: Run, tmp_path: Path) -> None:
    source = study(tmp_path / "in")
    stacks = CASES / "dicom-two-geometries" / "two-stacks-parallel.dcm"
    for given, output, words in (
        (source, "o.nii.gz", "holds 2 scans"),
        (source, "o.dcm", "holds 2 scans"),
        (source / "t1", "o.dcm", "the series has 4 files"),
        (source / "t1", "o.png", "doesn't hold the geometry"),
        (stacks, "o.dcm", "holds 2 scans"),
        (stacks, "o.nii", "holds 2 scans"),
        (CASES / "bids-part-phase", "o.nii.gz", "expected a folder"),
    ):
        outcome = run("denoise", given, "-o", tmp_path / output, *TINY)
        assert outcome.code == 2, output
        assert words in outcome.err, outcome.err
        assert outcome.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    next(path for path in (source / "t1").iterdir() if read(path).ImagePositionPatient[2] == 6.8).unlink()
    outcome = run("denoise", source / "t1", "-o", tmp_path / "o.nii.gz", *TINY)
    assert outcome.code == 2
    # Before anything is learned: one line, and no stage.
    assert "some may be missing" in outcome.err
    assert outcome.err.count("\n") == 1


def test_enhanced_files_of_one_series_are_learned_from_together(run: Run, tmp_path: Path) -> None:
    source = CASES / "dicom-xa-file-per-volume" / "series"
    outcome = run("denoise", source, "-o", tmp_path / "out", *TINY)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("stage 1 of 3: blind-spot network\n") == 1
    names = sorted(path.name for path in source.iterdir())
    assert [path.name for path in results_in(tmp_path / "out")] == names
    derived = [read(tmp_path / "out" / name) for name in names]
    assert all(one.pixel_array.shape == (6, 32, 32) for one in derived)
    assert len({one.SeriesInstanceUID for one in derived}) == 1
    assert len({one.SOPInstanceUID for one in derived}) == 8


def test_stacks_of_one_file_become_a_file_each(run: Run, tmp_path: Path) -> None:
    source = CASES / "dicom-two-geometries" / "two-stacks-parallel.dcm"
    outcome = run("denoise", source, "-o", tmp_path / "out", *TINY)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("stage 1 of 3: blind-spot network\n") == 1
    written = {path.name: read(path) for path in results_in(tmp_path / "out")}
    assert {name: int(one.NumberOfFrames) for name, one in written.items()} == {
        "two-stacks-parallel-volume-1.dcm": 6,
        "two-stacks-parallel-volume-2.dcm": 5,
    }
    assert run("info", tmp_path / "out").out.count("2 x 2 x 3") == 2


def test_images_of_one_series_stay_one_series(run: Run, tmp_path: Path) -> None:
    for k in range(3):
        made = dataset(noisy_values(1, seed=k)[0], sop_class=DX, modality="DX", InstanceNumber=k)
        save(made, tmp_path / "in" / f"{k}")
    outcome = run("denoise", tmp_path / "in", "-o", tmp_path / "out", *TINY, "-q")
    assert outcome.code == 0, outcome.err
    derived = [read(path) for path in results_in(tmp_path / "out")]
    assert len({one.SeriesInstanceUID for one in derived}) == 1
    assert len({one.SOPInstanceUID for one in derived}) == 3


def test_a_run_stopped_in_the_middle_of_a_series_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices(tmp_path / "in", values=noisy_values(4), count=4)
    whole = derive_module.derive
    count = iter(range(100))

    def stop(*words: object) -> None:
        if next(count) == 2:
            raise KeyboardInterrupt
        whole(*words)

    with monkeypatch.context() as patch:
        patch.setattr("diffdenoise.scan.dicom.write.derive", stop)
        outcome = run("denoise", tmp_path / "in", "-o", tmp_path / "out", *TINY)
    assert outcome.code == 130
    assert len(results_in(tmp_path / "out")) == 2
    outcome = run("denoise", tmp_path / "in", "-o", tmp_path / "out", *TINY, "--resume")
    assert outcome.code == 0, outcome.err
    assert len(results_in(tmp_path / "out")) == 4


def test_two_results_for_one_file_are_refused(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    image = nibabel.Nifti1Image(noisy_values(3).transpose(1, 2, 0), np.eye(4))
    nibabel.save(image, folder / "a.nii.gz")
    nibabel.save(nibabel.Nifti1Pair(noisy_values(3).transpose(1, 2, 0), np.eye(4)), folder / "a.img")
    outcome = run("denoise", folder, "-o", tmp_path / "out", *TINY)
    assert outcome.code == 2
    assert "would hold the results of both" in outcome.err


def test_a_model_is_kept_for_one_series_only(run: Run, tmp_path: Path) -> None:
    source = study(tmp_path / "in")
    outcome = run("denoise", source, "-o", tmp_path / "out", *TINY, "--save-model", tmp_path / "m")
    assert outcome.code == 2
    assert "holds 2 series, each with a model of its own; name one with --series" in outcome.err
    outcome = run("train", source / "t1", "-o", tmp_path / "m", *TINY, "-q")
    assert outcome.code == 0, outcome.err
    outcome = run("denoise", source, "-o", tmp_path / "out", "--model", tmp_path / "m", "-q")
    assert outcome.code == 0, outcome.err
    assert len(list((tmp_path / "out" / "t2").iterdir())) == 3


def test_a_stopped_study_goes_on_where_it_was(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = study(tmp_path / "in")
    second = []

    def stop(self: Lines, stage: str) -> None:
        second.append(stage)
        if sum("stage 1" in each for each in second) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Lines, "start", stop)
        outcome = run("denoise", source, "-o", tmp_path / "out", *TINY)
    assert outcome.code == 130
    assert "1 of 2 scans were written; go on with: " in outcome.err
    done = {path: path.read_bytes() for path in (tmp_path / "out" / "t1").iterdir()}
    assert len(done) == 4
    outcome = run("denoise", source, "-o", tmp_path / "out", *TINY, "--resume")
    assert outcome.code == 0, outcome.err
    assert all(path.read_bytes() == content for path, content in done.items())
    assert len(list((tmp_path / "out" / "t2").iterdir())) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("with_model", [True, False])
def test_a_damaged_series_stops_no_other(run: Run, tmp_path: Path, with_model: bool, as_json: bool) -> None:
    source = study(tmp_path / "in")
    whole = sorted(path for path in (source / "t1").iterdir())[2]
    whole.write_bytes(whole.read_bytes()[:-100])
    how = TINY
    if with_model:
        kept = run("train", source / "t2", "-o", tmp_path / "model", *TINY)
        assert kept.code == 0, kept.err
        how = ["--model", tmp_path / "model"]
    outcome = run("denoise", source, "-o", tmp_path / "out", *how, *(["--json"] if as_json else []))
    assert outcome.code == 2
    assert [path.name for path in results_in(tmp_path / "out")] == ["t2"]
    assert len(list((tmp_path / "out" / "t2").iterdir())) == 3
    reason = f"t1/{whole.name}: its pixel data are damaged or cut short"
    if as_json:
        (failed,) = outcome.json["failed"]
        assert failed["scan"] == "series 3 (MR, 4 slices of 40x40)"
        assert failed["reason"].startswith(reason)
        assert len(outcome.json["scans"]) == 1
    else:
        assert outcome.err.splitlines()[-1].startswith(
            f"diffdenoise: series 3 (MR, 4 slices of 40x40): {reason}"
        )


def test_a_damaged_x_ray_and_an_unfit_series_stop_no_other(run: Run, tmp_path: Path) -> None:
    for number, modality in enumerate(["CR"] * 3 + ["DX"] * 3):
        made = dataset(noisy_values(1, seed=number)[0], sop_class=DX, SeriesInstanceUID=f"1.2.{number}")
        made.Modality = modality
        save(made, tmp_path / "in" / f"{modality}{number}")
    slices(tmp_path / "in" / "mr", values=noisy_values(3), count=3, series="1.3", Modality="OT")
    lacking = dataset(noisy_values(1)[0], sop_class=DX, SeriesInstanceUID="1.4", Modality="DX")
    save(lacking, tmp_path / "in" / "CR9")
    for path in [tmp_path / "in" / "CR9", *(tmp_path / "in" / "mr").iterdir()]:
        made = pydicom.dcmread(bare(path), force=True)
        del made.SOPClassUID
        made.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=False)
    for name in ("CR1", "DX5"):
        path = tmp_path / "in" / name
        path.write_bytes(path.read_bytes()[:-100])
    outcome = run("denoise", tmp_path / "in", "-o", tmp_path / "out", *TINY, "--json")
    assert outcome.code == 2
    assert [path.name for path in results_in(tmp_path / "out")] == ["CR0", "CR2", "DX3", "DX4"]
    assert len(outcome.json["scans"]) == 4
    failed = {each["scan"]: each["reason"] for each in outcome.json["failed"]}
    assert set(failed) == {"CR1", "CR9", "DX5", "series 7 (OT, 3 slices of 40x40)"}
    assert "lacks SOPClassUID" in failed["series 7 (OT, 3 slices of 40x40)"]
    for path in (tmp_path / "in").iterdir():
        if path.name not in ("mr", "CR9"):
            path.unlink()
    refused = run("denoise", tmp_path / "in", "-o", tmp_path / "none", *TINY)
    assert refused.code == 2
    assert "lacks SOPClassUID" in refused.err
    assert not (tmp_path / "none").exists()


def test_what_diverges_or_cannot_be_written_is_named(run: Run, tmp_path: Path, monkeypatch) -> None:
    source = study(tmp_path / "in")
    write = Job.write

    def broken(self: Job, *args: object, **options: object) -> None:
        if "series 3" in self.name:
            raise OutputError("an element of the source can't be written")
        write(self, *args, **options)

    monkeypatch.setattr(Job, "write", broken)
    outcome = run("denoise", source, "-o", tmp_path / "out", *TINY)
    assert outcome.code == 2
    assert [path.name for path in results_in(tmp_path / "out")] == ["t2"]
    line = "series 3 (MR, 4 slices of 40x40): an element of the source can't be written"
    assert outcome.err.splitlines()[-1] == f"diffdenoise: {line}"
    # Said at once too, for whoever stops the run later.
    assert f"not denoised: {line}" in outcome.err

    def full(self: Job, *args: object, **options: object) -> None:
        raise DiskFullError("the disk is full")

    monkeypatch.setattr(Job, "write", full)
    outcome = run("denoise", source, "-o", tmp_path / "out2", *TINY)
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1] == "diffdenoise: the disk is full"
    assert "series 4" not in outcome.err


def test_info_lists_series_and_what_was_passed_over(run: Run, tmp_path: Path) -> None:
    source = study(tmp_path / "in")
    outcome = run("info", source)
    assert outcome.code == 0, outcome.err
    assert "series 3 (MR, 4 slices of 40x40)" in outcome.out
    assert "1.2.4" in outcome.out
    assert "1 localiser" in outcome.out
    found = run("info", source, "--series", "1.2.3", "--json").json
    assert found["passed_over"] == {"localiser": 1}
    assert "1 localiser" in run("info", source, "--series", "1.2.3").out
    assert (found["format"], found["shape"], found["series_uid"]) == ("dicom", [40, 40, 4], "1.2.3")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Rows": None}, "image without Rows or Columns"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localiser"),
        ({"PixelData": None}, "holds no pixel data"),
        ({"BitsAllocated": 64}, "damaged DICOM file"),
    ],
)
def test_what_cannot_be_denoised_is_refused_in_one_line(
    change: dict[str, object], words: str, run: Run, tmp_path: Path
) -> None:
    path = save(dataset(noisy_values(1)[0], **change), tmp_path / "a.dcm")
    outcome = run("denoise", path, "-o", tmp_path / "b.dcm", *TINY)
    assert outcome.code == 2
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.dcm"]


def test_nothing_of_the_patient_leaves_the_images(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = study(tmp_path / "in")
    mark = f"{CANARY}7"
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        if path.suffix:
            continue
        made = read(path)
        # Every text and date element of patient, study, series and equipment that the dictionary has.
        for tag, (vr, vm, _, retired, keyword) in pydicom.datadict.DicomDictionary.items():
            if (
                vr in ("PN", "LO", "SH")
                and vm == "1"
                and not retired
                and keyword
                and tag >> 16 in (8, 16, 24, 32, 64)
            ):
                setattr(made, keyword, mark)
            elif vr == "DA" and vm == "1" and not retired and tag >> 16 in (8, 16, 32, 64):
                setattr(made, keyword, "19070707")
        made.SpecificCharacterSet = "ISO_IR 100"
        # One that can't be read, for the messages about it.
        if path.name == "IM0000" and path.parent.name == "t1":
            made.PixelData = made.PixelData[:10]
        save(made, path)
    with caplog.at_level(logging.DEBUG):
        outcomes = [
            run("info", source, "--json"),
            run("info", source),
            run("denoise", source, "-o", tmp_path / "x", *TINY),
            run(
                "denoise",
                source,
                "-o",
                tmp_path / "y",
                "--series",
                "1.2.4",
                *TINY,
                "--save-model",
                tmp_path / "model",
                "--picture",
                tmp_path / "p.png",
            ),
        ]
    assert [outcome.code for outcome in outcomes] == [0, 0, 2, 0], [outcome.err for outcome in outcomes]
    told = "".join(outcome.out + outcome.err for outcome in outcomes) + caplog.text
    kept = b"".join(path.read_bytes() for path in (tmp_path / "model").rglob("*") if path.is_file())
    kept += (tmp_path / "p.png").read_bytes()
    for secret in (CANARY, "19070707"):
        assert secret not in told
        assert secret.encode() not in kept
    # The derived images themselves keep their patient.
    assert all(mark in str(read(path).PatientName) for path in (tmp_path / "y").rglob("*") if path.is_file())
    assert json.loads((tmp_path / "model" / "record.json").read_text())
