# SPDX-License-Identifier: GPL-2.0-only
"""Pieces of modpost that need neither a kernel tree nor its modpost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel import symvers
from kbuildpy.kernel.symvers import IndexedSymvers, SymversColumns, format_symvers, read_symvers
from kbuildpy.kernel.symvers_index import MIN_LINES, SymversIndex, format_index
from kbuildpy.modpost.layout_probe import parse
from kbuildpy.modpost.layouts import DeviceTableLayouts, StructLayout
from kbuildpy.modpost.md4 import _digest, _digest_libcrypto, srcversion_digest
from kbuildpy.modpost.names import without_suffix
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.records import line_by_line, recorded_crcs, recorded_sources
from kbuildpy.modpost.srcversion import significant
from kbuildpy.template_path import template_path


def test_options_are_read_as_getopt_does() -> None:
    options = ModpostOptions.parse(
        ["-Mm", "-aE", "-o", "out", "-T", "-", "-i", "Module.symvers", "-i../a.symvers", "-e", "-dDEPS"]
    )
    assert options == ModpostOptions(
        external=True,
        symvers=(Path("Module.symvers"), Path("../a.symvers")),
        modules_enabled=True,
        modversions=True,
        all_srcversions=True,
        mismatch_is_error=True,
        namespace_deps=Path("DEPS"),
    )


@pytest.mark.parametrize(
    ("argv", "complaint"), [(["-Q"], "unknown option -Q"), (["-i"], "requires"), (["vmlinux.o"], "kernel itself")]
)
def test_unknown_words_are_refused(argv: list[str], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        ModpostOptions.parse(argv)


def test_a_suffix_of_digits_is_no_part_of_a_name() -> None:
    names = {"a": "a", "a.1": "a", "a.1.b": "a", "a.b.1": "a.b.1", ".a.1": ".a.1", "a.": "a.", "a.1b": "a.1b", "": ""}
    assert {name: without_suffix(name) for name in names} == names


@pytest.mark.parametrize("size", [0, 55, 56, 63, 64, 1000, 20_000])
def test_libcrypto_and_python_digest_alike(size: int) -> None:
    blocks = bytes(range(256)) * (size // 4 + 1)
    blocks = blocks[: len(blocks) // 64 * 64]
    fast = _digest_libcrypto(blocks)
    if fast is None:
        pytest.skip("no libcrypto with MD4 here")
    assert fast == _digest(blocks)


def test_a_srcversion_is_what_modpost_said_once() -> None:
    source = (
        b"#include <linux/module.h>\n#include <linux/init.h>\n"
        b'static int __init hello_init(void){ pr_info("hi\\n"); return 0; }\n'
        b"static void __exit hello_exit(void){}\nmodule_init(hello_init); module_exit(hello_exit);\n"
        b'MODULE_LICENSE("GPL"); MODULE_DESCRIPTION("x"); MODULE_VERSION("1");\n'
    )
    assert srcversion_digest(significant(source)) == "5202930495B4CAE7EC0196E"


def test_what_counts_of_a_source() -> None:
    source = b'int  x; /* no */ char *s = "a  b\\" c"; // yes\n#define A \\\n B\n/*/ y'
    assert significant(source) == b'intx;char*s="a  b\\" c";//yes#defineABy'


def test_an_unclosed_comment_takes_the_rest() -> None:
    assert significant(b"a /* b c") == b"a"


lines = st.lists(
    st.sampled_from(
        [
            "source_a := d/a.c",
            "deps_a := \\",
            "  d/x.h \\",
            "  d/e/y.h \\",
            "  d/z.h",
            "  /q/d/d/w.h \\",
            "",
            "\\",
            "cmd",
        ]
    ),
    max_size=12,
)


@settings(max_examples=500)
@given(lines, st.sampled_from(["", "\n"]))
def test_the_quick_way_through_a_record_is_the_slow_one(record: list[str], end: str) -> None:
    text = "\n".join(record) + end
    assert list(recorded_sources(text, "d/a.o")) == list(line_by_line(text, "d/"))


def test_crcs_of_a_record() -> None:
    text = "cmd\n#SYMVER a 0x10\n#SYMVER b 12\n#SYMVER c nonsense\n#SYMVER d 010\n#SYMVER e 0x1"
    assert list(recorded_crcs(text)) == [("a", 16), ("b", 12), ("d", 8)]


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFFFFFF),
            st.from_regex(r"\A[a-z_]+\Z"),
            st.just("drv/a"),
            st.sampled_from(["EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL"]),
            st.just("NS"),
        )
    )
)
def test_symvers_written_are_symvers_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("symvers") / "Module.symvers"
    path.write_text("".join(format_symvers(rows)))
    found = read_symvers(path).columns
    crcs = [int(crc, 16) for crc in found.crcs]
    assert list(zip(crcs, found.symbols, found.owners, found.licenses, found.namespaces, strict=True)) == rows


def test_a_symvers_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "Module.symvers"
    path.write_text("0x00000001\ta\tdrv\tEXPORT_SYMBOL\t\n")
    assert read_symvers(path).columns.symbols == ["a"]
    path.write_text("0x00000001\tlonger\tdrv\tEXPORT_SYMBOL\t\n")
    assert read_symvers(path).columns.symbols == ["longer"]


@settings(max_examples=50)
@given(st.dictionaries(st.from_regex(r"\A[a-z_.]{1,8}\Z"), st.integers(0, 0xFFFFFFFF), min_size=1))
def test_an_index_of_symvers_says_what_its_file_says(crcs: dict[str, int]) -> None:
    lines = format_symvers(
        (crc, name, "drv/a", "EXPORT_SYMBOL_GPL" if crc % 2 else "EXPORT_SYMBOL", "NS" * (crc % 3))
        for name, crc in crcs.items()
    )
    index = SymversIndex(format_index("".join(lines).encode()))
    for line in lines:
        crc, symbol, *others = line.rstrip("\n").split("\t")
        assert index.find(symbol) == (crc, *others)
    for symbol in {"", "a", *(f"{name}x" for name in crcs), *(name[:-1] for name in crcs)} - crcs.keys():
        assert index.find(symbol) is None


def test_a_long_symvers_file_is_cut_once_and_a_damaged_index_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    rows = [(number, f"s{number}", "drv/a", "EXPORT_SYMBOL", "") for number in range(MIN_LINES)]
    files = [tmp_path / name for name in "abc"]
    for path in files:
        path.write_text("".join(format_symvers(rows)))
    assert isinstance(read_symvers(files[0]), SymversColumns)
    second = read_symvers(files[1])
    assert isinstance(second, IndexedSymvers)
    assert second.find("s17") == read_symvers(files[0]).find("s17") == ("0x00000011", "drv/a", "EXPORT_SYMBOL", "")
    [index] = (tmp_path / "cache/symvers").iterdir()
    index.write_bytes(index.read_bytes().replace(b"s17\t", b"s18\t"))
    assert isinstance(read_symvers(files[2]), SymversColumns)


def test_a_missing_symvers_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KbuildError, match=r"none\.symvers: No such file"):
        read_symvers(tmp_path / "none.symvers")


def test_a_symvers_file_that_is_larger_than_any_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line can ask for 30 times its length of memory; Debian's kernels have 2.4 MiB."""
    path = tmp_path / "large.symvers"
    line = "0x00000001\tabcdef\tvmlinux\tEXPORT_SYMBOL\t\n"
    path.write_text(line)
    with path.open("ab") as file:
        file.truncate(8 << 20)
    assert read_symvers(path).find("abcdef"), "of this size it is read"
    with path.open("ab") as file:
        file.truncate(9 << 20)
    monkeypatch.setattr(symvers, "read_regular", lambda path: pytest.fail(f"{path} is read"))
    with pytest.raises(KbuildError, match=r"large\.symvers: 9 MiB are too large for a symvers file"):
        read_symvers(path)


