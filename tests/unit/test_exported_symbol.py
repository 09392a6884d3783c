# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy explain --symbol`: who exports a symbol in which kernel, by small trees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbuildpy import cli
from kbuildpy.cli.explain_symbols import symbol_to_json
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.exported_symbol import exported_symbol
from kbuildpy.kernel.tree import KernelTree

OLD = "0x00000001\tgone_one\tvmlinux\tEXPORT_SYMBOL\t\n0x0000000a\tkept\tdrivers/a\tEXPORT_SYMBOL_GPL\tSPACE\n"
NEW = "0x0000000b\tkept\tdrivers/a\tEXPORT_SYMBOL_GPL\tSPACE\n0x00000002\tnew_one\tvmlinux\tEXPORT_SYMBOL\t\n"
HEADER = "/* gone_one() is\n * gone_one */\nstatic inline int gone_one(int a)\n{\n\treturn gone_one_x(a);\n}\n"


def tree(place: Path, symvers: str, release: str, header: str = "") -> KernelTree:
    """A tree that has nothing but a symvers file and a header."""
    (place / "include/linux").mkdir(parents=True)
    (place / "Module.symvers").write_text(symvers)
    (place / "include/linux/a.h").write_text(header)
    return KernelTree(place, place, release)


def test_says_who_exports_it(tmp_path: Path) -> None:
    found = exported_symbol("kept", tree(tmp_path, OLD, "6.1.0-1-amd64"))
    assert (found.owner, found.gpl_only, found.namespace, found.crc) == ("drivers/a", True, "SPACE", 10)
    assert found.exported
    assert not exported_symbol("gone_one", KernelTree(tmp_path, tmp_path, "6.1.0-1-amd64")).gpl_only


def test_says_where_headers_have_what_nobody_exports(tmp_path: Path) -> None:
    found = exported_symbol("gone_one", tree(tmp_path, NEW, "6.12.1", HEADER + "#define gone_one(x) \\\n\t0\n"))
    assert not found.exported
    assert [(place.file, place.line) for place in found.headers] == [
        ("include/linux/a.h", 3),
        ("include/linux/a.h", 7),
    ]
    assert found.headers[0].text == "static inline int gone_one(int a)"


def test_asks_whether_a_name_that_is_like_it_is_meant(tmp_path: Path) -> None:
    assert exported_symbol("keptt", tree(tmp_path, OLD, "6.1")).similar == "kept"


def test_a_tree_without_symvers_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(KbuildError, match=r"Module\.symvers: No such file"):
        exported_symbol("kept", KernelTree(tmp_path, tmp_path, "6.1"))


def test_symbols_exclude_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "x.o", "--symbol", "kept"]) == 2
    said = capsys.readouterr().err
    assert "--symbol excludes objects, directories and --diff" in said
    assert "leave out x.o;" in said


def test_json_says_nothing_about_a_symbol_that_is_not_there(tmp_path: Path) -> None:
    found = symbol_to_json(exported_symbol("keptt", tree(tmp_path, OLD, "6.1")))
    assert json.loads(json.dumps(found)) == {
        "symbol": "keptt",
        "kernel": "6.1",
        "exported": False,
        "owner": None,
        "license": None,
        "gpl_only": None,
        "namespace": None,
        "crc": None,
        "headers": [],
        "similar": "kept",
    }
