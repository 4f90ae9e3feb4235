"""Model folders from strangers: whatever is in one, it loads or is refused in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

import diffdenoise as dd
from diffdenoise.config import Settings
from diffdenoise.errors import ModelError, SettingsError
from diffdenoise.model.record import MOST_LOSSES, NoiseRecord, thinned
from diffdenoise.noise.correlation import Correlation
from tests.conftest import make_volume, tiny_settings

CASES = Path(__file__).parents[1] / "cases" / "models"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good model folder."""
    folder = tmp_path_factory.mktemp("models") / "good"
    dd.train(make_volume((32, 32)), folder, settings=tiny_settings())
    return folder


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """A copy of it to tamper with."""
    return Path(shutil.copytree(trained, tmp_path / "model"))


def refused(model: Path, *words: str) -> None:
    """Check that a folder is refused by one line that holds these words."""
    with pytest.raises(ModelError) as caught:
        dd.load(model)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    for word in (str(model), *words):
        assert word in message


def change(model: Path, **changes: Any) -> None:
    """Change top-level fields of a record."""
    path = model / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_correlation_along_each_axis_is_that_of_an_older_folder(model: Path) -> None:
    noise = json.loads((model / "record.json").read_text())["noise"]
    correlation = {"down": [0.5, 0.1], "right": [0.25]}
    change(model, noise={**noise, "correlation": correlation})
    assert NoiseRecord.model_validate_json(
        json.dumps({**noise, "correlation": correlation})
    ).model().correlation == Correlation.of_axes((0.5, 0.1), (0.25,))
    dd.load(model)


def test_an_oblique_correlation_is_kept(model: Path) -> None:
    noise = json.loads((model / "record.json").read_text())["noise"]
    oblique = Correlation.of_plane([[0.0, 1.0, 0.0], [0.0, 0.1, 0.4]])
    text = json.dumps({**noise, "correlation": oblique.as_dict()})
    assert NoiseRecord.model_validate_json(text).model().correlation == oblique


def test_what_is_written_is_read_back(model: Path) -> None:
    loaded = dd.load(model)
    assert loaded.record == json.loads((model / "record.json").read_text())
    assert loaded.details.format == 2
    assert loaded.details.level == loaded.noise.typical_std
    assert loaded.details.neighbours == 0
    assert loaded.noise.typical_std > 0


LIES: dict[str, Any] = {
    "neighbours": [-1, 4, 10**9, 1.0, "1", None, True, [1]],
    "orientations": [0, 3, 10**9, "8", 4.5, None],
    "level": [0.0, -1.0, 1e300, "a", None],
    "rician_std": [0.0, -1.0, 1e300, "a"],
    "fingerprint": ["", "x" * 64, "0" * 10**6, 5],
    "noise": [
        None,
        {},
        [],
        {"brightness": [0.0], "stds": [-0.1], "correlation": {"down": [], "right": []}},
        {"brightness": [0.0], "stds": [0.0], "correlation": {"down": [], "right": []}},
        {"brightness": [0.0], "stds": [float("nan")], "correlation": {"down": [], "right": []}},
        {"brightness": [0.0], "stds": [float("inf")], "correlation": {"down": [], "right": []}},
        {"brightness": [0.0, 1.0], "stds": [0.1], "correlation": {"down": [], "right": []}},
        {"brightness": [1.0, 0.0], "stds": [0.1, 0.1], "correlation": {"down": [], "right": []}},
        {"brightness": [], "stds": [], "correlation": {"down": [], "right": []}},
        {"brightness": [0.0] * 10**5, "stds": [0.1] * 10**5, "correlation": {"down": [], "right": []}},
        {"brightness": [0.0], "stds": [0.1], "correlation": {"down": [0.1] * 1000, "right": []}},
        {"brightness": [0.0], "stds": [0.1], "correlation": {"down": ["a"], "right": []}},
        {"brightness": [0.0], "stds": [0.1], "correlation": None},
        {"brightness": [0.0], "stds": [0.1], "correlation": {"down": [], "right": []}, "typical": 0.0},
        {"brightness": [0.0], "stds": [0.1], "correlation": {"down": [], "right": [], "plane": [[0.5, 1.0]]}},
        {
            "brightness": [0.0],
            "stds": [0.1],
            "correlation": {"down": [], "right": [], "plane": [[0.5]] * 999},
        },
    ],
    "stages": [{"refine": None}, {"refine": {"steps": {"steps": -1}}}, {"x" * 10**4: {}}, []],
    "format": [0, -1, "1", 1.5],
    "synthetic_start": [["stage9"], "stage1"],
    "unknown": [1],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, lies in LIES.items() for value in lies])
