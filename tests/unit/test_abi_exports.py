# SPDX-License-Identifier: GPL-2.0-only
"""The exported symbols of two made-up kernels, and what `kbuildpy abi` prints of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbuildpy.abi.as_json import symbol_json
from kbuildpy.abi.explain_kernels import explain_kernels
from kbuildpy.abi.explain_module import Side
from kbuildpy.abi.exports import compare_exports
from kbuildpy.abi.text import kernels_lines
from kbuildpy.cli import main
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.symvers import parse_symvers
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.exports import SymversExports
from tests.support.command_line import call
from tests.support.fake_trees import fake_tree

OLD = """0x00000001\tsame\tvmlinux\tEXPORT_SYMBOL\t
0x00000002\tother_crc\tvmlinux\tEXPORT_SYMBOL\t
0x00000003\tgone\tdrivers/a\tEXPORT_SYMBOL_GPL\t
0x00000004\tnow_gpl\tvmlinux\tEXPORT_SYMBOL\t
0x00000005\tnow_free\tvmlinux\tEXPORT_SYMBOL_GPL\t
0x00000006\tspace\tvmlinux\tEXPORT_SYMBOL\tOLD
0x00000007\tmoved\tdrivers/a\tEXPORT_SYMBOL\t
"""
NEW = """0x00000001\tsame\tvmlinux\tEXPORT_SYMBOL\t
0x00000012\tother_crc\tvmlinux\tEXPORT_SYMBOL\t
0x00000013\tcame\tvmlinux\tEXPORT_SYMBOL_GPL\t
0x00000004\tnow_gpl\tvmlinux\tEXPORT_SYMBOL_GPL\t
0x00000005\tnow_free\tvmlinux\tEXPORT_SYMBOL\t
0x00000006\tspace\tvmlinux\tEXPORT_SYMBOL\tNEW
0x00000007\tmoved\tdrivers/b-c\tEXPORT_SYMBOL\t
"""


def side(text: str, release: str = "6.1.0-1", *, modversions: bool = True) -> Side:
    exports = SymversExports(parse_symvers(text.encode(), Path("symvers")), modversions)
    return Side(LoaderKernel(release, (6, 1), "x86_64", exports=exports), None, "no BTF here")


def test_each_kind_of_change_has_its_name() -> None:
    found = {each.symbol: each.kinds for each in compare_exports(side(OLD).kernel, side(NEW).kernel)}
    assert found == {
        "same": (),
        "other_crc": ("crc",),
        "gone": ("gone",),
        "came": ("came",),
        "now_gpl": ("gpl-only",),
        "now_free": ("free",),
        "space": ("namespace",),
        "moved": ("moved",),
    }


def test_kernels_without_modversions_have_no_crcs_that_differ() -> None:
    old, new = (side(text, modversions=False).kernel for text in (OLD, NEW))
    assert not any(each.crc for each in compare_exports(old, new))


def test_the_text_counts_and_names_them_and_says_why_no_crc_is_explained() -> None:
    lines = list(kernels_lines(explain_kernels(side(OLD), side(NEW, "6.1.0-2")), verbose=False, asked=False))
    assert lines == [
        "6.1.0-1 exports 7 symbols, 6.1.0-2 7: 1 are gone, 1 came, 1 have another CRC, 5 the same",
        "  gone: gone",
        "  came: came",
        "  for GPL-compatible modules only now: now_gpl",
        "  for every module now: now_free",
        "  space: namespace OLD -> NEW",
        "  exported by another module now: moved",
        "why CRCs changed is not known: no BTF here",
    ]


def test_patterns_choose_symbols_also_those_that_are_the_same() -> None:
    report = explain_kernels(side(OLD), side(NEW), ("s*", "other_crc"))
    assert [each.change.symbol for each in report.symbols] == ["other_crc", "same", "space"]
    assert symbol_json(report.symbols[0], "A", "B") == {
        "symbol": "other_crc",
        "from": "A",
        "to": "B",
        "changes": ["crc"],
        "old": {"owner": "vmlinux", "crc": 2, "gpl_only": False, "namespace": ""},
        "new": {"owner": "vmlinux", "crc": 0x12, "gpl_only": False, "namespace": ""},
        "why": {"path": None, "type": None, "differences": [], "within": [], "others": 0, "note": "no BTF here"},
    }


def test_a_kernel_whose_exports_are_not_known_is_an_error_with_a_hint() -> None:
    unknown = LoaderKernel("6.1.0-2", (6, 1), "x86_64")
    with pytest.raises(KbuildError, match=r"the exported symbols of 6\.1\.0-2 are not known") as caught:
        list(compare_exports(side(OLD).kernel, unknown))
    assert "Module.symvers" in caught.value.hint


CHANGED = ["came", "gone", "moved", "now_free", "now_gpl", "other_crc", "space"]


def fake_kernels(tmp_path: Path) -> list[Path]:
    """Two kernel trees with these exports."""
    trees = [fake_tree(tmp_path / name, f"6.1.0-{name}") for name in ("old", "new")]
    for tree, text in zip(trees, (OLD, NEW), strict=True):
        (tree / "Module.symvers").write_text(text)
        (tree / "include/config/auto.conf").write_text("CONFIG_X86=y\nCONFIG_64BIT=y\nCONFIG_MODVERSIONS=y\n")
    return trees


def test_the_command_prints_text_and_json_of_two_trees(tmp_path: Path) -> None:
    old, new = fake_kernels(tmp_path)
    called = call("abi", old, new, cwd=tmp_path)
    assert called.returncode == 0, called.error_text
    assert called.text.startswith(
        "6.1.0-old exports 7 symbols, 6.1.0-new 7: 1 are gone, 1 came, 1 have another CRC, 5 the"
    )
    assert "why CRCs changed is not known: no type information (BTF) of 6.1.0-old was found" in called.text
    objects = [json.loads(line) for line in call("abi", old, new, "--format", "json", cwd=tmp_path).text.splitlines()]
    assert [each["symbol"] for each in objects] == CHANGED
    assert call("abi", old, new, "--symbol", "same", cwd=tmp_path).text == "same: the same\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--symbol", "nosuch"], "--symbol nosuch: neither kernel exports it"),
        (["nosuch.ko"], "nosuch.ko: no such file or directory"),
        (["."], "no modules below ."),
    ],
)
def test_wrong_words_end_with_status_2(words: list[str], message: str, tmp_path: Path) -> None:
    trees = fake_kernels(tmp_path)
    called = call("abi", *trees, *words, cwd=tmp_path)
    assert (called.returncode, called.error_text.splitlines()[0]) == (2, f"kbuildpy: error: {message}")


def test_options_that_exclude_modules_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["abi", "a", "b", str(tmp_path), "--symbol", "x"]) == 2
    assert "--symbol and --with-modules compare kernels" in capsys.readouterr().err
