# SPDX-License-Identifier: GPL-2.0-only
"""Which checkers run: the words of --checker, programs that are missing, and where the kernel's scripts come from."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from kbuildpy import cli
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.lint import kernel_scripts
from kbuildpy.lint.checkers import CHECKERS, USUAL
from kbuildpy.lint.choose import KernelScripts, choose_checkers, read_wishes
from kbuildpy.lint.kernel_scripts import kernel_script
from kbuildpy.lint.run_checkers import plan_runs, run_checkers
from kbuildpy.lint.source_checker import LintTools
from kbuildpy.lint.subjects import LintSubject
from kbuildpy.run import run


def subject(place: Path, **changes: object) -> LintSubject:
    words = ("gcc", "-I/k/include", "-include", "/k/kconfig.h", "-c", "-o", "a.o", "a.c")
    clang = {"directory": str(place), "file": f"{place}/a.c", "arguments": ["gcc", "-o", "x", "a.c"], "output": "x"}
    given = {"checker": ("-DX", "a.c"), "clang": clang, "env": {**os.environ}, **changes}
    return LintSubject("a.o", str(place), f"{place}/a.c", str(place), words, **given)  # type: ignore[arg-type]


def tree(place: Path) -> KernelTree:
    return KernelTree(place, place, "6.1.0-1-amd64")


def program(place: Path, text: str) -> Path:
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return place


def test_without_words_the_usual_ones_run_where_they_can() -> None:
    assert [(wish.checker.name, wish.needed) for wish in read_wishes([])] == [(name, False) for name in USUAL]


def test_all_are_those_that_can_run_and_a_named_one_is_needed() -> None:
    wishes = read_wishes(["smatch=/opt/my smatch", "all"])
    assert [wish.checker.name for wish in wishes] == list(CHECKERS)
    assert [wish.checker.name for wish in wishes if wish.needed] == ["smatch"]
    assert next(wish.program for wish in wishes if wish.needed) == ("/opt/my", "smatch")


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        ("sparze", "no such checker", "did you mean sparse?"),
        ("all=x", "no such checker", "checkers are cc"),
        ("sparse=", "an empty program", ""),
        ("sparse='x", "No closing quotation", ""),
        ("cc=gcc", "the kernel's own compiler", "CC=PROGRAM"),
    ],
)
def test_refuses_a_wrong_word(word: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        read_wishes([word])
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("checker", "hint"),
    [
        ("sparse", "apt-get install sparse"),
        ("smatch", "Debian has no package of it"),
        ("clang-tidy", "apt-get install clang-tidy"),
        ("coccinelle", "apt-get install coccinelle"),
        ("checkpatch", "apt-get install perl"),
    ],
)
def test_names_the_package_of_a_program_that_is_missing(checker: str, hint: str, tmp_path: Path) -> None:
    about = subject(tmp_path, env={"PATH": str(tmp_path)})
    with pytest.raises(KbuildError, match="program not found") as refused:
        choose_checkers(read_wishes([checker]), [about], tree(tmp_path), scratch="", scripts=KernelScripts())
    assert hint in refused.value.hint


def test_leaves_out_what_nobody_asked_for_by_name_and_says_why(tmp_path: Path) -> None:
    about = subject(tmp_path, env={"PATH": str(tmp_path)}, is_clang=True)
    choice = choose_checkers(read_wishes([]), [about], tree(tmp_path), scratch="", scripts=KernelScripts())
    assert [checker.name for checker, _ in choice.chosen] == ["cc"]
    assert len(choice.left_out) == 2
    assert "fanalyzer" in choice.left_out[0]
    assert "clang" in choice.left_out[0]
    assert "apt-get install sparse" in choice.left_out[1]


@pytest.mark.parametrize("checker", ["sparse", "smatch"])
def test_a_tree_without_a_command_for_c_1_is_no_tree_in_which_nothing_is_found(checker: str, tmp_path: Path) -> None:
    path = program(tmp_path / "mine", "exit 0")
    wishes = read_wishes([f"{checker}={path}"])
    start = subject(tmp_path, checker=(), clang=None)
    about = [start, subject(tmp_path, checker=())]
    with pytest.raises(KbuildError, match=r"its makefiles have no command for C=1"):
        choose_checkers(wishes, about, tree(tmp_path), scratch="", scripts=KernelScripts())
    # (assembly has none in any tree)
    about = [start, subject(tmp_path)]
    assert choose_checkers(wishes, about, tree(tmp_path), scratch="", scripts=KernelScripts()).left_out == []


def test_a_program_of_a_path_is_started_from_where_the_call_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program(tmp_path / "mine", 'echo "a.c:1:2: warning: $1 $2 $PWD" >&2')
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    about = subject(elsewhere)
    [(checker, tools)] = choose_checkers(
        read_wishes(["sparse=./mine"]), [about], tree(tmp_path), scratch="", scripts=KernelScripts()
    ).chosen
    [outcome] = run_checkers(plan_runs([(checker, tools)], [about]), jobs=1)
    assert outcome.findings[0].message == f"-DX a.c {elsewhere}"
    assert outcome.findings[0].file == f"{elsewhere}/a.c"


WARNED = "echo 'a.c:1:1: warning: x' >&2; "


@pytest.mark.parametrize(
    ("checker", "text", "failure"),
    [
        ("sparse", "exit 0", ""),
        ("sparse", "echo 'a.c:1:1: error: x' >&2; exit 1", ""),
        ("sparse", "echo out of memory >&2; exit 3", "failed with status 3\nout of memory"),
        ("sparse", "kill -9 $$", "was ended by signal 9"),
        ("sparse", f"{WARNED}exit 1", "failed with status 1\na.c:1:1: warning: x"),
        (
            "sparse",
            "echo 'a.c:1:1: internal compiler error: x' >&2; exit 1",
            "failed with status 1\na.c:1:1: internal compiler error: x",
        ),
        ("smatch", "echo 'a.c:1 f() parse error: x'; exit 1", ""),
        ("smatch", "echo 'a.c:1 f() warn: x'; exit 1", "failed with status 1\na.c:1 f() warn: x"),
        ("smatch --fatal-checks", "echo 'a.c:1 f() warn: x'; exit 1", ""),
        ("checkpatch", "echo 'a.c:1: CHECK:X: x'; exit 1", ""),
        ("checkpatch", "echo gone >&2; exit 1", "failed with status 1\ngone"),
        ("coccinelle", "echo 'a.c:1:1-2: ERROR: x'; exit 2", "failed with status 2\na.c:1:1-2: ERROR: x"),
    ],
)
def test_tells_a_program_that_fails_from_one_that_finds_something(
    checker: str, text: str, failure: str, tmp_path: Path
) -> None:
    name, *words = checker.split()
    path = program(tmp_path / "checker", text)
    script = tmp_path / "free/x.cocci"
    script.parent.mkdir()
    script.write_text("virtual report\n")
    chosen = [(CHECKERS[name], LintTools((str(path), *words), "", script))]
    [outcome] = run_checkers(plan_runs(chosen, [subject(tmp_path)]), jobs=2)
    shown = {"checkpatch": "a.c", "coccinelle": "free/x.cocci"}.get(name, "a.o")
    assert outcome.failure == (failure and f"{shown}: {path} {failure}")


def test_a_compiler_that_is_killed_did_not_run_to_its_end(tmp_path: Path) -> None:
    """GCC itself: the program that it starts warns of something, and is killed."""
    real = run(["gcc", "-print-prog-name=cc1"]).text.strip()
    program(tmp_path / "cc1", f'"{real}" "$@"\nkill -9 $$')
    (tmp_path / "a.c").write_text("static int unused;\n")
    words = ("gcc", f"-B{tmp_path}/", "-Wall", "-c", "-o", "a.o", "a.c")
    about = LintSubject("a.o", str(tmp_path), f"{tmp_path}/a.c", str(tmp_path), words, env={**os.environ})
    chosen = [(CHECKERS["cc"], LintTools((), str(tmp_path)))]
    [outcome] = run_checkers(plan_runs(chosen, [about]), jobs=1)
    assert [each.rule for each in outcome.findings] == ["-Wunused-variable"]
    assert "a.o: gcc failed with status 1\n" in outcome.failure
    assert "Killed" in outcome.failure


def test_kernel_doc_is_read_and_one_that_the_tree_lacks_is_an_error(tmp_path: Path) -> None:
    compiler = program(tmp_path / "gcc", "exit 0")
    words = (str(compiler), "-c", "-o", "a.o", "a.c")
    chosen = [(CHECKERS["cc"], LintTools((), str(tmp_path)))]

    def about(text: str) -> LintSubject:
        return LintSubject("a.o", "/m", "/m/a.c", str(tmp_path), words, documented=(text,), env={**os.environ})

    said = about("echo 'a.c:7: warning: not described' >&2; exit 1")
    _, outcome = run_checkers(plan_runs(chosen, [said]), jobs=1)
    assert [(each.line, each.rule) for each in outcome.findings] == [(7, "kernel-doc")]
    assert outcome.failure == ""
    with pytest.raises(KbuildError, match=r"scripts/kernel-doc: program not found"):
        list(run_checkers(plan_runs(chosen, [about("scripts/kernel-doc -none a.c")]), jobs=1))


def test_names_in_a_copy_of_the_directory_are_those_of_the_directory(tmp_path: Path) -> None:
    path = program(tmp_path / "checker", "echo '/copy/a.c:1:1: warning: see /copy/b.h'")
    about = subject(tmp_path, renames=("/copy", "/m"))
    [outcome] = run_checkers(plan_runs([(CHECKERS["sparse"], LintTools((str(path),), ""))], [about]), jobs=1)
    assert [(each.file, each.message) for each in outcome.findings] == [("/m/a.c", "see /m/b.h")]


# --- The kernel's scripts


def archive(place: Path, version: str, files: dict[str, str]) -> Path:
    path = place / f"linux-source-{version}.tar.xz"
    with tarfile.open(path, "w:xz") as made:
        for name, text in files.items():
            member = tarfile.TarInfo(f"linux-source-{version}/{name}")
            member.size = len(text)
            made.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo(f"linux-source-{version}/scripts/spelling.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    return path


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "src"
    place.mkdir()
    (tmp_path / "cache").mkdir(mode=0o700)
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_scripts, "_SOURCES", place)
    return place


def test_takes_the_scripts_of_the_tree_before_all_others(tmp_path: Path, sources: Path) -> None:
    (tmp_path / "tree/scripts").mkdir(parents=True)
    own = tmp_path / "tree/scripts/checkpatch.pl"
    own.touch()
    archive(sources, "6.1", {"scripts/checkpatch.pl": "packaged"})
    assert kernel_script("checkpatch.pl", tree(tmp_path / "tree")) == own


def test_takes_them_out_of_the_package_of_the_same_line_once(
    tmp_path: Path, sources: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "scripts/checkpatch.pl": "of 6.1",
        "scripts/coccinelle/free/kfree.cocci": "virtual report",
        "scripts/coccinelle/../../../escape.cocci": "no",
        "Makefile": "no",
    }
    archive(sources, "6.1", files)
    archive(sources, "6.12", {"scripts/checkpatch.pl": "of 6.12"})
    found = kernel_script("checkpatch.pl", tree(tmp_path))
    assert found.read_text() == "of 6.1"
    taken = {str(path.relative_to(found.parents[1])) for path in found.parents[1].rglob("*") if not path.is_dir()}
    assert taken == {"scripts/checkpatch.pl", "scripts/coccinelle/free/kfree.cocci"}
    assert "once" in capsys.readouterr().err
    assert kernel_script("coccinelle", tree(tmp_path)) == found.parent / "coccinelle"
    assert capsys.readouterr().err == ""


def test_says_what_to_install_where_there_are_none(tmp_path: Path, sources: Path) -> None:
    with pytest.raises(KbuildError, match="no sources of the kernel are installed") as refused:
        kernel_script("checkpatch.pl", tree(tmp_path))
    assert "apt-get install linux-source-6.1" in refused.value.hint
    with pytest.raises(KbuildError, match=r"no checkpatch\.pl there"):
        kernel_script("checkpatch.pl", tree(tmp_path), tmp_path)


def test_a_damaged_archive_is_an_error_and_leaves_nothing(tmp_path: Path, sources: Path) -> None:
    path = archive(sources, "6.1", {"scripts/checkpatch.pl": "x" * 10_000})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(KbuildError, match=r"6\.1\.tar\.xz: cannot be read"):
        kernel_script("checkpatch.pl", tree(tmp_path))
    assert [*(tmp_path / "cache/kernel_scripts").iterdir()] == []


def test_coccinelle_gets_a_scripts_options_and_leaves_out_what_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spatch = program(tmp_path / "spatch", "echo 'spatch version 1.1.1 compiled with OCaml version 4.13.1'")
    # (what this process finds is not what counts)
    program(tmp_path / "ocamlopt", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    environ = {"PATH": f"{tmp_path}/coccinelle"}
    place = tmp_path / "coccinelle/free"
    place.mkdir(parents=True)
    texts = {
        "a": "// Options: --no-includes --include-headers\nvirtual patch\nvirtual report\n",
        "b": "// Requires: 1.0.4\nvirtual org, report\n",
        "c": "// Requires: 1.10\nvirtual report\n",
        "d": "virtual report\n@script:ocaml@\n",
        "e": "virtual patch\n",
    }
    for name, text in texts.items():
        (place / f"{name}.cocci").write_text(text)
    tools = LintTools((str(spatch),), "", place.parent)
    checker = CHECKERS["coccinelle"]
    about = [subject(tmp_path, env=environ) for _ in range(9)]
    runs = list(checker.runs(about, tools))
    # Two runs of each, as there are nine sources.
    assert [run.rule for run in runs] == ["free/a", "free/a", "free/b", "free/b"]
    words = list(runs[0].argv)
    assert words[7:13] == ["--no-includes", "--include-headers", "-I", "/k/include", "--include", "/k/kconfig.h"]
    assert words[13:] == [f"{tmp_path}/a.c"] * 8
    assert checker.left_out(tools, environ) == [
        "free/c.cocci needs coccinelle 1.10",
        "free/d.cocci needs an OCaml compiler",
    ]


# --- The call


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["C=2"], "C=2: of a build"),
        (["CHECK=smatch"], "CHECK=smatch: of a build"),
        (["--sarif", "no/where.sarif"], "no: no such directory"),
        (["--scripts", "nowhere"], "nowhere: no such file or directory"),
        (["--cocci", "nowhere"], "nowhere: no such file or directory"),
        (["--baseline", "nowhere"], "nowhere: No such file or directory"),
        (["nowhere"], "nowhere: no such directory"),
        (["nowhere", "a.c"], "nowhere: no such directory"),
        ([".", "a.txt"], "neither an object (x.o) nor a source (x.c, x.S, x.rs)"),
        (["--checker", "nix"], "--checker nix: no such checker"),
        (["-j0"], "at least one job"),
        (["--fail-on", "bad"], "invalid choice: 'bad'"),
    ],
)
def test_refuses_a_wrong_call(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Kbuild").write_text("obj-m := a.o\n")
    try:
        status = cli.main(["lint", *words])
    except SystemExit as ended:
        status = int(str(ended.code))
    assert status == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["Kbuild"]


def test_lists_every_checker(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lint", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(CHECKERS)