def test_a_record_that_says_what_cannot_be_is_refused(model: Path, key: str, value: Any) -> None:
    change(model, **{key: value})
    refused(model, "record.json", key)


@pytest.mark.parametrize("content", [b"", b"[1,2]", b"{", b"null", b"[" * 10**5, b"\xff\xfe", b"9" * 10**5])
def test_a_record_that_is_none_is_refused(model: Path, content: bytes) -> None:
    (model / "record.json").write_bytes(content)
    refused(model, "record.json")


def test_a_list_as_a_record_is_refused(model: Path) -> None:
    shutil.copyfile(CASES / "list-record.json", model / "record.json")
    refused(model, "record.json", "found [1, 2]")


def test_a_record_of_a_later_version_is_called_that(model: Path) -> None:
    change(model, format=3, versions={"diffdenoise": "7.8.9"}, new_field=True)
    refused(model, "later version", "7.8.9", "upgrade")


def test_a_record_of_an_earlier_version_is_called_that(model: Path) -> None:
    record = json.loads((model / "record.json").read_text())
    del record["level"]
    (model / "record.json").write_text(json.dumps({**record, "format": 1}))
    refused(model, "record.json", "an earlier form", "train anew")


@pytest.mark.parametrize("text", ["seed: &a 1\n", "a: &a [x]\nb: [*a, *a]\n", None])
def test_settings_with_aliases_are_refused(model: Path, tmp_path: Path, text: str | None) -> None:
    bomb = (CASES / "alias-bomb-settings.yaml").read_text() if text is None else text
    (model / "settings.yaml").write_text(bomb)
    refused(model, "settings.yaml", "aliases")
    with pytest.raises(SettingsError, match="aliases"):
        Settings.build(model / "settings.yaml")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"stage3: {width: 3000}\n", "256"),
        (b"stage3: {width: 1.0e+9}\n", "width"),
        (b"seed: " + b"9" * 5000, "not YAML"),
        (b"!!bool x", "not YAML"),
        (b"[" * 1000, "not YAML"),
        (b"[1]", "list"),
        (b"stage4: {}\n", "no such setting"),
        (b"#" * 10**6, "too large"),
        (b"\xff\xfe\x00", "not YAML"),
    ],
)
def test_settings_that_cannot_be_are_refused(model: Path, content: bytes, word: str) -> None:
    (model / "settings.yaml").write_bytes(content)
    refused(model, "settings.yaml", word)


def test_settings_and_record_that_differ_are_refused(model: Path) -> None:
    settings = yaml.safe_load((model / "settings.yaml").read_text())
    settings["data"]["neighbours"] = 2
    (model / "settings.yaml").write_text(yaml.safe_dump(settings))
    refused(model, "neighbours")


def tensors(model: Path) -> dict[str, Any]:
    return dict(load_file(model / "student.safetensors"))


def without_a_tensor(model: Path) -> None:
    kept = tensors(model)
    del kept["exit.bias"]
    save_file(kept, model / "student.safetensors")


def with_one_more(model: Path) -> None:
    save_file({**tensors(model), "more": np.zeros(1, np.float32)}, model / "student.safetensors")


def of_another_shape(model: Path) -> None:
    kept = tensors(model)
    kept["exit.weight"] = np.ascontiguousarray(kept["exit.weight"].reshape(-1))
    save_file(kept, model / "student.safetensors")


def of_another_type(model: Path) -> None:
    save_file(
        {key: value.astype(np.float16) for key, value in tensors(model).items()},
        model / "student.safetensors",
    )


