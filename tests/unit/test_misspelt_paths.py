# SPDX-License-Identifier: GPL-2.0-only
"""A path that is not there: the error asks whether what is beside it was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.cli import main
from kbuildpy.similar import similar_file

COMMANDS = {
    "check": ("check", "{}"),
    "decode": ("decode", "{}"),
    "info": ("info", "{}"),
    "install": ("install", "{}"),
    "lint": ("lint", ".", "--cocci", "{}"),
    "matrix": ("matrix", "{}", "--do", "check"),
    "reproduce": ("reproduce", "{}", "--manifest", "proof.json"),
    "run": ("run", "{}", "--with", "kasan"),
    "sign": ("sign", "{}", "--key", "key.pem", "--cert", "cert.pem"),
    "verify": ("verify", "{}"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_misspelt_path_is_asked_back(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo/build").mkdir(parents=True)
    assert main([word.replace("{}", "demo/bild") for word in COMMANDS[command]]) == 2
    said = capsys.readouterr().err
    assert "demo/bild: no such " in said
    assert "did you mean build?" in said


def test_the_first_folder_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "drivers/net").mkdir(parents=True)
    assert similar_file(tmp_path / "driver/net/frob.ko") == "did you mean drivers?"
    assert similar_file(tmp_path / "drivers/nets") == "did you mean net?"
    assert similar_file(tmp_path / "else/where") == ""
