"""A server is told by a file and by options, which win; what is wrong is said before anything begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffdenoise.errors import SettingsError
from diffdenoise.serve.options import Options, is_local, read_options


def test_options_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("port: 9000\nworkers: 3\ndata: here\nnames: [a.example]\nkeep_days: 2.5\n")
    found = read_options(file, port=9001, host=None)
    assert (found.port, found.workers, found.host, found.keep_days) == (9001, 3, "127.0.0.1", 2.5)
    assert (found.data, found.names) == (tmp_path / "here", ("a.example",))


@pytest.mark.parametrize(
    "text",
    ["port: '9000'", "port: 9000.5", "port: true", "port: 70000", "workers: 0", "prot: 9000", "- 1",
     "names: a", "keep_days: -1", "keep_days: .inf", "a: [", "x: &a [1]\ny: *a", "data: 3"],
)  # fmt: skip
def test_what_a_file_has_wrong_is_said(tmp_path: Path, text: str) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError):
        read_options(file)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_options(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("10.0.0.1", False), ("localhost.evil.example", False), ("", False)],
)  # fmt: skip
def test_only_this_computers_addresses_are_local(host: str, expected: bool) -> None:
    assert is_local(host) == expected


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "scanner.example"])
def test_an_address_that_others_reach_needs_a_token(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="token"):
        Options(host=host).token()
    (tmp_path / "token").write_text("0123456789abcdef\n")
    assert Options(host=host, token_file=tmp_path / "token").token() == "0123456789abcdef"


@pytest.mark.parametrize("text", ["", "short", "x" * 600, "two\nlines of a token", "passwört-passwört"])
def test_what_is_no_token_is_refused_and_not_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(SettingsError, match="expected one line") as error:
        Options(token_file=tmp_path / "token").token()
    assert not text or text not in str(error.value)


def test_the_data_folder_is_what_was_said_or_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("DIFFDENOISE_DATA_DIR", raising=False)
    assert Options().folder.name == "diffdenoise"
    monkeypatch.setenv("DIFFDENOISE_DATA_DIR", str(tmp_path / "env"))
    assert Options().folder == tmp_path / "env"
    assert Options(data=tmp_path / "said").folder == tmp_path / "said"
