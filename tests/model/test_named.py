"""The package's weights are called by name; a folder of that name is not taken for them, nor they for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import diffdenoise as dd
from diffdenoise.config import Settings
from diffdenoise.errors import ModelError, SettingsError
from diffdenoise.model.named import NAMES, card_of, find_model
from tests.end_to_end.phantom import noisy_phantom

ONE = Settings.build(assignments=["stage3.orientations=1"])


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def used(noisy: NDArray[np.float32], name: str | None) -> tuple[NDArray[np.float64], str]:
    result = dd.denoise(noisy, model=name, settings=ONE, threads=1, return_result=True)
    return result.data, result.record["training"]["weights"]


@pytest.mark.parametrize(("kind", "own"), [("white", "general"), ("rician", "magnitude")])
def test_a_name_takes_the_place_of_the_choice_by_the_noise(kind: str, own: str) -> None:
    (other,) = set(NAMES) - {own}
    noisy = noisy_phantom(kind) + (500 if kind == "white" else 0)
    chosen, by_itself = used(noisy, None)
    named, said = used(noisy, own)
    forced, said_of_forced = used(noisy, other)
    assert (by_itself, said, said_of_forced) == (own, own, other)
    np.testing.assert_array_equal(named, chosen)
    assert np.abs(forced - chosen).max() > 1
    # The weights of the other kind are told the same level, and denoise too.
    assert (forced - noisy).std() > 60


def test_magnitudes_are_never_below_zero() -> None:
    noisy = noisy_phantom("white")
    assert noisy.min() < 0
    with pytest.raises(ModelError, match=r"never below zero.*take general"):
        dd.denoise(noisy, model="magnitude")


def test_a_name_is_no_training() -> None:
    for wishes in ({"minutes": 3.0}, {"settings": Settings(minutes=3.0)}):
        with pytest.raises(SettingsError, match="taken as they are"):
            dd.denoise(noisy_phantom("white"), model="general", **wishes)
    with pytest.raises(SettingsError, match="seed has an effect on a training only"):
        dd.denoise(noisy_phantom("white"), model="general", seed=1)


def test_a_folder_of_the_same_name_is_not_taken_by_chance(tmp_path: Path) -> None:
    assert find_model("general") == "general"
    (tmp_path / "general").mkdir()
    with pytest.raises(ModelError, match=r"write \./general for the folder"):
        find_model("general")
    for folder in ("./general", Path("general")):
        assert find_model(folder) == Path("general")
    # What `info` is asked about is what lies there.
    assert card_of("general") is None


def test_an_unknown_name_is_told_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "my-model").mkdir()
    for wrong, near in (("genral", "general"), ("my-modle", "my-model"), ("./my-modle", "my-model")):
        with pytest.raises(ModelError, match=rf"general or magnitude; did you mean {near}"):
            dd.load(wrong)
    with pytest.raises(ModelError, match=r"general or magnitude$"):
        dd.denoise(noisy_phantom("white"), model="xyz")
    with pytest.raises(ModelError, match="not run by themselves; expected general or magnitude"):
        find_model("blind-spot")
    with pytest.raises(ModelError, match="denoise takes the name as model"):
        dd.load("general")


def test_info_tells_of_weights() -> None:
    told = dd.info("magnitude")
    assert told["name"] == "magnitude"
    assert "Rician" in told["use"]
    assert len(told["sha256"]) == 64
