# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy explain`: the origins of flags against the text of makefiles, and what make does without that text."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kbuild.ask_directory import ask_directory
from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.arm64 import LINES, arm64_tree
from tests.support.command_line import Called, call
from tests.support.editable_trees import tree_with_own_makefiles
from tests.support.kernel_trees import EARLY, newest_tree_first, tree_of, tree_of_release, trees, usual_tree
from tests.support.no_namespaces import REFUSING
from tests.support.packages import NEWEST, newer_kernel, other_compiler, unpacked

pytestmark = pytest.mark.parity

KBUILD = """\
obj-m := one.o deep/two.o
obj-m += sub/
ccflags-y := -DALL \\
	-DSECOND_LINE
ccflags-$(CONFIG_SMP) += -DIF_SMP
CFLAGS_one.o := -DONE=$(words a b c) $(if $(CONFIG_X86_64),-DSIXTYFOUR,-DOTHER)
CFLAGS_REMOVE_one.o := -Wvla
subdir-ccflags-y += -DBELOW
ifneq ($(KERNELRELEASE),)
  EXTRA := -I$(src)/inc
  ccflags-y += $(EXTRA)
else
  ccflags-y += -DNEVER
endif
"""
BELOW = "obj-m := three.o parts.o\nparts-y := start.o four.o\nccflags-y += -DTHREE -DALL\n"
OBJECTS = ["one.o", "deep/two.o", "sub/three.o", "sub/four.o", "sub/start.o"]
# Found by reading the makefiles of both lines: file, the text of the line, and the CONFIG_ symbols that guard it.
BY_HAND = {
    "-nostdinc": ("Makefile", "NOSTDINC_FLAGS += -nostdinc", []),
    "-D__KERNEL__": ("Makefile", "KBUILD_CPPFLAGS := -D__KERNEL__", []),
    "-DMODULE": ("Makefile", "KBUILD_CFLAGS_MODULE  := -DMODULE", []),
    "-O2": ("Makefile", "KBUILD_CFLAGS += -O2", ["CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE"]),
    "-fstack-protector-strong": (
        "Makefile",
        "stackp-flags-$(CONFIG_STACKPROTECTOR_STRONG)      := -fstack-protector-strong",
        ["CONFIG_STACKPROTECTOR_STRONG"],
    ),
    "-mfentry": ("Makefile", "CC_FLAGS_FTRACE\t+= -mfentry", ["CONFIG_FUNCTION_TRACER", "CONFIG_HAVE_FENTRY"]),
    "-pg": ("Makefile", "CC_FLAGS_FTRACE\t:= -pg", ["CONFIG_FUNCTION_TRACER"]),
    "-fconserve-stack": ("Makefile", "KBUILD_CFLAGS += -fconserve-stack", ["CONFIG_CC_IS_GCC"]),
    "-mtune=generic": (
        "arch/x86/Makefile",
        "cflags-$(CONFIG_GENERIC_CPU)\t+= -mtune=generic",
        ["CONFIG_GENERIC_CPU", "CONFIG_X86_32"],
    ),
    "-mno-red-zone": ("arch/x86/Makefile", "KBUILD_CFLAGS += -mno-red-zone", ["CONFIG_X86_32"]),
    "-g": ("scripts/Makefile.debug", "debug-flags-y\t:= -g", ["CONFIG_DEBUG_INFO"]),
}


def write_module(place: Path) -> Path:
    """A directory with objects of every kind that Kbuild compiles."""
    for folder in ("deep", "sub"):
        (place / folder).mkdir(parents=True)
    (place / "Kbuild").write_text(KBUILD)
    (place / "sub/Kbuild").write_text(BELOW)
    for name in OBJECTS:
        (place / name).with_suffix(".S" if name.endswith("start.o") else ".c").touch()
    return place


def explained(called: Called) -> list[dict[str, Any]]:
    """The objects of JSON that a call printed."""
    assert called.returncode == 0, called.error_text
    return [json.loads(line) for line in called.text.splitlines()]


def commands(tree: KernelTree, directory: Path, *variables: str) -> dict[str, list[str]]:
    """The words of the compile command of each object that make plans under `variables`."""
    answer = ask_tree(tree, variables=dict(word.split("=", 1) for word in variables), environ=os.environ)
    plan = ask_directory(answer, directory, environ=os.environ)
    return {
        os.path.relpath(os.path.normpath(directory / item.target), directory): list(_words(item.steps[0].command))
        for item in plan.objects
    }


