# SPDX-License-Identifier: GPL-2.0-only
"""The probes of other projects, read from their own scripts, and what those scripts answer.

The conftest.sh of NVIDIA and that of evdi start a process and compile a source for each probe. OpenZFS writes a
directory with a module for each, and has make build them. Nothing of theirs is kept here: a directory of the user's has
the projects' files (see `tests/parity/test_conftests.py`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import NamedTuple

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.probes.probe import Probe, make_probe
from kbuildpy.run import run


class Answers(NamedTuple):
    """Yes or no for each probe, and the processor time in seconds that it took."""

    found: dict[str, bool]
    seconds: float


def processor_time() -> float:
    """User and system time of all processes that ended, in seconds."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Conftest:
    """NVIDIA's conftest.sh in the copy `place` of its directory, for `tree`, with the compiler `compiler`."""

    def __init__(self, place: Path, tree: KernelTree, compiler: str = "cc") -> None:
        self.place = place
        self._words = ["sh", str(place / "conftest.sh"), compiler, "x86_64", str(tree.source), str(tree.objects)]
        flags = run([*self._words, "build_cflags"], env=self._environ()).stdout.decode().strip()
        self._flags = f"{flags} -std=gnu11 -Wno-pointer-sign -fshort-wchar -Werror=incompatible-pointer-types"
        self._flags += " -fms-extensions -ffreestanding -mno-red-zone -mcmodel=kernel -fno-pie -Wno-error"

    def headers(self) -> list[str]:
        """The headers that it asks for."""
        text = (self.place / "header-presence-tests.mk").read_text()
        return re.findall(r"^\s+([\w./-]+\.h)\b", text, re.MULTILINE)

    def tests(self) -> list[str]:
        """The probes that the modules' Kbuild files ask for."""
        texts = [path.read_text() for path in sorted(self.place.rglob("*.Kbuild"))]
        names = [
            name
            for text in texts
            for name in re.findall(r"^NV_CONFTEST_\w+_COMPILE_TESTS \+= (\w+)", text, re.MULTILINE)
        ]
        return list(dict.fromkeys(names))

    def own_answers(self) -> Answers:
        """What it answers, asked as its Kbuild file asks it."""
        began = processor_time()
        (self.place / "conftest").mkdir(exist_ok=True)
        told = [self._run("test_kernel_header", self._flags, name) for name in self.headers()]
        (self.place / "conftest/headers.h").write_text("".join(told))
        told += [self._run("compile_tests", self._flags, name) for name in self.tests()]
        return Answers(_defines("".join(told)), processor_time() - began)

    def probes(self, present: Callable[[list[Probe]], Mapping[str, bool]]) -> list[Probe]:
        """The same questions as probes of ours; `present` answers those about headers, on which others depend."""
        headers = [make_probe(_header_macro(name), {"header": name}) for name in self.headers()]
        answers = present(headers)
        script = (self.place / "conftest.sh").read_text()
        telling = self.place / "telling.sh"
        telling.write_text(script.replace("\ncompile_test() {", f"\n{_TELL}\ncompile_test() {{", 1))
        words = [self._words[0], str(telling), *self._words[2:], "compile_tests", self._flags, *self.tests()]
        told = run(words, env=self._environ()).stdout.decode()
        found = [*headers]
        for record in told.split("\0")[1::2]:
            code, name, kind = record.split("\1")
            if kind in ("symbol", "gpl_symbol"):
                found.append(make_probe(name, {"symbol": code}, gpl_only=kind == "gpl_symbol"))
            else:
                found.append(_of_code(name, kind, code, answers))
        return list(dict.fromkeys(found))

    def _run(self, *words: str) -> str:
        return run([*self._words, *words], env=self._environ(), check=False).stdout.decode()

    def _environ(self) -> dict[str, str]:
        return {**os.environ, "LC_ALL": "C"}


_TELL = r"""
compile_check_conftest() { printf '\0%s\1%s\1%s\0' "$1" "$2" "$4"; }
export_symbol_present_conftest() { printf '\0%s\1%s\1%s\0' "$1" "NV_IS_EXPORT_SYMBOL_PRESENT_$1" symbol; }
export_symbol_gpl_conftest() { printf '\0%s\1%s\1%s\0' "$1" "NV_IS_EXPORT_SYMBOL_GPL_$1" gpl_symbol; }
"""


