# SPDX-License-Identifier: GPL-2.0-only
"""Statements: what goes in comes out, and what a stranger may have written is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.call_note import DeclaredKbuild
from kbuildpy.proof.places import BuildPlaces
from kbuildpy.proof.read_proofs import choose_proof, read_proofs
from kbuildpy.proof.record import BuildRecord, InputFile, MadeModule, MadeObject, PackageVersion, UsedProgram
from kbuildpy.proof.statement import is_unsigned_subject, record_of, statement_of, statement_text

A, B = "a" * 64, "b" * 64
PACKAGE = PackageVersion("gcc-12", "12.2.0-14+deb12u1", "amd64", "deb", "debian")
RECORD = BuildRecord(
    directory="/home/ci/drv",
    source="/usr/src/linux-headers-6.1-common",
    objects="/usr/src/linux-headers-6.1-amd64",
    release="6.1-amd64",
    kernel_packages=(PackageVersion("linux-headers-6.1-amd64", "6.1.2-1", "amd64", "deb", "debian"),),
    variables={"HDAPS": "1", "KCFLAGS": "-DX='a b'"},
    environment={"SOURCE_DATE_EPOCH": "1"},
    declared=(DeclaredKbuild("sub", "drv", "obj-m := drv.o\n"),),
    kbuildpy="0.1",
    files=(
        InputFile("$(objtree)/include/generated/autoconf.h", "kernel header", B),
        InputFile("$(src)/drv.c", "source", A),
        InputFile("/usr/lib/gcc/include/stdarg.h", "file outside", B),
    ),
    programs=(UsedProgram("compiler", "gcc-12", "gcc-12 (Debian) 12.2.0", A, PACKAGE),),
    made=(MadeObject("sub/drv.o", ("$(src)/drv.c",), ("gcc-12 -c -o $(src)/drv.o $(src)/drv.c",)),),
    modules=(MadeModule("sub/drv", "drv.ko", A, B, ("sub/drv.o",), ("ld -o sub/drv.ko",)),),
)


def test_a_record_comes_out_as_it_went_in() -> None:
    text = statement_text(statement_of(RECORD, builder="https://ci.example.org"))
    assert record_of(json.loads(text), "x") == RECORD
    assert statement_text(statement_of(RECORD)) == statement_text(statement_of(RECORD))


def test_a_subject_is_known_by_its_contents_without_signature() -> None:
    statement = statement_of(RECORD)
    assert is_unsigned_subject(statement, B)
    assert not is_unsigned_subject(statement, A)
    assert not is_unsigned_subject({"subject": [None, {"annotations": 1}]}, A)


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    """A statement with another value at a place."""
    statement: Any = copy.deepcopy(json.loads(statement_text(statement_of(RECORD))))
    place = statement
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return dict(statement)


DEFINITION = ("predicate", "buildDefinition")
EXTERNAL = (*DEFINITION, "externalParameters")
FILES = (*DEFINITION, "resolvedDependencies")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (changed("_type", value="https://in-toto.io/Statement/v0.1"), "not an in-toto statement of version 1"),
        (changed("predicateType", value="https://spdx.dev/Document"), "provenance of another kind"),
        (changed(*DEFINITION, "buildType", value="https://example.org/x"), "provenance of another kind"),
        (changed(*EXTERNAL, "directory", value="/"), "no directory"),
        (changed(*EXTERNAL, "directory", value="/home/../etc"), "no directory"),
        (changed(*EXTERNAL, "directory", value=7), "no text"),
        (changed(*EXTERNAL, "variables", value={"CC=sh -c x": "1"}), "no name of a variable"),
        (changed(*EXTERNAL, "variables", value={"CC": ["x"]}), "no text"),
        (changed(*FILES, 1, "name", value="$(src)/../../etc/passwd"), "no name of a file"),
        (changed(*FILES, 1, "name", value="drv.c"), "no name of a file"),
        (changed(*FILES, 1, "name", value="$(src)//etc/passwd"), "no name of a file"),
        (changed(*FILES, 1, "digest", value={"sha1": "0" * 40}), "'sha256' is missing"),
        (changed(*FILES, 1, "digest", value={"sha256": "../../x"}), "no SHA-256"),
        (changed(*FILES, value=7), "damaged record"),
        (changed("subject", value=[]), "no modules"),
        (changed("subject", 0, "annotations", value={"module": "../x"}), "damaged record"),
        (changed("predicate", value=None), "damaged record"),
        ({}, "not an in-toto statement"),
    ],
)
def test_refuses_what_is_no_record(statement: dict[str, Any], words: str) -> None:
    with pytest.raises(KbuildError, match=words):
        record_of(statement, "x")


def test_reads_bare_statements_envelopes_and_lines(tmp_path: Path) -> None:
    text = statement_text(statement_of(RECORD))
    file = tmp_path / "x"
    file.write_text(f"{text}\n")
    assert [item.where for item in read_proofs(file)] == [str(file)]
    file.write_text(f"{text}\n\n{text}\n")
    found = read_proofs(file)
    assert [item.where for item in found] == [f"{file}:1", f"{file}:3"]
    assert choose_proof(found, file, [lambda item: item.where.endswith(":1")]).where == f"{file}:1"
    with pytest.raises(KbuildError, match="none of its 2 statements"):
        choose_proof(found, file, [lambda item: False])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "[]",
        "{",
        "x\ny\n",
        "[" * 100_000,
        '{"payload": 1, "signatures": []}',
        '{"payload": "e30=", "payloadType": "text/plain", "signatures": []}',
        '{"payload": "%%", "payloadType": "application/vnd.in-toto+json", "signatures": []}',
        '{"payload": "W10=", "payloadType": "application/vnd.in-toto+json", "signatures": []}',
        '{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [7]}',
    ],
)
def test_refuses_files_that_hold_something_else(text: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(KbuildError):
        read_proofs(tmp_path / "x")


def test_places_name_files_and_find_them_again() -> None:
    places = BuildPlaces("/src/drv", "/src", "/src/out")
    for path, name in (
        ("/src/drv/a.c", "$(src)/a.c"),
        ("/src/include/b.h", "$(srctree)/include/b.h"),
        ("/src/out/c.h", "$(objtree)/c.h"),
        ("/src2/d.h", "/src2/d.h"),
        ("/src/drv-2/e.h", "$(srctree)/drv-2/e.h"),
    ):
        assert (places.name(path), places.path(name)) == (name, path)
    command = "gcc -I/src/include -include /src/x.h -Wp,-MMD,/src/drv/.a.o.d /src/drv-2/y.c /src2/z.c"
    assert places.text(command) == (
        "gcc -I$(srctree)/include -include $(srctree)/x.h -Wp,-MMD,$(src)/.a.o.d $(srctree)/drv-2/y.c /src2/z.c"
    )