def _words(command: str) -> Iterator[str]:
    lexer = shlex.shlex(command, posix=False, punctuation_chars=";")
    lexer.whitespace_split, lexer.commenters = True, ""
    for word in lexer:
        if word == ";":
            return
        yield word


def flag_words(flags: list[dict[str, Any]]) -> list[str]:
    """The words of flags, in order."""
    return [word for flag in flags for word in flag["flag"].split(" ", 1)]


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """The directory of the objects."""
    return write_module(tmp_path / "module")


@pytest.mark.parametrize("release", newest_tree_first())
def test_the_flags_are_those_of_the_command_and_each_has_an_origin(release: str, module: Path) -> None:
    tree = tree_of_release(release)
    planned = commands(tree, module)
    for found in explained(call("explain", ".", *OBJECTS, "-k", release, "--format", "json", cwd=module)):
        flags = flag_words(found["flags"])
        # (the compiler and the source are no flags)
        assert planned[found["object"]][1:-1] == flags
        assert {flag["kind"] for flag in found["flags"]} == {"makefile"}
        for flag in found["flags"]:
            assert stands_in_its_line(flag, tree), flag


def stands_in_its_line(flag: dict[str, Any], tree: KernelTree) -> bool:
    """Whether the line of the makefile has the flag's text. What a function made has a part of it there, in the
    assignment, or in the value of a CONFIG_ symbol."""
    lines = Path(flag["file"]).read_text().split("\n")
    line = lines[flag["line"] - 1]
    assert line.strip() == flag["text"]
    if not flag["made"]:
        return flag["flag"] in line or flag["flag"].split(" ")[-1] in line
    text = re.split(r"(?<!\\)\n", "\n".join(lines[flag["line"] - 1 :]))[0]
    names = re.split(r"[^\w]+", flag["flag"])
    if flag["flag"].startswith("-o "):
        return "-o $@" in text
    values = [name for name in flag["symbols"] if flag["flag"] in tree.config.get(name, "")]
    return bool(values) or any(len(name) > 1 and name in text for name in names)


@pytest.mark.sweep
@pytest.mark.parametrize("line", LINES)
def test_the_flags_of_another_architecture(line: str, module: Path) -> None:
    tree = arm64_tree(line)
    called = call("explain", ".", "one.o", "-k", str(tree.objects), "--format", "json", cwd=module)
    [found] = explained(called)
    assert all(flag["kind"] == "makefile" and stands_in_its_line(flag, tree) for flag in found["flags"])
    # What `prepare` adds, by $(eval ...) in a recipe.
    [guard] = [flag for flag in found["flags"] if flag["flag"].startswith("-mstack-protector-guard-offset=")]
    assert guard["file"] == str(tree.source / "arch/arm64/Makefile")
    assert guard["symbols"] == ["CONFIG_STACKPROTECTOR_PER_TASK"]


@pytest.mark.sweep
@pytest.mark.parametrize("tree", trees(), ids=lambda tree: tree.release)
@pytest.mark.parametrize(
    ("package", "folder", "variables"),
    [
        ("jool-dkms", "src/mod/common", ()),
        ("v4l2loopback-dkms", ".", ()),
        ("xtables-addons-dkms", "extensions", ("XA_ABSTOPSRCDIR=@", "XA_TOPSRCDIR=@")),
    ],
)
def test_the_flags_of_packaged_modules(package: str, folder: str, variables: tuple[str, ...], tree: KernelTree) -> None:
    [source] = (unpacked(package) / "usr/src").iterdir()
    given = [word.replace("@", str(source)) for word in variables]
    planned = commands(tree, source / folder, *given)
    words = ("explain", ".", *planned, *given, "-k", tree.release, "--format", "json")
    objects = explained(call(*words, cwd=source / folder))
    assert {found["object"] for found in objects} == planned.keys()
    for found in objects:
        assert planned[found["object"]][1:-1] == flag_words(found["flags"])
        assert all(flag["kind"] == "makefile" and stands_in_its_line(flag, tree) for flag in found["flags"])


@pytest.mark.parametrize("release", newest_tree_first())
def test_origins_are_those_that_reading_the_makefiles_gives(release: str, module: Path) -> None:
    tree = tree_of_release(release)
    if "x86" not in str(tree.config.get("CONFIG_OUTPUT_FORMAT", "")) and tree.config.get("CONFIG_X86_64") != "y":
        pytest.skip("the table is for x86")
    called = call("explain", ".", "one.o", "sub/three.o", "sub/four.o", "-k", release, "--format", "json", cwd=module)
    for found in explained(called):
        by_flag = {flag["flag"]: flag for flag in found["flags"]}
        for text, (name, line, symbols) in BY_HAND.items():
            file = tree.source / name
            numbers = [
                number for number, row in enumerate(file.read_text().split("\n"), 1) if row.split() == line.split()
            ]
            flag = by_flag[text]
            assert (flag["file"], [flag["line"]], flag["symbols"]) == (str(file), numbers, symbols), text