def cut_short(model: Path) -> None:
    path = model / "student.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


def with_a_long_header(model: Path) -> None:
    (model / "student.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")


def with_a_header_that_is_none(model: Path) -> None:
    (model / "student.safetensors").write_bytes((9).to_bytes(8, "little") + b"[" * 9)


def with_a_list_as_header(model: Path) -> None:
    (model / "student.safetensors").write_bytes((2).to_bytes(8, "little") + b"[]")


def empty(model: Path) -> None:
    (model / "student.safetensors").write_bytes(b"")


def missing(model: Path) -> None:
    (model / "student.safetensors").unlink()


def not_finite(model: Path) -> None:
    kept = tensors(model)
    kept["entry.weight"][0, 0, 1, 1] = np.nan
    save_file(kept, model / "student.safetensors")


def wrong_places(model: Path) -> None:
    """The header's offsets overlap."""
    path = model / "student.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    for entry in header.values():
        if "data_offsets" in entry:
            size = entry["data_offsets"][1] - entry["data_offsets"][0]
            entry["data_offsets"] = [0, size]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


DAMAGES: list[Callable[[Path], None]] = [
    without_a_tensor,
    with_one_more,
    of_another_shape,
    of_another_type,
    cut_short,
    with_a_long_header,
    with_a_header_that_is_none,
    with_a_list_as_header,
    empty,
    missing,
    not_finite,
    wrong_places,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_weights_that_are_not_the_students_are_refused(model: Path, damage: Callable[[Path], None]) -> None:
    damage(model)
    refused(model, "student.safetensors")


def test_a_wide_network_is_refused_before_its_weights_are_loaded(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = yaml.safe_load((model / "settings.yaml").read_text())
    settings["stage3"]["width"] = 256
    (model / "settings.yaml").write_text(yaml.safe_dump(settings))

    def unexpected(*_: object) -> None:
        pytest.fail("weights were loaded that the settings do not fit")

    monkeypatch.setattr("diffdenoise.model.folder._loaded", unexpected)
    refused(model, "student.safetensors", "does not fit")


NAMES = ["record.json", "settings.yaml", "student.safetensors"]


@pytest.mark.parametrize("name", NAMES)
def test_links_are_refused(model: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (model / name).rename(outside)
    (model / name).symlink_to(outside)
    refused(model, name, "is a link")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this system's file system")
def test_pipes_do_not_wait(model: Path, name: str) -> None:
    (model / name).unlink()
    os.mkfifo(model / name)
    # In a process of its own: a reader that waits could not be stopped here.
    code = f"import diffdenoise as dd; dd.load({str(model)!r})"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "ModelError" in ended.stderr
    assert "is no regular file" in ended.stderr


@pytest.mark.parametrize("name", NAMES)
def test_folders_in_place_of_files_are_refused(model: Path, name: str) -> None:
    (model / name).unlink()
    (model / name).mkdir()
    refused(model, name, "is a folder")


@pytest.mark.parametrize("name", NAMES)
def test_files_of_gigabytes_are_refused_unread(model: Path, name: str) -> None:
    with (model / name).open("wb") as file:
        file.truncate(2**40)
    refused(model, name, "too large")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this system's file system")
def test_a_settings_file_may_be_a_link_but_no_pipe(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("seed: 5\n")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "real.yaml")
    assert Settings.build(tmp_path / "link.yaml").seed == 5
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(SettingsError, match="no regular file"):
        Settings.build(tmp_path / "pipe.yaml")
    with pytest.raises(SettingsError, match="no regular file"):
        Settings.build(Path(os.devnull))


def test_long_curves_of_losses_are_thinned() -> None:
    curve = [(step, 1.0 / step) for step in range(1, 10 * MOST_LOSSES + 4)]
    short = thinned(curve)
    assert len(short) <= MOST_LOSSES
    assert short[-1] == curve[-1]
    assert len({later[0] - one[0] for one, later in pairwise(short)}) == 1
    assert thinned(curve[:7]) == curve[:7]
    assert thinned([]) == []
