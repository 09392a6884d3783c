# SPDX-License-Identifier: GPL-2.0-only
"""A path that is not there: the error asks whether what is beside it was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.cli import main
from kbuildpy.similar import similar_file
from tests.support.fake_trees import fake_tree

COMMANDS = {
    "check": ("check", "{}"),
    "decode": ("decode", "{}"),
    "info": ("info", "{}"),
    "init": ("init", "{}"),
    "install": ("install", "{}"),
    "lint": ("lint", ".", "--cocci", "{}"),
    "lint, a baseline": ("lint", ".", "--baseline", "{}"),
    "matrix": ("matrix", "{}", "--do", "check"),
    "package": ("package", "tar", "{}"),
    "package, of sources": ("package", "dkms-deb", "{}"),
    "preflight": ("preflight", "--root", "{}"),
    "reproduce": ("reproduce", "{}", "--manifest", "proof.json"),
    "run": ("run", "{}", "-k", "{tree}"),
    "run, instrumented": ("run", "{}", "--with", "kasan"),
    "sign": ("sign", "{}", "--key", "key.pem", "--cert", "cert.pem"),
    "verify": ("verify", "{}"),
    "watch": ("watch", "{}", "-k", "{tree}"),
    "which": ("which", "x", "--root", "{}"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_misspelt_path_is_asked_back(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo/build").mkdir(parents=True)
    (tmp_path / "Kbuild").write_text("obj-m := x.o\n")
    tree = str(fake_tree(tmp_path / "tree"))
    assert main([word.replace("{}", "demo/bild").replace("{tree}", tree) for word in COMMANDS[command]]) == 2
    said = capsys.readouterr().err
    assert "demo/bild: no such " in said.replace("No such", "no such")
    assert "did you mean build?" in said


def test_a_word_that_is_neither_an_object_nor_there_is_asked_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "driver").mkdir()
    assert main(["explain", "drivr", "x.o"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "kbuildpy: error: drivr: neither an object (x.o) nor a source (x.c, x.S, x.rs), and no directory",
        "  did you mean driver?",
    ]


@pytest.mark.parametrize("command", ["check", "info", "package", "run", "sign", "verify"])
@pytest.mark.parametrize("words", ["drv", "drv/build"])
def test_a_directory_that_was_not_built_yet_is_to_be_built(
    command: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drv").mkdir()
    (tmp_path / "drv/Kbuild").write_text("obj-m := x.o\n")
    tree = str(fake_tree(tmp_path / "tree"))
    call = [word.replace("{}", words).replace("{tree}", tree) for word in COMMANDS[command]]
    assert main(call) == 2
    said = "no modules below drv" if words == "drv" else "drv/build: no such file or directory"
    assert f"error: {said}\n  build the modules first: kbuildpy build drv" in capsys.readouterr().err


def test_the_first_folder_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "drivers/net").mkdir(parents=True)
    assert similar_file(tmp_path / "driver/net/frob.ko") == "did you mean drivers?"
    assert similar_file(tmp_path / "drivers/nets") == "did you mean net?"
    assert similar_file(tmp_path / "else/where") == ""