def test_the_lines_of_the_kbuild_files(module: Path) -> None:
    release = usual_tree().release
    [one, three] = explained(
        call("explain", ".", "one.o", "sub/three.c", "-k", release, "--format", "json", cwd=module)
    )

    def place(text: str) -> tuple[str, int]:
        lines = (module / "Kbuild").read_text().split("\n")
        return str(module / "Kbuild"), next(number for number, line in enumerate(lines, 1) if text in line)

    by_flag = {flag["flag"]: flag for flag in one["flags"]}
    texts = ["-DALL", "-DSECOND_LINE", "-DIF_SMP", "-DONE=$", "-DSIXTYFOUR", "-I$(src)/inc", "-DBELOW"]
    flags = ["-DALL", "-DSECOND_LINE", "-DIF_SMP", "-DONE=3", "-DSIXTYFOUR", f"-I{module}/inc", "-DBELOW"]
    for flag, text in zip(flags, texts, strict=True):
        assert (by_flag[flag]["file"], by_flag[flag]["line"]) == place(text)
    assert by_flag["-DIF_SMP"]["symbols"] == ["CONFIG_SMP"]
    assert by_flag["-DSIXTYFOUR"]["symbols"] == ["CONFIG_X86_64"]
    assert by_flag["-DONE=3"]["symbols"] == []
    assert by_flag[f"-I{module}/inc"]["conditions"] == ["ifneq ($(KERNELRELEASE),)"]
    assert "-Wvla" not in by_flag
    of_three = {flag["flag"]: (flag["file"], flag["line"]) for flag in three["flags"]}
    assert of_three["-DBELOW"] == place("-DBELOW")
    assert of_three["-DTHREE"] == of_three["-DALL"] == (str(module / "sub/Kbuild"), 3)


def test_tells_the_command_line_from_the_environment(module: Path) -> None:
    words = ("explain", ".", "one.o", "-k", usual_tree().release, "--format", "json")
    [given] = explained(call(*words, "KCFLAGS=-DGIVEN -Wall", cwd=module))
    [inherited] = explained(call(*words, cwd=module, KCFLAGS="-DGIVEN"))
    for found, kind in ((given, "command line"), (inherited, "environment")):
        [flag] = [flag for flag in found["flags"] if flag["flag"] == "-DGIVEN"]
        assert (flag["kind"], flag["variable"], flag["file"]) == (kind, "KCFLAGS", None)
        assert "$(KCFLAGS)" in Path(flag["through"][0]["file"]).read_text().split("\n")[flag["through"][0]["line"] - 1]
    # The tree's own -Wall and that of KCFLAGS.
    assert [flag["kind"] for flag in given["flags"] if flag["flag"] == "-Wall"] == ["makefile", "command line"]


def test_what_no_assignment_tells_is_unknown(module: Path) -> None:
    lines = [
        "$(obj)/one.o: ccflags-y += -DTARGETS_OWN",
        "$(foreach x,y,$(eval ccflags-y += -DEVAL))",
        "ccflags-y += -DAFTER",
    ]
    text = KBUILD + "\n".join([*lines, ""])
    (module / "Kbuild").write_text(text)
    [one] = explained(call("explain", ".", "one.o", "-k", usual_tree().release, "--format", "json", cwd=module))
    by_flag = {flag["flag"]: (flag["kind"], flag["line"]) for flag in one["flags"]}
    assert by_flag["-DTARGETS_OWN"] == by_flag["-DEVAL"] == ("unknown", None)
    assert by_flag["-DAFTER"] == ("makefile", len(text.splitlines()))
    assert by_flag["-DALL"] == ("makefile", 3)


def test_nothing_is_written_among_the_sources(module: Path) -> None:
    (module / "Kbuild").write_text(KBUILD + "$(shell touch $(src)/written)\n")
    assert call("explain", ".", "one.o", "-k", usual_tree().release, cwd=module).returncode == 0
    assert not (module / "written").exists()
    assert not (module / "build").exists()


