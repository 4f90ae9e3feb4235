"""A run killed in the middle of each stage, and continued, ends with the unbroken run's weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from diffdenoise.errors import ModelError, OutputError
from diffdenoise.method.train import train
from diffdenoise.plan import make_plan
from diffdenoise.scan.read import from_array
from diffdenoise.training.workspace import Workspace
from diffdenoise.types import Quiet
from tests.conftest import make_volume, tiny_settings

#: Trains in a process of its own, and kills itself without warning at a step of a stage.
_SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from diffdenoise.method.train import train
from diffdenoise.config import Settings
from diffdenoise.scan.read import read_scan
from diffdenoise.types import Quiet

given = json.loads(sys.argv[1])

class Killer(Quiet):
    stage = ""
    def start(self, stage):
        self.stage = stage
    def advance(self, step, total, loss, seconds_left):
        if given["stage"] and given["stage"] in self.stage and step == given["step"]:
            os.kill(os.getpid(), signal.SIGKILL)

train([read_scan(given["scan"])], Settings.build(**given["settings"]), Path(given["model"]),
               resume=given["resume"], threads=1, progress=Killer(), checkpoint_s=0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills with SIGKILL")
def test_killed_in_every_stage(tmp_path: Path) -> None:
    volume = make_volume()
    np.save(tmp_path / "scan.npy", volume)
    settings = tiny_settings()
    train([from_array(volume)], settings, tmp_path / "unbroken", threads=1)
    kills = [
        ("blind-spot network", 4),
        ("diffusion model", 3),
        ("targets", 2),
        ("distillation", 5),
        ("refinement", 2),
        ("", 0),
    ]
    for turn, (stage, step) in enumerate(kills):
        given = {
            "stage": stage,
            "step": step,
            "scan": str(tmp_path / "scan.npy"),
            "model": str(tmp_path / "broken"),
            "settings": settings.model_dump(mode="json"),
            "resume": turn > 0,
        }
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, json.dumps(given)], capture_output=True, text=True, check=False
        )
        assert done.returncode == (-9 if stage else 0), done.stderr
    for name in ("blind_spot", "diffusion", "student"):
        whole = load_file(tmp_path / "unbroken" / f"{name}.safetensors")
        resumed = load_file(tmp_path / "broken" / f"{name}.safetensors")
        assert all(np.array_equal(whole[key], resumed[key]) for key in whole), name
    assert not (tmp_path / "broken" / "work").exists()


def test_resume_refuses_other_data_or_settings(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    class Stopper(Quiet):
        def start(self, stage: str) -> None:
            if "diffusion" in stage:
                raise StopError

    scan = from_array(make_volume())
    with pytest.raises(StopError):
        train([scan], tiny_settings(), tmp_path / "model", progress=Stopper())
    with pytest.raises(OutputError, match="resume=True"):
        train([scan], tiny_settings(), tmp_path / "model")
    with pytest.raises(ModelError, match="other scans"):
        train([from_array(make_volume(seed=9))], tiny_settings(), tmp_path / "model", resume=True)
    with pytest.raises(ModelError, match="seed"):
        train([scan], tiny_settings(seed=3), tmp_path / "model", resume=True)
    with pytest.raises(ModelError, match="no unfinished"):
        train([scan], tiny_settings(), tmp_path / "nothing", resume=True)


@pytest.mark.parametrize(("key", "value"), [("version", "0.0.9"), ("layout", 1), ("layout", None)])
def test_resume_refuses_a_state_of_another_version_or_layout(
    tmp_path: Path, key: str, value: str | int | None
) -> None:
    scan = from_array(make_volume())
    settings = tiny_settings()
    fingerprint = make_plan([scan], settings).fingerprint()
    workspace = Workspace.open(tmp_path / "model" / "work", settings, fingerprint, resume=False)
    workspace.release()
    path = tmp_path / "model" / "work" / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ModelError, match=r"^[^\n]*model: was begun with [^\n]*; delete it and train anew$"):
        train([scan], settings, tmp_path / "model", resume=True)


def test_a_finished_run_is_resumed_only_with_its_own_data_and_settings(tmp_path: Path) -> None:
    scan = from_array(make_volume())
    train([scan], tiny_settings(), tmp_path / "model")
    assert train([scan], tiny_settings(), tmp_path / "model", resume=True).folder == tmp_path / "model"
    with pytest.raises(ModelError, match="other settings"):
        train([scan], tiny_settings(seed=3), tmp_path / "model", resume=True)
    with pytest.raises(ModelError, match="other scans"):
        train([from_array(make_volume(seed=9))], tiny_settings(), tmp_path / "model", resume=True)
