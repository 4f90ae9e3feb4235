"""A training never ends behind the weights that it began with, and says which student it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import diffdenoise as dd
from diffdenoise.config import Settings
from diffdenoise.method import choices, kept, windows
from diffdenoise.method.networks import new_student
from diffdenoise.model import Model
from diffdenoise.networks.start import load_student
from diffdenoise.networks.student import student_network
from diffdenoise.plan import make_plan
from diffdenoise.scan.read import from_array
from diffdenoise.training.hardware import choose_hardware
from diffdenoise.training.slices import Slices
from diffdenoise.types import Quiet
from tests.end_to_end.phantom import clean_phantom, noisy_phantom


class Listening(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def settings_of(refine: int, **more: Any) -> Settings:
    steps = {"blind-spot": 1, "diffusion": 1, "targets": 0, "student": 0, "refine": refine}
    schedule = {name: {"steps": count} for name, count in steps.items()}
    stage3 = {"orientations": 1, **more.pop("stage3", {})}
    return Settings.build(
        minutes=None, schedule=schedule, data={"patch": 32, "batch": 4}, stage3=stage3, **more
    )


def train(folder: Path, settings: Settings, told: Listening) -> Model:
    return dd.train(noisy_phantom("white"), folder, settings=settings, threads=1, progress=told)


def gain(model: Model) -> float:
    found = dd.evaluate(model.denoise(noisy_phantom("white")), clean_phantom(), noisy_phantom("white"))
    assert found.psnr_gain_db is not None
    return found.psnr_gain_db


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Model:
    told = Listening()
    model = train(tmp_path_factory.mktemp("good") / "model", settings_of(60), told)
    assert model.details.kept == "trained"
    assert not [line for line in told.said if "kept" in line]
    return model


@pytest.mark.parametrize(
    ("spoilt", "most"),
    [
        pytest.param({"refine": 6, "stage3": {"learning_rate": 0.05}}, 0.25, id="diverged"),
        pytest.param(
            {"refine": 60, "noise_std": 600.0, "noise_std_as_told": True}, 0.0, id="told a level far too high"
        ),
    ],
)
def test_what_ends_behind_its_start_is_not_kept(
    tmp_path: Path, good: Model, spoilt: dict[str, Any], most: float
) -> None:
    told = Listening()
    settings = settings_of(**spoilt)
    model = train(tmp_path / "model", settings, told)
    details = model.details
    assert details.kept_share <= most
    assert (details.kept == "start") == (details.kept_share == 0) == any("kept" in line for line in told.said)
    start = student_network(model.settings, model.details.neighbours)
    load_student(start, make_plan([from_array(noisy_phantom("white"))], settings).known)
    stored = load_file(tmp_path / "model" / "student.safetensors")
    same = all(torch.equal(stored[name], value) for name, value in start.state_dict().items())
    assert same == (details.kept_share == 0)
    assert 5 < gain(model) < gain(good)
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    said = "beyond which training did not get" if same else f"of what that changed, {details.kept_share:.0%}"
    assert said in card


def judged(
    good: Model, times: float, told: Listening
) -> tuple[dict[str, torch.Tensor], kept.Kept, dict[str, torch.Tensor]]:
    """Start weights, what is kept, and a good model's weights after that many times their training."""
    settings = settings_of(60)
    plan = make_plan([from_array(noisy_phantom("white"))], settings)
    hardware, slices = choose_hardware("cpu", 1), Slices(plan.entered, plan.neighbours)
    start, trained = new_student(plan, hardware), new_student(plan, hardware)
    load_student(start, plan.known)
    better = load_file(good.folder / "student.safetensors")
    first = start.state_dict()
    trained.load_state_dict({name: value.lerp(better[name], times) for name, value in first.items()})
    held_out = windows.held_out(slices, 32, seed=0)
    found = kept.what_is_kept(plan, slices, held_out, trained, hardware, told.say)
    return first, found, trained.state_dict()


def test_what_goes_too_far_is_taken_back_in_part(good: Model) -> None:
    told = Listening()
    start, found, trained = judged(good, 2.5, told)
    assert 0 < found.share < 1
    for name, value in start.items():
        torch.testing.assert_close(found.network.state_dict()[name], value.lerp(trained[name], found.share))
    assert told.said == []


def test_no_more_is_kept_than_the_largest_share(good: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(good, 1.0, Listening())[1].share == 1.0
    monkeypatch.setattr(choices, "refined_share", lambda _: 0.5)
    assert judged(good, 1.0, Listening())[1].share == 0.5


def test_the_card_says_what_stages_1_and_2_gave(good: Model) -> None:
    card = (good.folder / "README.md").read_text(encoding="utf-8")
    assert "which it did not learn from: it was ahead of them" in card
    assert "the weights that come with the package, trained on the images above" in card


def test_a_scan_with_half_the_noise_is_refused_and_forced(good: Model) -> None:
    quieter = (noisy_phantom("white") + clean_phantom()) / 2
    with pytest.raises(dd.DiffDenoiseError, match=r"is not like what .* was trained on: noise of .* not "):
        good.denoise(quieter)
    forced = good.denoise(quieter, force=True, return_result=True)
    assert any(doubt.startswith("noise of") for doubt in forced.record["doubts"])
    assert good.denoise(noisy_phantom("white"), return_result=True).record["doubts"] == []