def test_the_difference_of_two_kernels_is_that_of_their_commands(module: Path) -> None:
    one, other = tree_of("6.1"), tree_of("6.12")
    kernels = ("-k", one.release, "-k", other.release)
    found = explained(call("explain", ".", "one.o", "--diff", *kernels, "--format", "json", cwd=module))
    planned = [
        # (the compiler and the source are no flags)
        Counter(word.replace(str(tree.source), "$S") for word in commands(tree, module)["one.o"][1:-1])
        for tree in (one, other)
    ]
    assert Counter(flag_words(found[0]["flags"])) == planned[0] - planned[1]
    assert Counter(flag_words(found[1]["flags"])) == planned[1] - planned[0]
    text = call("explain", ".", "one.o", "--diff", *kernels, cwd=module).text
    assert f"only one.o for {other.release}: {len(found[1]['flags'])} flags" in text


def test_the_difference_of_two_objects(module: Path) -> None:
    release = usual_tree().release
    words = ("explain", ".", "one.o", "deep/two.o", "--diff", "-k", release, "--format", "json")
    [one, two] = explained(call(*words, cwd=module))
    assert {"-DONE=3", "-DSIXTYFOUR"} <= set(flag_words(one["flags"]))
    assert "-Wvla" in flag_words(two["flags"])
    assert "-DALL" not in flag_words(one["flags"] + two["flags"])


@pytest.mark.parametrize(
    ("words", "status", "message", "hint"),
    [
        (["."], 2, "no object is named", "x.c stands for"),
        ([".", "one.x"], 2, "one.x: neither an object (x.o) nor a source", ""),
        ([".", "on.o"], 2, "on.o: no object of a module in", "did you mean one.o?"),
        ([".", "../one.o"], 2, "../one.o: not below", "name the module directory first"),
        ([".", "sub/parts.o"], 1, "sub/parts.o: linked from several objects", "sub/start.o sub/four.o"),
        ([".", "one.o", "--diff"], 2, "--diff compares two: here are 1 objects and 1 kernels", "-k A -k B"),
    ],
)
def test_a_wrong_call_says_what_to_do(words: list[str], status: int, message: str, hint: str, module: Path) -> None:
    called = call("explain", *words, "-k", usual_tree().release, cwd=module)
    assert (called.returncode, called.text) == (status, "")
    assert message in called.error_text
    assert hint in called.error_text


def test_a_system_without_namespaces_explains_what_writes_no_sources(module: Path) -> None:
    words = [sys.executable, "-m", "kbuildpy", "explain", str(module), "one.o", "-k", usual_tree().release]
    refused, usual = run([*REFUSING, *words], cwd=module), run(words, cwd=module)
    assert (refused.text, refused.error_text) == (usual.text, usual.error_text)
    assert "Kbuild:" in refused.text


def test_a_system_without_namespaces_is_one_clear_error_for_what_writes_sources(module: Path) -> None:
    with (module / "Kbuild").open("a") as kbuild:
        kbuild.write("noted := $(shell echo >$(src)/noted.h)\n")
    words = [sys.executable, "-m", "kbuildpy", "explain", str(module), "one.o", "-k", usual_tree().release]
    done = run([*REFUSING, *words], check=False, cwd=module)
    assert (done.returncode, done.text) == (1, "")
    assert f"kbuildpy: error: {module}: the system allows no overlay over this directory: " in done.error_text
    assert "Traceback" not in done.error_text
    assert not (module / "noted.h").exists()


# --- Symbols


def symvers_lines(tree: KernelTree, symbol: str) -> list[list[str]]:
    """The lines of a symbol in the tree's symvers file, as grep finds them."""
    done = run(["grep", "-P", rf"^\S+\t{symbol}\t", tree.symvers], check=False)
    return [line.split("\t") for line in done.text.splitlines()]


def test_who_exports_a_symbol_is_what_the_symvers_files_say(tmp_path: Path) -> None:
    symbols = ["usb_register_driver", "printk", "_printk", "strlcpy", "dma_buf_get", "class_create", "no_such_thing"]
    options = [word for name in symbols for word in ("--symbol", name)]
    called = call("explain", *options, "--format", "json", cwd=tmp_path)
    assert (called.returncode, called.error_text) == (1, "")
    found = {(fact["symbol"], fact["kernel"]): fact for fact in map(json.loads, called.text.splitlines())}
    assert len(found) == len(symbols) * len(trees())
    for tree in trees():
        for symbol in symbols:
            fact = found[symbol, tree.release]
            line = [fact["crc"], symbol, fact["owner"], fact["license"], fact["namespace"] or ""]
            assert symvers_lines(tree, symbol) == ([line] if fact["exported"] else [])
            for place in fact["headers"]:
                text = (tree.source / place["file"]).read_text().split("\n")[place["line"] - 1]
                assert symbol in text
                assert place["text"] == text.strip()


