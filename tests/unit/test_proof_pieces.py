# SPDX-License-Identifier: GPL-2.0-only
"""Pieces of proofs: licences, flags that changed, sections that differ, the note of a build's call."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from kbuildpy.elf.constants import SHT_SYMTAB
from kbuildpy.elf.image import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.call_note import (
    BuildCall,
    DeclaredKbuild,
    deciding_environment,
    note_call,
    read_call,
    recorded_environment,
)
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.proof.changed_inputs import (
    ChangedInput,
    changed_files,
    changed_flags,
    changed_programs,
    changed_variables,
    other_files,
)
from kbuildpy.proof.changed_module import changed_sections
from kbuildpy.proof.find_build import find_build
from kbuildpy.proof.licences import all_of, module_licence, references, stated_licence
from kbuildpy.proof.places import BuildPlaces
from kbuildpy.proof.rebuild import declared_files
from kbuildpy.proof.record import BuildRecord, InputFile, MadeObject, PackageVersion, UsedProgram
from tests.support.elf_objects import TEXT, Sec, Sym, elf_object

CALL = BuildCall("/drv", "/objects", {"A": "1"}, {"B": "2"}, (DeclaredKbuild("", "x", "obj-m := x.o\n", ("y.c",)),))
MODULE = elf_object([], [])
# (in two parts: a second licence of this file would be read otherwise)
TAG = "SPDX-" + "License-Identifier:"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"// {TAG} GPL-2.0-only\n", "GPL-2.0-only"),
        (f"/* {TAG} (GPL-2.0 WITH Linux-syscall-note) OR MIT */\n", "(GPL-2.0 WITH Linux-syscall-note) OR MIT"),
        (f"#!/bin/sh\n# {TAG}\tGPL-2.0+\r\n", "GPL-2.0+"),
        (f"/* {TAG} GPL-2.0*/ int x; /* */", "GPL-2.0"),
        (f"// {TAG} \x1b[2J;rm\n", ""),
        (f"// {TAG} (MIT\n", ""),
        ("int x;\n", ""),
    ],
)
def test_reads_the_licence_that_a_source_states(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text(text, newline="")
    assert stated_licence(str(tmp_path / "x.c")) == expected


def test_expressions_join_and_name_what_no_list_has() -> None:
    assert all_of(["MIT", "GPL-2.0", "", "MIT"]) == "GPL-2.0 AND MIT"
    assert all_of(["MIT OR GPL-2.0", "MIT"]) == "MIT AND (MIT OR GPL-2.0)"
    assert all_of([]) == ""
    assert module_licence("GPL v2") == "GPL-2.0-only"
    assert module_licence("Proprietary\n") == "LicenseRef-Proprietary"
    assert references("MIT AND (LicenseRef-A-1 OR LicenseRef-B)") == ["LicenseRef-A-1", "LicenseRef-B"]


def test_flags_that_changed_are_named_with_their_objects() -> None:
    recorded = [
        MadeObject("a.o", (), ("gcc -DX='a b' -O2 -I a -c -o a.o a.c; ./objtool --orc a.o",)),
        MadeObject("b.o", (), ("gcc -O2 -c -o b.o b.c",)),
    ]
    now = {"a.o": ["gcc -DX='a c' -O3 -I a -c -o x/a.o a.c; ./objtool --orc a.o"], "b.o": ["gcc -O3 -c -o b.o b.c"]}
    found = {(item.name, item.recorded, item.present) for item in changed_flags(recorded, now)}
    assert found == {
        ("a.o", "-DX='a b'", None),
        ("a.o", None, "-DX='a c'"),
        ("a.o and 1 more", "-O2", None),
        ("a.o and 1 more", None, "-O3"),
    }
    assert list(changed_flags(recorded, {"c.o": ["x"]})) == []


def a_record(directory: Path, *files: InputFile) -> BuildRecord:
    """A record with nothing but files, whose kernel tree is beside the module directory."""
    top = directory.parent
    return BuildRecord(
        str(directory), str(top / "src"), str(top / "obj"), "6.1", (), {}, {}, (), "1", files, (), (), ()
    )


def test_files_that_changed_or_are_gone_are_named(tmp_path: Path) -> None:
    texts = {"drv/a.c": "a", "drv/b.h": "b", "src/k.h": "k", "obj/vmlinux": "v", "other/Module.symvers": "s"}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    record = a_record(
        tmp_path / "drv",
        InputFile("$(src)/a.c", "source", digests["drv/a.c"]),
        InputFile("$(src)/b.h", "header", digests["drv/b.h"]),
        InputFile("$(src)/made.h", "generated", "0" * 64),
        InputFile("$(srctree)/k.h", "kernel header", digests["src/k.h"]),
        InputFile("$(objtree)/vmlinux", "kernel tree", digests["obj/vmlinux"]),
        InputFile(f"{tmp_path}/other/Module.symvers", "symvers", digests["other/Module.symvers"]),
    )
    tree = KernelTree(tmp_path / "obj", tmp_path / "src", "6.1")
    places = BuildPlaces(str(tmp_path / "drv"), str(tree.source), str(tree.objects))
    assert list(changed_files(record, places, tree)) == []
    (tmp_path / "drv/a.c").write_text("A")
    (tmp_path / "drv/b.h").unlink()
    (tmp_path / "src/k.h").write_text("K")
    # (what kbuildpy built there is newer than make's)
    ours = tmp_path / "other/build/6.1/Module.symvers"
    ours.parent.mkdir(parents=True)
    ours.write_text("S")
    found = {(item.kind, item.name, item.present is None) for item in changed_files(record, places, tree)}
    assert found == {
        ("source", "$(src)/a.c", False),
        ("header", "$(src)/b.h", True),
        ("kernel header", "$(srctree)/k.h", False),
        ("symvers", f"{tmp_path}/other/Module.symvers", False),
    }
    more = InputFile("$(src)/c.h", "header", "0" * 64)
    made = InputFile("$(src)/other.h", "generated", "0" * 64)
    [new] = other_files(record, a_record(tmp_path / "drv", *record.files, more, made))
    assert (new.name, new.recorded, new.present) == ("$(src)/c.h", None, "0" * 64)


def test_variables_that_differ_are_named() -> None:
    found = list(changed_variables({"A": "1", "B": "2", "C": "3"}, {"A": "1", "B": "4", "D": "5"}))
    assert [(item.name, item.recorded, item.present) for item in found] == [
        ("B", "2", "4"),
        ("C", "3", None),
        ("D", None, "5"),
    ]


def test_programs_are_told_apart_by_version_and_by_digest() -> None:
    package = PackageVersion("gcc-12", "12.2.0-14", "amd64", "deb", "debian")
    gcc = UsedProgram("compiler", "gcc-12", "gcc-12 12.2.0", "a" * 64, package)
    assert list(changed_programs([gcc], [gcc])) == []
    [found] = changed_programs([gcc], [replace(gcc, version="gcc-12 12.3.0", sha256="b" * 64)])
    words = "gcc-12 12.2.0 (gcc-12 12.2.0-14) recorded, gcc-12 12.3.0 (gcc-12 12.2.0-14) here"
    assert found.text() == f"compiler gcc-12: {words}"
    [found] = changed_programs([gcc], [replace(gcc, sha256="b" * 64)])
    assert "SHA-256 aaaaaaaaaaaaaaaa recorded" in found.text()
    [lost, new] = changed_programs([gcc], [replace(gcc, role="assembler")])
    assert (lost.present, new.recorded) == (None, None)


def test_words_for_inputs() -> None:
    assert ChangedInput("source", "$(src)/a.c", "a" * 64, None).text() == "source $(src)/a.c: missing here"
    assert ChangedInput("flag", "a.o", None, "-O3").text() == "flag a.o: -O3 was not recorded"
    assert ChangedInput("variable", "W", "1", "2").text() == "variable W: 1 recorded, 2 here"


def with_sizes(contents: bytes, size: int) -> bytes:
    """An object whose symbols have a size each."""
    image = ModuleImage(contents, "x")
    changed = bytearray(contents)
    [symtab] = [section for section in image.sections if section.type == SHT_SYMTAB]
    for at in range(symtab.offset + 24, symtab.offset + symtab.size, 24):
        changed[at + 16 : at + 24] = size.to_bytes(8, "little")
    return bytes(changed)


def test_sections_and_symbols_that_differ_are_named() -> None:
    symbols = [Sym("same", 1, value=0), Sym("other", 1, value=4)]
    one = with_sizes(elf_object([Sec(".text", TEXT, b"aaaabbbb")], symbols), 4)
    two = with_sizes(elf_object([Sec(".text", TEXT, b"aaaabbbc"), Sec(".more", TEXT, b"x")], symbols), 4)
    assert changed_sections(one, one) == []
    found = {item.section: item for item in changed_sections(one, two)}
    assert (found[".text"].what, found[".text"].symbols) == ("differs", ("other",))
    assert found[".more"].what == "only in the rebuilt one"
    assert {item.section: item.what for item in changed_sections(two, one)}[".more"] == "only in the module"
    assert changed_sections(one, b"no ELF")[0].what.startswith("differs: ")
    [rest] = changed_sections(one, one[:20] + b"\x02" + one[21:])
    assert rest.section == ""


def test_the_note_is_read_as_it_was_written_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    note_call(tmp_path, CALL)
    assert read_call(tmp_path) == CALL
    path = tmp_path / ".kbuildpy/call.json"
    before = path.stat().st_ino
    note_call(tmp_path, CALL)
    assert path.stat().st_ino == before
    text = path.read_text()
    for damaged in (text[:-2], "[]", "7", json.dumps({**json.loads(text), "more": 1}), text.replace('"/drv"', "7")):
        path.write_text(damaged)
        assert read_call(tmp_path) is None


def test_the_environment_has_what_decides_and_no_secrets(tmp_path: Path) -> None:
    (tmp_path / "Kbuild").write_text("ccflags-y += $(MINE) ${ALSO}\nifdef CI_TOKEN\nendif\nx := $(HOME)$(PATH)\n")
    environ = {
        **dict.fromkeys(("MINE", "ALSO", "KCFLAGS", "SOURCE_DATE_EPOCH", "ARCH"), "1"),
        **dict.fromkeys(("CI_TOKEN", "KBUILD_SIGN_PIN", "HOME", "PATH", "OTHER", "KDIR"), "2"),
    }
    found = deciding_environment(environ, [tmp_path / "Kbuild", tmp_path / "gone"])
    assert found == dict.fromkeys(("ALSO", "ARCH", "KCFLAGS", "MINE", "SOURCE_DATE_EPOCH"), "1")
    assert recorded_environment({"ARCH": "x"}, environ) == {"HOME": "2", "PATH": "2", "ARCH": "x"}


def test_declarations_become_kbuild_files() -> None:
    one = DeclaredKbuild("", "a", "obj-m := a.o\n")
    flagged = DeclaredKbuild("sub", "b", "obj-m := b.o\nb-y := c.o d.o\nccflags-y := -DX\n")
    other = DeclaredKbuild("sub", "e", "obj-m := e.o\n")
    assert declared_files([one]) == {"Kbuild": "obj-m += a.o\n"}
    assert declared_files([one, flagged]) == {
        "Kbuild": "obj-m += a.o\nobj-m += sub/\n",
        "sub/Kbuild": "obj-m += b.o\nb-y := c.o d.o\nccflags-y := -DX\n",
    }
    assert declared_files([flagged, other])["sub/Kbuild"] == (
        "obj-m += b.o\nb-y := c.o d.o\nCFLAGS_c.o := -DX\nCFLAGS_d.o := -DX\nobj-m += e.o\n"
    )
    with pytest.raises(KbuildError, match="flags for the linker"):
        declared_files([other, DeclaredKbuild("sub", "f", "obj-m := f.o\nldflags-y := -s\n")])


def test_a_module_without_a_build_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ko").write_bytes(MODULE)
    with pytest.raises(KbuildError, match="no build of this module where it lies"):
        find_build(tmp_path / "a.ko")
    with pytest.raises(KbuildError, match="no build of this module below"):
        find_build(tmp_path / "a.ko", tmp_path)
    note_call(tmp_path / "out", CALL)
    (tmp_path / "out/a.ko").write_bytes(MODULE + b"x")
    with pytest.raises(KbuildError, match="not the module that was built"):
        find_build(tmp_path / "a.ko", tmp_path)
    assert find_build(tmp_path / "out/a.ko").below == "a"
    (tmp_path / "out/signed").mkdir()
    (tmp_path / "out/signed/a.ko").write_bytes(MODULE + b"x")
    assert find_build(tmp_path / "out/signed/a.ko").below == "a"