def _of_code(name: str, kind: str, code: str, headers: Mapping[str, bool]) -> Probe:
    """The probe for a source of NVIDIA's. One of a function calls it without arguments: it is there where that is
    refused."""
    includes, rest = split_includes(code, headers)
    # (what it generates, and a header of the compiler's own, which no module finds)
    includes = [include for include in includes if not include.startswith("conftest/") and include != "stdint.h"]
    includes = includes or ["linux/module.h"]
    called = re.search(r"\{[^{}]*?(\w+)\s*\([^()]*\);[^{}()]*\}\s*$", rest)
    if kind == "functions":
        assert called, f"{name}: {rest}"
        return make_probe(name, {"declared": called[1]}, includes=includes)
    return make_probe(name, {"source": ""}, includes=includes, outside=rest)


def split_includes(code: str, macros: Mapping[str, bool]) -> tuple[list[str], str]:
    """The headers that `code` includes where the macros of other headers are as `macros` say, and all else of it.
    Conditions on anything else stay."""
    includes: list[str] = []
    rest: list[str] = []
    active: list[bool | None] = []
    for line in code.splitlines():
        known = re.match(r"\s*#\s*(if|ifdef)\s+(?:defined\s*\(?\s*)?(\w+)\s*\)?\s*$", line)
        word = re.match(r"\s*#\s*(\w+)", line)
        include = re.match(r"\s*#\s*include\s*[<\"]([^>\"]+)[>\"]", line)
        if known and known[2] in macros:
            active.append(macros[known[2]])
        elif word and word[1] in ("if", "ifdef", "ifndef"):
            active.append(None)
            rest.append(line)
        elif word and word[1] == "else" and active[-1] is not None:
            active[-1] = not active[-1]
        elif word and word[1] == "endif":
            if active.pop() is None:
                rest.append(line)
        elif False not in active:
            if include:
                includes.append(include[1])
            else:
                rest.append(line)
    return list(dict.fromkeys(includes)), "\n".join(rest)


def _header_macro(name: str) -> str:
    return f"NV_{re.sub('[/.-]', '_', name).upper()}_PRESENT"


def _defines(text: str) -> dict[str, bool]:
    found = {}
    for line in text.splitlines():
        match = re.match(r"#(define|undef) (\w+)(?: (\w+))?", line)
        if match:
            found[match[2]] = match[1] == "define" and match[3] != "0"
    return found


class M4Probe(NamedTuple):
    """A call of ZFS_LINUX_TEST_SRC in config/kernel-*.m4 of OpenZFS."""

    name: str
    outside: str
    body: str
    flags: str


def m4_probes(directory: Path) -> list[M4Probe]:
    """The probes in the m4 files of `directory`, whose arguments are plain text."""
    found = {}
    for path in sorted(directory.glob("kernel-*.m4")):
        text = re.sub(r"^\s*dnl\b.*\n|\bdnl\b.*$", "", path.read_text(), flags=re.MULTILINE)
        for match in re.finditer(r"ZFS_LINUX_TEST_SRC\(", text):
            arguments = list(_arguments(text, match.end()))
            name, outside, body, flags = [*arguments, "", "", ""][:4]
            if not re.search(r"\$\d|\bm4_|\bAC_", f"{name}{outside}{body}") and re.fullmatch(r"\w+", name):
                found[name] = M4Probe(name, outside, body, flags.strip())
    return list(found.values())


def _arguments(text: str, at: int) -> Iterator[str]:
    """The arguments of the m4 call that begins at `at`, without their outer brackets."""
    depth, parentheses, start = 0, 0, at
    while True:
        character = text[at]
        if character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
        elif depth == 0 and character == "(":
            parentheses += 1
        elif depth == 0 and character in ",)":
            if character == "," and not parentheses:
                yield _unquoted(text[start:at])
                start = at + 1
            elif character == ")" and parentheses:
                parentheses -= 1
            elif character == ")":
                yield _unquoted(text[start:at])
                return
        at += 1


