"""A level that is told twice or half of what it is costs nothing: the scan knows better, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diffdenoise as dd
from diffdenoise.config import Settings
from tests.end_to_end.phantom import clean_phantom, noisy_phantom
from tests.end_to_end.test_instant import gain, run, saved
from tests.end_to_end.test_kept import settings_of
from tests.noise.test_evenness import everywhere

ONE = {"stage3": {"orientations": 1}}


def told(kind: str, std: float | None, **more: Any) -> dd.Result:
    settings = Settings.build(noise_std=std, **ONE, **more)
    return dd.denoise(noisy_phantom(kind), settings=settings, threads=1, return_result=True)


@pytest.mark.parametrize("kind", ["white", "correlated", "rician", "level-varying"])
@pytest.mark.parametrize("times", [0.5, 2.0])
def test_twice_and_half_cost_nothing(kind: str, times: float) -> None:
    found = told(kind, None)
    with pytest.warns(UserWarning, match=r"was told, but the scan shows .*, and that is taken"):
        wrong = told(kind, times * found.record["noise_std"])
    np.testing.assert_array_equal(wrong.data, found.data)
    insisting = told(kind, times * found.record["noise_std"], noise_std_as_told=True)
    assert gain(kind, insisting.data) < gain(kind, found.data) - 0.3
    assert insisting.record["contradiction"] is None


def test_the_record_holds_both_numbers() -> None:
    with pytest.warns(UserWarning, match="was told"):
        record = told("white", 300.0).record
    assert record["noise_std"] == pytest.approx(90, rel=0.1)
    assert record["contradiction"] == {
        "told": 300.0,
        "shown": pytest.approx(90, rel=0.1),
        "is_upper_bound": False,
    }
    assert record["noise_std_by_brightness"] is not None
    near = told("white", 100.0).record
    assert (near["noise_std"], near["contradiction"], near["notices"]) == (100.0, None, [])


def test_the_command_says_it_on_the_terminal_and_in_json(tmp_path: Path) -> None:
    source = saved(noisy_phantom("white"), tmp_path / "noisy.nii.gz")
    words = ("denoise", source, "--noise-std", "180", "--threads", "1", "-o")
    shown = run(*words, tmp_path / "a.nii.gz")
    assert shown.exit_code == 0, shown.output
    assert "a noise std of 180 was told, but the scan shows" in shown.stdout
    assert "--set noise_std_as_told=true takes the told one" in shown.stdout
    report = json.loads(run(*words, tmp_path / "b.nii.gz", "--json").stdout)
    assert report["contradiction"]["told"] == 180
    assert report["noise_std"] == pytest.approx(90, rel=0.1)
    assert any("180 was told" in notice for notice in report["notices"])
    insisting = run(*words, tmp_path / "c.nii.gz", "--json", "--set", "noise_std_as_told=true")
    assert json.loads(insisting.stdout)["noise_std"] == 180


def test_a_training_takes_what_the_scan_shows(tmp_path: Path) -> None:
    settings = settings_of(6, noise_std=180.0)
    with pytest.warns(UserWarning, match="was told"):
        result = dd.denoise(noisy_phantom("white"), settings=settings, threads=1, return_result=True)
    assert result.record["contradiction"]["told"] == 180
    assert result.record["noise_std"] == pytest.approx(90, rel=0.1)
    training = result.record["training"]
    level = result.noise.std / result.noise.range
    assert training["noise"]["stds"] == pytest.approx([level])
    # The folder of a training that is kept holds both, and settings that repeat it.
    model = dd.train(noisy_phantom("white"), tmp_path / "model", settings=settings, threads=1)
    assert model.record["data"]["contradiction"]["told"] == 180
    assert model.settings.noise_std is None
    assert model.noise.typical_std == pytest.approx(level)


def test_above_a_bound_the_bound_is_taken() -> None:
    clean = everywhere()
    noisy = (clean + 0.01 * np.random.default_rng(1).standard_normal(clean.shape)).astype(np.float32)

    def at(std: float, **more: Any) -> dd.Result:
        settings = Settings.build(data={"axis": 0}, noise_std=std, **ONE, **more)
        return dd.denoise(noisy, settings=settings, threads=1, return_result=True)

    below = at(0.01)
    assert below.record["contradiction"] is None
    assert below.record["noise_std"] == 0.01
    with pytest.warns(UserWarning, match="shows at most"):
        above = at(0.2)
    bound = above.record["contradiction"]["shown"]
    assert above.record["noise_std"] == pytest.approx(bound)
    assert 0.01 < bound < 0.2
    np.testing.assert_allclose(above.data, at(bound).data, atol=1e-6)
    insisting = at(0.2, noise_std_as_told=True)
    errors = [float(np.mean((one.data - clean) ** 2)) for one in (above, insisting)]
    assert errors[0] < errors[1]


def test_a_clean_scan_is_left_if_it_contradicts_what_was_told() -> None:
    y, x = np.mgrid[:160, :160] / 160
    smooth = 500 + 300 * np.sin(9 * x) * np.cos(7 * y) + 200 * (x > 0.5)
    calm = (smooth + np.random.default_rng(0).normal(0, 1, (6, 160, 160))).astype(np.float32)
    own = dd.info(calm, axis=0)
    assert own["already_clean"]

    def at(std: float, **more: Any) -> dd.Result:
        settings = Settings.build(data={"axis": 0}, noise_std=std, **ONE, **more)
        return dd.denoise(calm, settings=settings, threads=1, return_result=True)

    with pytest.warns(UserWarning, match="which is little against") as said:
        left = at(50.0)
    assert "was told, but the scan shows" in str(said[0].message)
    assert left.record["already_clean"]
    assert left.record["contradiction"]["told"] == 50
    np.testing.assert_array_equal(left.data, calm)
    # A level that it bears out, and one that is insisted on, are taken off.
    for taken in (at(own["noise_std"]), at(50.0, noise_std_as_told=True)):
        assert not taken.record["already_clean"]
        assert np.abs(taken.data - calm).std() > 0.1


def test_never_less_than_the_noisy_scan() -> None:
    with pytest.warns(UserWarning, match="was told"):
        wrong = told("white", 5000.0)
    assert dd.evaluate(wrong, clean_phantom(), noisy_phantom("white")).psnr_gain_db > 5
