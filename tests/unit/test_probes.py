# SPDX-License-Identifier: GPL-2.0-only
"""Probes before and after the compiler: what may be asked, which texts may share a source, what messages mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.probes.apart import Apart, compatible, shared_names
from kbuildpy.probes.ask_compiler import ask_compiler
from kbuildpy.probes.c_text import declared_names, first_flaw, names_in, needs_own_unit
from kbuildpy.probes.diagnostics import read_messages
from kbuildpy.probes.judge import judge
from kbuildpy.probes.probe import Probe, make_probe
from kbuildpy.probes.probes_file import read_probes
from kbuildpy.probes.results import header_text, kbuild_variables
from kbuildpy.probes.translation_unit import includes_of, translation_unit


def probe(name: str = "HAVE_X", *, outside: str = "", strict: bool = False, **given: str) -> Probe:
    return make_probe(name, given, place="SConstruct:7", outside=outside, strict=strict)


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("f(1;\n}", 2, "'}' closes nothing"),
        ("f(1);\n{", 2, "'{' is not closed"),
        ('puts("x);', 1, '" is not closed'),
        ("x = 1;\n/* open", 2, "/* is not closed"),
        ("#ifdef A /* open\nf();\n#endif", 1, "/* is not closed"),
        ("#ifdef A\nf();", 1, "'#ifdef' is not closed"),
        ("f();\n#endif", 2, "#endif without #if"),
    ],
)
def test_refuses_a_text_that_would_swallow_the_next_probe(text: str, line: int, part: str) -> None:
    flaw = first_flaw(text)
    assert flaw is not None
    assert (flaw.line, part in flaw.message) == (line, True)
    with pytest.raises(UsageError, match=f"SConstruct:7: HAVE_X: line {line} of source"):
        probe(source=text)


@pytest.mark.parametrize(
    "text",
    [
        "#if A /* one {\n( two */\nf();\n#endif",
        '#define A "/*"\nf();',
        "#define A 1 // /*\nf();",
        "",
        "f('}', \"{\"); /* ( */ // [\n",
        "#if A /* } */\nf();\n#else\n#endif",
        'x = "\\"";',
        "a[b(c)] = (d){ 1 };",
    ],
)
def test_takes_a_text_that_closes_what_it_opens(text: str) -> None:
    assert first_flaw(text) is None


def test_knows_what_a_text_declares_at_file_scope() -> None:
    names, tags, calls = declared_names(
        "static const struct file_operations\nfops __attribute__((unused)) = { .open = do_open };\n"
        "static int do_open(struct inode *inode, struct file *file) { int local = 0; return local; }\n"
        "enum mode { ON, OFF };\nstruct mine { int a; };\nDEFINE_THING(thing, other);\nint one, two[2];\n"
        "static DEFINE_LOCK(lock);\nint DEFINED_TOO(one);\nDEFINED_TOO(two);\n"
    )
    assert {"fops", "do_open", "ON", "OFF", "thing", "other", "one", "two", "lock"} <= names
    assert calls == {"DEFINE_THING", "DEFINE_LOCK"}
    assert not names & {"local", "inode", "file", "open", "a", "file_operations"}
    assert tags == {"mine", "mode"}


def test_tells_members_and_tags_from_other_names() -> None:
    found = names_in("struct inode *i = f->get; x.put = get; goto out; out: ;\n#ifdef MACRO\n#endif")
    assert found.tags == {"inode"}
    assert {"get", "put", "inode", "out"} <= found.others
    assert {"i", "f", "x", "get", "MACRO"} <= found.plain


def test_a_text_that_defines_a_macro_gets_a_source_of_its_own() -> None:
    assert needs_own_unit("#define A 1\nf();")
    assert needs_own_unit("f();\n  #  include <linux/fs.h>")
    assert not needs_own_unit("#ifdef A\nf();\n#else\n#error no\n#endif")


def test_two_declarations_of_a_name_share_a_source_under_other_spellings() -> None:
    one, other = (
        probe(name, outside="static int f(void) { return 0; }", source="f();") for name in ("HAVE_A", "HAVE_B")
    )
    member = probe("HAVE_C", outside="static int g(void);", source="struct s x = { .g = g };")
    user = probe("HAVE_D", source="g();")
    probes = [one, other, member, user]
    apart = Apart(shared_names(probes))
    assert [sorted(apart.names(item)) for item in probes] == [["f"], ["f"], [], []]
    assert compatible(probes, apart) == [one, other, member]  # (g is a member, too, and keeps its name)


def test_reads_the_messages_of_gcc_and_of_clang() -> None:
    gcc = (
        ". /usr/src/include/linux/fs.h\n.. /usr/src/include/linux/list.h\n"
        'kbuildpy-mark-0:1:1: error: static assertion failed: "kbuildpy_mark_0"\n'
        "kbuildpy-probe-0: In function 'kbuildpy_probe_0':\n"
        "kbuildpy-probe-0:2:3: error: implicit declaration of function 'f__kbuildpy0' [-Werror=implicit]\n"
        "kbuildpy-outside-0:1:1: note: previous implicit declaration\n"
        "kbuildpy-outside-1:4:5: warning: conflicting types for 'g'\nkbuildpy-probe-0:9:1: note: previous declaration\n"
    )
    reading = read_messages(gcc)
    assert reading.headers == {"/usr/src/include/linux/fs.h", "/usr/src/include/linux/list.h"}
    assert reading.marks == {0}
    [message] = reading.messages[0]
    assert (message.line, message.part, message.is_error) == (2, "probe", True)
    assert message.text.startswith("implicit declaration of function 'f'")
    assert reading.undeclared == {"f": {0}}
    assert reading.meets == {(1, 0)}
    clang = (
        "kbuildpy-mark-3:1:1: error: static assertion failed: kbuildpy_mark_3\n"
        "kbuildpy-probe-3:1:1: error: call to undeclared function 'h'; ISO C99 and later do not support it\n"
    )
    assert read_messages(clang).marks == {3}
    assert read_messages(clang).undeclared == {"h": {3}}


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("cc1: error: unrecognized command-line option '-fnew'", "the compiler does not work"),
        ("gcc: fatal error: Killed signal terminated program cc1", "the compiler does not work"),
        ("include/linux/fs.h:3:4: error: unknown type name 'x'", "its headers do not compile"),
        ("kbuildpy-control:3:9: error: invalid use of undefined type 'struct module'", "its headers do not compile"),
    ],
)
def test_an_error_outside_of_the_probes_is_nobody_s_no(line: str, part: str) -> None:
    assert read_messages(line).others == [line]
    with pytest.raises(KbuildError, match=part):
        ask_compiler([probe(type="struct x")], lambda source, *, generate: line)


def test_a_compiler_that_reports_nothing_is_an_error() -> None:
    """The control: without its marks a source that seems to compile answers nothing."""
    with pytest.raises(KbuildError, match="reports no error where there is one"):
        ask_compiler([probe(type="struct x")], lambda source, *, generate: "")


def said(text: str) -> Sequence[str]:
    return [f"kbuildpy-probe-0:1:1: error: {text}"]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (probe(member="struct x.y"), "'struct x' has no member named 'y'"),
        (probe(type="x_t"), "unknown type name 'x_t'"),
        (probe(call="f(1)"), "implicit declaration of function 'f'"),
        (probe(call="f(1)"), "too few arguments to function 'f'"),
        (probe(call="f(1)"), 'macro "f" requires 2 arguments, but only 1 given'),
        (probe(source="f(1);"), "too few arguments to function 'f'"),
        (probe(source="#error none\n"), "#error none"),
    ],
)
def test_an_error_about_what_is_asked_is_a_no(asked: Probe, text: str) -> None:
    assert not judge(asked, read_messages("\n".join(said(text))).messages[0])


@pytest.mark.parametrize(
    ("asked", "text", "part"),
    [
        (probe(call="f(a)"), "'a' undeclared (first use in this function)", "for another reason than f"),
        (probe(call="f((struct s){})"), "invalid use of undefined type 'struct s'", "for another reason than f"),
        (probe(source="int x y;"), "expected '=', ',', ';', 'asm' or '__attribute__' before 'y'", "its syntax"),
    ],
)
def test_an_error_of_the_author_is_never_a_no(asked: Probe, text: str, part: str) -> None:
    with pytest.raises(KbuildError) as caught:
        judge(asked, read_messages("\n".join(said(text))).messages[0])
    assert caught.value.message.startswith("SConstruct:7: HAVE_X: line 1 of ")
    assert part in caught.value.message
    assert caught.value.hint


def test_a_warning_is_a_no_for_a_strict_probe_alone() -> None:
    messages = read_messages("kbuildpy-probe-0:1:1: warning: assignment discards 'const' qualifier").messages[0]
    assert judge(probe(source="f();"), messages)
    assert not judge(probe(source="f();", strict=True), messages)


@pytest.mark.parametrize(
    ("name", "given", "part"),
    [
        ("HAVE X", {"type": "x"}, "not the name of a macro"),
        ("CONFIG_X", {"type": "x"}, "has a meaning to Kbuild"),
        ("KDIR", {"type": "x"}, "has a meaning to Kbuild"),
        ("HAVE_X", {}, "asks nothing"),
        ("HAVE_X", {"type": "x", "symbol": "x"}, "asks type and symbol"),
        ("HAVE_X", {"member": "struct x"}, "member 'struct x' cannot be asked for"),
        ("HAVE_X", {"header": "../x"}, "header '../x' cannot be asked for"),
        ("HAVE_X", {"call": "f(); g()"}, "call 'f\\(\\); g\\(\\)' cannot be asked for"),
        ("HAVE_X", {"type": "x); int y = (0"}, "cannot be asked for"),
    ],
)
def test_refuses_what_is_no_probe(name: str, given: dict[str, str], part: str) -> None:
    with pytest.raises(UsageError, match=part) as caught:
        make_probe(name, given, place="probes.toml:3")
    assert caught.value.message.startswith("probes.toml:3: ")
    assert caught.value.hint


def test_reads_a_file_of_probes_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "probes.toml"
    file.write_text(
        'includes = ["linux/fs.h"]\n\n[HAVE_A]\nmember = "struct file.f_pos"\n'
        '[HAVE_B]\ncall = "f(1)"\nincludes = "a.h"\n'
    )
    first, second = read_probes(file)
    assert (first.name, first.kind, first.text) == ("HAVE_A", "member", "struct file.f_pos")
    assert (first.place, second.place) == (f"{file}:3", f"{file}:5")
    assert (first.includes, second.includes) == (("linux/fs.h",), ("linux/fs.h", "a.h"))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[HAVE_A\n", "probes.toml:1: not TOML"),
        ("x = 1\n", "x is not a table"),
        ('\n[HAVE_A]\nmembr = "struct a.b"\n', "probes.toml:2: HAVE_A: there is no key membr; did you mean member"),
        ("[HAVE_A]\ntype = 1\n", "probes.toml:1: HAVE_A: type=1 is not a string"),
        ('[HAVE_A]\ntype = "a"\nstrict = "no"\n', "strict='no' is neither true nor false"),
        ('[HAVE_A]\ntype = "a"\nincludes = [1]\n', "are not names of headers"),
        ('[HAVE_A]\ntype = "a"\nincludes = ["<a.h>"]\n', "'<a.h>' is not a header"),
        ('["HAVE_\\u001b[31m"]\ntype = "a"\n', "not the name of a macro"),
    ],
)
def test_says_where_a_file_of_probes_is_wrong(tmp_path: Path, text: str, part: str) -> None:
    file = tmp_path / "probes.toml"
    file.write_text(text)
    with pytest.raises(KbuildError) as caught:
        read_probes(file)
    assert part in caught.value.message
    assert "\x1b" not in caught.value.message


def test_a_header_is_needed_if_one_probe_needs_it() -> None:
    optional = make_probe("HAVE_A", {"type": "a"}, includes=["linux/a.h?", "linux/b.h?"])
    needed = make_probe("HAVE_B", {"type": "b"}, includes=["linux/a.h"])
    assert includes_of([optional, needed]) == ("linux/module.h", "linux/a.h", "linux/b.h?")


def test_a_source_has_a_mark_before_each_probe_and_behind_the_last_one() -> None:
    text = translation_unit([probe("HAVE_A", type="a"), probe("HAVE_B", type="b")], ["linux/module.h"])
    places = [text.index(f'"kbuildpy_mark_{number}"') for number in range(3)]
    assert places == sorted(places)
    assert places[0] < text.index("kbuildpy_probe_0(") < places[1] < text.index("kbuildpy_probe_1(") < places[2]


def test_the_answers_become_macros_and_variables() -> None:
    answers = {"HAVE_A": True, "HAVE_B": False}
    assert "\n#define HAVE_A 1\n/* #undef HAVE_B */\n" in header_text(answers, "6.1.0")
    assert kbuild_variables(answers, "/out/probes") == {"KERNEL_PROBES": "/out/probes", "HAVE_A": "y"}