def test_layouts_are_read_out_of_assembly_and_objects() -> None:
    compiled = (
        b'.ascii "->SIZE__i2c_device_id $32 "\n->OFFSET__i2c_device_id__name #8 ->MEMBER__i2c_device_id__name $20 '
    )
    layouts = parse(compiled)
    assert layouts.structs == {"i2c_device_id": StructLayout(32, {"name": (8, 20)})}
    assert DeviceTableLayouts.from_json(layouts.to_json()) == layouts  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "saved", [{"x": {}}, {"x": {"size": "1", "members": {}}}, {"x": {"size": 1, "members": {"a": [1]}}}]
)
def test_a_damaged_layout_cache_is_refused(saved: dict[str, dict[str, object]]) -> None:
    with pytest.raises(KbuildError, match="the cached value is damaged"):
        DeviceTableLayouts.from_json(saved)


def test_the_template_is_found() -> None:
    assert template_path("modpost/mod.c.j2").read_text().startswith("{% for header")
    with pytest.raises(KbuildError, match="template nothing is missing"):
        template_path("nothing")


def test_describing_modules_imports_neither_elf_nor_templates() -> None:
    code = "import sys\nimport kbuildpy.modpost.options, kbuildpy.modpost.records\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"kbuildpy.elf", "jinja2", "elftools"} & set(done.stdout.split())
