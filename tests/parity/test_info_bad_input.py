# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy info` and files that are damaged, foreign or none: one error each, and what can be read is read."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from random import Random

import pytest

from kbuildpy import cli
from kbuildpy.elf.constants import EM_ARM, EM_S390
from kbuildpy.errors import KbuildError
from kbuildpy.info.page import as_page
from kbuildpy.info.picture import as_svg
from kbuildpy.info.report import inspect
from kbuildpy.info.text import as_text, folded
from kbuildpy.kernel.module_files import module_name, read_module
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.run import run
from tests.fuzz.damage import damaged
from tests.support.elf_objects import Sec, elf_object
from tests.support.shipped_kernels import shipped_kernel
from tests.support.terminal import run_on_terminal

pytestmark = pytest.mark.parity

DAMAGES = 250
KERNEL = LoaderKernel("6.1.0-none", (6, 1), "x86_64")


@pytest.fixture(scope="module")
def usbserial() -> bytes:
    files = shipped_kernel("6.1").modules
    return read_module(next(file for file in files if module_name(file.name) == "usbserial"))


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one error that a call ends with that does not succeed."""
    capsys.readouterr()
    assert cli.main(["info", *map(str, words)]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("error:") == 1 and "Traceback" not in said.err
    return said.err


def test_what_is_no_module_is_one_error(usbserial: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.ko"
    for contents, words in (
        (b"", "empty file"),
        (b"no module at all", "ELF"),
        (usbserial[:3000], "a.ko"),
        (usbserial[: len(usbserial) // 2], "a.ko"),
        (usbserial.replace(b".modinfo\0", b".nothing\0"), "no section .modinfo"),
        (b"\xfd7zXZ\0\0\4", "cut off"),
        (b"\x1f\x8b\x08" + bytes(30), "damaged"),
    ):
        file.write_bytes(contents)
        for options in ((), ("-0",), ("-F", "license"), ("--format", "json"), ("--format", "html")):
            assert words in refused(capsys, *options, file), contents[:20]


def test_the_others_are_printed(usbserial: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.ko").write_bytes(b"no module")
    (tmp_path / "b.ko").write_bytes(usbserial)
    assert cli.main(["info", "-F", "name", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out == "usbserial\n" and f"{tmp_path}/a.ko" in said.err


def test_calls_that_are_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.ko")
    for words, said in (
        ((tmp_path / "gone.ko",), "no such file"),
        ((tmp_path / "empty",), "no modules below"),
        ((tmp_path / "pipe.ko",), "neither a file nor a directory"),
        (("",), "empty name"),
        (("-F", "name", "--format", "json", "x.ko"), "no --format json"),
        (("x.ko", "-k", "6.66.6-none"), "6.66.6-none"),
    ):
        assert cli.main(["info", *map(str, words)]) == 2, words
        assert said in capsys.readouterr().err


def test_a_stripped_module_keeps_its_fields(usbserial: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.ko"
    file.write_bytes(usbserial)
    whole = inspect(usbserial, "a.ko", KERNEL)
    run(["strip", "--strip-debug", file])
    debugless = inspect(file.read_bytes(), "a.ko", KERNEL)
    assert not debugless.unknown and debugless.signature is None
    assert (debugless.exports, debugless.debug_messages) == (whole.exports, whole.debug_messages)
    run(["objcopy", "--strip-all", file])
    bare = inspect(file.read_bytes(), "a.ko", KERNEL)
    assert {what for what, _ in bare.unknown} == {"its tables", "its memory"}
    assert bare.values("license") == ("GPL v2",) and "not known:" in as_text(bare)


@pytest.mark.parametrize(("machine", "bits", "order"), [(EM_ARM, 32, "<"), (EM_S390, 64, ">"), (EM_ARM, 32, ">")])
def test_a_module_for_a_machine_that_is_not_known_keeps_its_fields(machine: int, bits: int, order: str) -> None:
    info = inspect(elf_object([], [], machine=machine, bits=bits, order=order), "a.ko", None)
    assert info.values("license") == ("GPL",)
    assert {what for what, _ in info.unknown} == {"its tables", "its memory"}
    assert "x86_64, arm64 and riscv are" in as_text(info)


HOSTILE = (
    b"name=\x1b[2J\0vermagic=../../etc SMP\0license=\xff\0parm=a\x1b]0;x\x07:\x1b[31m\nmore\0parmtype=a:<b>&\0"
    b"alias=usb:\x1b[2J\0alias=\xe2\x80\xae\0depends=\x1b[1m,<script>\0softdep=pre: \x1b pre:\0firmware=\x00"
)


def test_strings_that_a_terminal_or_a_browser_would_obey_are_escaped() -> None:
    contents = elf_object([Sec("\x1b[2J<x>"), Sec(".BTF", 0)], [], modinfo=HOSTILE)
    info = inspect(contents, "/a\x1b[2J<b>\n.ko", None)
    assert info.built_for == ""
    for text in (as_text(info, verbose=True), folded("description:    \x1b[2J\nalias: \udcff\n")):
        assert all(line.isprintable() for line in text.splitlines())
    page = as_page([info])
    assert "<script>" not in page and "<b>" not in page and "\x1b" not in page and "\udcff" not in page
    page.encode()


@pytest.mark.parametrize(
    "vermagic", [b"", b"vermagic=6\0", b"vermagic=6-x SMP\0", b"vermagic=SMP\0", b"vermagic=5.10.0 SMP\0"]
)
def test_a_vermagic_without_a_kernel_that_is_known_leaves_the_layout_open(vermagic: bytes) -> None:
    info = inspect(elf_object([], [], modinfo=b"license=GPL\0" + vermagic), "a.ko", None)
    assert info.memory is None and "its memory" in dict(info.unknown)


def test_a_terminal_gets_nothing_that_it_obeys(tmp_path: Path) -> None:
    """(and many aliases as a few lines)"""
    file = tmp_path / "a.ko"
    file.write_bytes(elf_object([], [], modinfo=HOSTILE + b"alias=i2c:x\0" * 50))
    for options, lines in (((), 60), (("-v",), 90), (("-0",), 60), (("-F", "parm"), 5)):
        said = run_on_terminal([sys.executable, "-m", "kbuildpy", "info", *options, file])
        assert all(line.isprintable() for line in said.replace("\0", "").splitlines()), options
        assert said.count("\n") < lines and ("more lines" in said) == (options == ())


def test_random_damage_is_an_error_or_is_told_of(usbserial: bytes) -> None:
    chance = Random(15)
    read = 0
    for _ in range(DAMAGES):
        contents, names = damaged(usbserial, chance)
        try:
            info = inspect(contents, "a.ko", KERNEL)
            texts = [as_text(info, verbose=True), as_page([info])]
            texts += [as_svg(info.memory)] if info.memory else []
        except KbuildError:
            continue
        except Exception as error:
            raise AssertionError(f"{names}: {error!r}") from error
        assert all(len(text) < 5_000_000 for text in texts)
        read += 1
    assert read > DAMAGES // 4


def test_json_of_odd_strings_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.ko"
    file.write_bytes(elf_object([], [], modinfo=HOSTILE))
    assert cli.main(["info", "--format", "json", str(file)]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert dict(json.loads(line)["fields"])["license"] == "\udcff"