def test_says_in_short_since_when_a_symbol_is_gone(tmp_path: Path) -> None:
    one, other = tree_of("6.1"), tree_of("6.12")
    kernels = ("-k", other.release, "-k", one.release)
    lines = call("explain", "--symbol", "strlcpy", *kernels, cwd=tmp_path).text.splitlines()
    assert lines[0] == f"strlcpy: gone in {other.release}"
    assert lines[1].startswith(f"  {one.release}        vmlinux, EXPORT_SYMBOL (for every licence), CRC 0x")
    called = call("explain", "--symbol", "class_create", *kernels, cwd=tmp_path)
    assert called.text.startswith(f"class_create: new in {other.release}\n")
    assert "include/linux/device/class.h" in called.text


# --- Without the cause, the flag is gone


def without_cause(flag: dict[str, Any]) -> str | None:
    """The text of the makefile without what makes the flag; None where that is a part of every command."""
    lines = Path(flag["file"]).read_text().split("\n")
    place = flag["line"] - 1
    words = [flag["flag"], *([flag["flag"].split(" ", 1)[1]] if " " in flag["flag"] else [])]
    for word in words:
        pattern = rf"(^|[\s,=(]){re.escape(word)}(?=$|[\s,)])"
        if not flag["made"] and re.search(pattern, lines[place]):
            lines[place] = re.sub(pattern, r"\1", lines[place], count=1)
            return "\n".join(lines)
    end = next(number for number in range(place, len(lines)) if not lines[number].endswith("\\"))
    for number in range(place, end + 1):
        for part in _parts(lines[number]):
            if _makes(part, words[-1], flag):
                lines[number] = lines[number].replace(part, "", 1)
                return "\n".join(lines)
    return None


def _parts(line: str) -> Iterator[str]:
    """The words of a makefile's line, in which `$(...)` may have spaces; the longest first."""
    found = re.findall(r"(?:[^\s$]|\$\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|\$.)+", line)
    return iter(sorted((part for part in found if "$" in part), key=len, reverse=True))


def _makes(part: str, word: str, flag: dict[str, Any]) -> bool:
    called = re.fullmatch(r"\$\(call [\w-]+,\s*([^\s,]+),?\)", part)
    if called:
        return word.endswith(called[1]) or ("$" in called[1] and _makes(called[1], word, flag))
    if part.strip("$()") in flag["symbols"]:
        return True
    chosen = re.fullmatch(r"\$\(if \$\(\w+\),(.*)\)", part)
    if chosen:
        return _makes(chosen[1], word, flag)
    literal = re.split(r"\$\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|\$.", part)
    pattern = ".*".join(re.escape(each) for each in literal)
    return any(each.strip() for each in literal) and re.fullmatch(pattern, word) is not None


@pytest.mark.sweep
@pytest.mark.parametrize("release", [*(tree.release for tree in trees()), EARLY, NEWEST])
def test_without_its_cause_a_flag_is_gone(release: str, tmp_path: Path) -> None:
    directory = write_module(tmp_path / "module")
    original_tree = newer_kernel()[0] if release == NEWEST else tree_of_release(release)
    tree = tree_with_own_makefiles(original_tree, tmp_path / "tree")
    variables = other_compiler(original_tree)
    before = commands(tree, directory, *variables)
    words = ("explain", ".", *OBJECTS, *variables, "-k", str(tree.objects), "--format", "json")
    causes: dict[tuple[str, str], list[tuple[str, str]]] = {}
    kept = []
    for found in explained(call(*words, cwd=directory)):
        for flag in found["flags"]:
            text = without_cause(flag)
            if text is None:
                kept.append((found["object"], flag["flag"]))
            else:
                causes.setdefault((flag["file"], text), []).append((found["object"], flag["flag"]))
    wrong, gone = [], 0
    for (file, text), flags in causes.items():
        original = Path(file).read_text()
        Path(file).write_text(text)
        try:
            after = commands(tree, directory, *variables)
        finally:
            Path(file).write_text(original)
        for name, flag in flags:
            word = flag.split(" ", 1)[-1]
            if after[name].count(word) == before[name].count(word) - 1:
                gone += 1
            else:
                wrong.append((file, name, flag))
    print(f"\n{release}: {gone} flags gone in {len(causes)} edits, {len(kept)} not tried: {sorted(set(kept))}")
    assert not wrong
    assert gone > 8 * len(kept)
