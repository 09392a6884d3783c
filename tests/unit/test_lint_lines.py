# SPDX-License-Identifier: GPL-2.0-only
"""What checkers print, as findings; at whose lines they are; and how they are printed again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.lint.checkers import CHECKERS
from kbuildpy.lint.compiler_lines import read_compiler_lines
from kbuildpy.lint.finding import Finding, FindingNote
from kbuildpy.lint.own_files import at_own_place, is_own_file
from kbuildpy.lint.source_checker import CheckRun
from kbuildpy.lint.subjects import LintSubject
from kbuildpy.run import run

# gcc 12, with the options of the checkers.
INLINED = """\
In file included from /k/include/linux/string.h:306,
                 from /m/a.c:2:
In function 'fortify_memcpy_chk',
    inlined from 'copy_it' at /m/a.c:11:9,
    inlined from 'init' at /m/a.c:51:9:
/k/include/linux/fortify-string.h:57:33: warning: 'x' may be used uninitialized [-Wmaybe-uninitialized]
/m/a.c: In function 'init':
/m/a.c:48:13: error: variable 'y' set but not used [-Werror=unused-but-set-variable]
/m/a.c:3: warning: no column [-Wfoo=]
/m/a.c:70: fatal error: gone.h: No such file or directory
compilation terminated.
"""
SPARSE = """\
a.c:11:9: warning: incorrect type in argument 1 (different address spaces)
a.c:11:9:    expected void const *
a.c:11:9:    got char [noderef] __user *from
a.c:12:9: error: bad integer type [usertype]
a.c:13:1:    nothing before it
"""
ANALYZER = """\
/k/fortify.h:57:33: warning: dereference of NULL 'p' [CWE-476] [-Wanalyzer-null-dereference]
/k/fortify.h:469:9: note: in expansion of macro '__inner'
/m/a.c:11:9: note: in expansion of macro 'memcpy'
/m/a.c:45:19: note: (1) entry to 'init'
/k/fortify.h:57:33: note: (2) dereference of NULL 'p'
/m/a.c:11:9: note: in expansion of macro 'memcpy'
"""


def own(path: str) -> bool:
    return path.startswith("/m/")


def subject(cwd: str = "/m") -> LintSubject:
    return LintSubject("a.o", "/m", "/m/a.c", cwd, ("gcc", "-c", "-o", "a.o", "a.c"))


def test_reads_a_compilers_lines() -> None:
    found = read_compiler_lines(INLINED, checker="cc", cwd="/m", tab_width=8)
    places = [(each.file, each.line, each.column, each.level, each.rule) for each in found]
    assert places == [
        ("/k/include/linux/fortify-string.h", 57, 33, "warning", "-Wmaybe-uninitialized"),
        ("/m/a.c", 48, 13, "error", "-Wunused-but-set-variable"),
        ("/m/a.c", 3, 0, "warning", "-Wfoo"),
        ("/m/a.c", 70, 0, "error", ""),
    ]
    assert found[1].message == "variable 'y' set but not used"
    assert {each.tab_width for each in found} == {8}


COMPILERS = [name for name in ("gcc", "clang", "clang-14", "clang-19") if shutil.which(name)]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_warning_that_is_an_error_has_the_rule_of_the_warning(compiler: str, tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int f(void)\n{\n\tint x;\n\treturn 0;\n}\n")
    words = [compiler, "-Wall", "-fsyntax-only", "a.c"]
    rules = []
    for more in ([], ["-Werror"]):
        done = run([*words, *more], check=False, cwd=tmp_path, env={**os.environ, "LC_ALL": "C"})
        rules += [(each.level, each.rule) for each in read_compiler_lines(done.error_text, checker="cc", cwd="/m")]
    assert rules == [("warning", "-Wunused-variable"), ("error", "-Wunused-variable")]


def test_a_finding_in_an_inlined_function_of_the_kernel_belongs_to_the_line_that_calls_it() -> None:
    read_lines = read_compiler_lines(INLINED, checker="cc", cwd="/m")
    found = [at_own_place(each, own, kernel_headers=False) for each in read_lines]
    assert (found[0].file, found[0].line, found[0].column) == ("/m/a.c", 11, 0)
    assert found[0].notes == ()
    # (and what follows is not in that function)
    assert (found[1].file, found[1].line) == ("/m/a.c", 48)
    assert [note.text for note in read_lines[0].notes] == ["inlined from 'copy_it'", "inlined from 'init'"]
    assert read_lines[1].notes == ()


def test_a_step_in_an_inlined_function_is_at_the_line_that_calls_it() -> None:
    text = (
        "/m/a.c:1:1: warning: x [-Wanalyzer-x]\n"
        "In function 'inner',\n    inlined from 'f' at /m/a.c:5:6:\n/k/x.h:9:9: note: (1) into\n"
        "In function 'lost',\n    inlined from 'g' at /m/a.c:7:8:\n/m/a.c: In function 'g':\n"
        "/k/x.h:2:2: warning: y\n"
    )
    first, second = read_compiler_lines(text, checker="fanalyzer", cwd="/m")
    assert at_own_place(first, own, kernel_headers=False).notes == (FindingNote("/m/a.c", 5, 0, "(1) into"),)
    assert second.notes == ()


def test_a_finding_in_a_macro_of_the_kernel_belongs_to_the_line_that_uses_it() -> None:
    [found] = read_compiler_lines(ANALYZER, checker="fanalyzer", cwd="/m")
    short, long = (at_own_place(found, own, kernel_headers=shown) for shown in (False, True))
    assert (short.file, short.line, short.column) == (long.file, long.line, long.column) == ("/m/a.c", 11, 9)
    assert short.notes == (
        FindingNote("/m/a.c", 45, 19, "(1) entry to 'init'"),
        FindingNote("/m/a.c", 11, 9, "(2) dereference of NULL 'p'"),
    )
    assert FindingNote("/k/fortify.h", 469, 9, "in expansion of macro '__inner'") in long.notes
    assert FindingNote("/k/fortify.h", 57, 33, f"here: {found.message}") in long.notes


def test_a_finding_in_a_header_that_no_line_of_the_module_uses_stays_there() -> None:
    [found] = read_compiler_lines("/k/x.h:1:1: warning: x\n/m/a.c:1:1: note: see here\n", checker="cc", cwd="/")
    assert at_own_place(found, own, kernel_headers=False) == found


def test_a_finding_in_a_macro_of_the_command_line_belongs_to_the_line_that_uses_it() -> None:
    text = "<command-line>: warning: no previous prototype for 'x' [-Wmissing-prototypes]\n"
    [alone] = read_compiler_lines(text, checker="cc", cwd="/m")
    assert (alone.file, alone.line) == ("<command-line>", 0)
    [found] = read_compiler_lines(f"{text}a.c:2:6: note: in expansion of macro 'NAME'\n", checker="cc", cwd="/m")
    found = at_own_place(found, is_own_file(KernelTree(Path("/k"), Path("/k"), "6.1"), "/m"), kernel_headers=False)
    assert (found.file, found.line, found.column, found.notes) == ("/m/a.c", 2, 6, ())


def test_joins_the_lines_of_sparse_and_prints_them_again() -> None:
    found = read_compiler_lines(SPARSE, checker="sparse", cwd="/m", names_rules=False)
    printed = [line for each in found for line in each.lines(lambda path: path.removeprefix("/m/"))]
    expected = SPARSE.splitlines()[:4]
    assert [line.removesuffix(" [sparse]") for line in printed] == expected
    # (what is in brackets there is C)
    assert [each.rule for each in found] == ["", ""]


def test_json_has_the_whole_message_of_sparse() -> None:
    first, _ = read_compiler_lines(SPARSE, checker="sparse", cwd="/m", names_rules=False)
    told = first.to_json("6.1", str)
    assert str(told["message"]).splitlines()[1:] == ["expected void const *", "got char [noderef] __user *from"]
    assert (told["rule"], told["line"], told["column"], told["kernel"]) == (None, 11, 9, "6.1")


def read(checker: str, text: str, **rest: str) -> list[Finding]:
    return CHECKERS[checker].read(text, CheckRun(("program",), subject(), "a.o", **rest))


def test_reads_smatch() -> None:
    text = (
        "a.c:19 deref() warn: variable dereferenced before check 'p' (see line 17)\n/m/a.c:41 f() error: double free\n"
    )
    found = [(each.file, each.line, each.level, each.message) for each in read("smatch", text)]
    assert found == [
        ("/m/a.c", 19, "warning", "deref(): variable dereferenced before check 'p' (see line 17)"),
        ("/m/a.c", 41, "error", "f(): double free"),
    ]


def test_reads_coccinelle_whose_columns_begin_at_0() -> None:
    text = "/m/a.c:40:2-7: WARNING: NULL check\n/m/a.c:54:16-17: Unneeded semicolon\n/m/a.c:41:7-8: ERROR: freed\n"
    found = [
        (each.line, each.column, each.level, each.message, each.rule) for each in read("coccinelle", text, rule="r")
    ]
    assert found == [
        (40, 3, "warning", "NULL check", "r"),
        (54, 17, "warning", "Unneeded semicolon", "r"),
        (41, 8, "error", "freed", "r"),
    ]


def test_reads_checkpatch() -> None:
    text = "second.c:8: ERROR:SPACING: space required\n/m/s.h:9: CHECK:BRACES: Blank lines: none\n"
    found = [(each.file, each.line, each.level, each.message, each.rule) for each in read("checkpatch", text, cwd="/m")]
    assert found == [
        ("/m/second.c", 8, "error", "space required", "SPACING"),
        ("/m/s.h", 9, "note", "Blank lines: none", "BRACES"),
    ]


def test_fanalyzer_leaves_the_compilers_warnings_to_cc_and_tells_errors() -> None:
    text = f"{INLINED}{ANALYZER}"
    assert [each.rule for each in read("fanalyzer", text)] == [
        "-Wunused-but-set-variable",
        "",
        "-Wanalyzer-null-dereference",
    ]


def test_sources_beside_the_module_directory_are_the_modules_and_headers_of_kernel_and_system_are_not(
    tmp_path: Path,
) -> None:
    names = ("k/source/slab.h", "k/objects/autoconf.h", "k/source/drivers/usb/core.c", "common/a.c")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    tree = KernelTree(tmp_path / "k/objects", tmp_path / "k/source", "6.1")
    is_own = is_own_file(tree, f"{tmp_path}/drv")
    slab, autoconf, core, common = (str(tmp_path / name) for name in names)
    assert is_own(f"{tmp_path}/drv/a.c")
    assert is_own(common)
    assert not is_own(slab)
    assert not is_own(autoconf)
    assert not is_own("/usr/lib/os-release")
    (tmp_path / "link.h").symlink_to(slab)
    assert not is_own(f"{tmp_path}/link.h")
    inside = is_own_file(tree, f"{tmp_path}/k/source/drivers/usb")
    assert inside(core)
    assert not inside(slab)


def test_a_file_that_a_line_directive_names_from_nowhere_is_the_modules(tmp_path: Path) -> None:
    is_own = is_own_file(KernelTree(tmp_path, tmp_path, "6.1"), f"{tmp_path}/elsewhere")
    assert is_own(f"{tmp_path}/parser.y")
    (tmp_path / "parser.y").touch()
    assert not is_own(f"{tmp_path}/parser.y")


def test_a_compile_command_of_a_checker_writes_nothing_but_its_output() -> None:
    words = ("gcc", "-Wp,-MMD,.a.o.d", "-DX", "-c", "-o", "/m/a.o", "/m/a.c")
    about = LintSubject("a.o", "/m", "/m/a.c", "/m", words)
    assert about.compiling("-W", output="/t/1.o") == ("gcc", "-DX", "-W", "-c", "-o", "/t/1.o", "/m/a.c")
    assert about.compiling("-S", output="/dev/null") == ("gcc", "-DX", "-S", "-o", "/dev/null", "/m/a.c")