def _unquoted(argument: str) -> str:
    """One level of m4's quotes is taken away, wherever it stands."""
    depth, kept = 0, []
    for character in argument.strip():
        if character == "]":
            depth -= 1
        if not (character == "[" and depth == 0) and not (character == "]" and depth == 0):
            kept.append(character)
        if character == "[":
            depth += 1
    return "".join(kept)


def m4_answers(probes: list[M4Probe], tree: KernelTree, place: Path, variables: Sequence[str] = ()) -> Answers:
    """What make answers, called as their macros call it: once over all to compile, without warnings, once to run
    modpost over those that compiled."""
    for probe in probes:
        folder = place / probe.name
        folder.mkdir(parents=True)
        (folder / f"{probe.name}.c").write_text(
            f"#include <linux/module.h>\n{probe.outside}\nint main(void)\n{{\n{probe.body}\n;\nreturn 0;\n}}\n"
            'MODULE_LICENSE("Dual BSD/GPL");\nMODULE_DESCRIPTION("probe");\n'
        )
        (folder / "Makefile").write_text(f"ccflags-y := -Werror\nccflags-y += {probe.flags}\nobj-m := {probe.name}.o\n")
    began = processor_time()
    environ = {**os.environ, "KBUILD_MODPOST_WARN": "yes"}
    make = ["make", "modules", "-k", "-j2", "-C", str(tree.objects), f"M={place}", *variables]
    (place / "Makefile").write_text("".join(f"obj-m += {probe.name}/\n" for probe in probes))
    run(make, check=False, env={**environ, "KBUILD_MODPOST_NOFINAL": "yes"})
    compiled = [probe for probe in probes if (place / probe.name / f"{probe.name}.o").exists()]
    (place / "Makefile").write_text("".join(f"obj-m += {probe.name}/\n" for probe in compiled))
    run(make, check=False, env=environ)
    used = processor_time() - began
    return Answers({probe.name: (place / probe.name / f"{probe.name}.ko").exists() for probe in probes}, used)


def of_m4(probe: M4Probe) -> Probe:
    """The same question as a probe of ours."""
    includes, outside = split_includes(probe.outside, {})
    body_includes, body = split_includes(probe.body, {})
    return make_probe(
        f"HAVE_{probe.name.upper()}",
        {"source": body},
        includes=[*includes, *body_includes],
        outside=outside,
        strict=True,
    )


def evdi_probes(script: Path) -> list[Probe]:
    """The probes of evdi's conftest.sh, a here-document each, as probes of ours."""
    found = []
    for name, code in re.findall(r"^compile_test (\w+) <<'EOF'\n(.*?)^EOF$", script.read_text(), re.M | re.S):
        includes, rest = split_includes(code, {})
        found.append(make_probe(name, {"source": ""}, includes=includes, outside=rest))
    return found


def evdi_answers(script: Path, tree: KernelTree, place: Path, variables: Sequence[str] = ()) -> Answers:
    """What evdi's conftest.sh answers with the words that evdi's Kbuild file calls it with. The time is the script's
    own, without make's."""
    place.mkdir()
    (place / "Kbuild").write_text(
        "always-y := words\n$(obj)/words:\n"
        "\tprintf '%s\\0' \"$(CC)\" $(obj)/answers.h $(NOSTDINC_FLAGS) $(LINUXINCLUDE) $(KBUILD_CPPFLAGS) "
        "$(KBUILD_CFLAGS) -DMODULE > $@\n"
    )
    run(["make", "modules", "-C", str(tree.objects), f"M={place}", *variables])
    compiler, answers, *flags = (place / "words").read_text().split("\0")[:-1]
    began = processor_time()
    # (make calls it in the tree, and the flags name the tree's own folders relative to it)
    run(["sh", str(script), compiler, str(place / Path(answers).name), *flags], cwd=tree.objects)
    used = processor_time() - began
    told = (place / Path(answers).name).read_text()
    found = dict.fromkeys(re.findall(r"^#define (\w+) 1$", told, re.MULTILINE), True)
    found |= dict.fromkeys(re.findall(r"^/\* (\w+) not detected \*/$", told, re.MULTILINE), False)
    return Answers(found, used)
