# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy lint`: against what make prints with the same checkers, and faults that were planted for each of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.arm64 import arm64_tree
from tests.support.builds import kbuildpy, make
from tests.support.command_line import Called, call
from tests.support.kernel_trees import newest_tree_first, swept, tree_of_release, trees, usual_tree
from tests.support.no_namespaces import REFUSING
from tests.support.packages import newer_kernel, other_compiler, source_archive
from tests.support.scons_project import HEAD, SConsProject

pytestmark = pytest.mark.parity

# A comment `@CHECKER` marks the line in which that checker has to find something.
FIRST = """\
// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "planted.h"

static char buffer[16];

static long copy_it(char __user *from)
{
	memcpy(buffer, from, sizeof(buffer)); /* @sparse @fanalyzer */
	return 0;
}

/**
 * kernel_doc() - has a parameter
 */
int kernel_doc(int undescribed)
{
	unsigned int wide = 3;

	return undescribed < wide; /* @W3 */
}

static void *twice(int n)
{
	char *a = kmalloc(10, GFP_KERNEL);

	if (n > 3)
		kfree(a);
	kfree(a); /* @smatch @clang-analyzer */
	ERR_PTR(-ENOMEM); /* @clang-tidy @W */
	return NULL;
}

static int deref(struct planted *p)
{
	if (p->value > 3)
		return 1;
	if (!p) /* @smatch */
		return -EINVAL;
	return p->value;
}

static int __init planted_init(void)
{
	struct planted p = { 3 };
	int unused_set; /* @W1 */

	unused_set = 3;
	copy_it(NULL);
	twice(p.value);
	return kernel_doc(1) + deref(&p) + helper(&p);
}
module_init(planted_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("faults");
"""
SECOND = """\
// SPDX-License-Identifier: GPL-2.0
#include <linux/slab.h>
#include "planted.h"

int helper(struct planted *p)
{
	void *x = kzalloc(4, GFP_KERNEL);

	if(x == p) /* @checkpatch */
		return 0;
	if (x)
		kfree(x); /* @coccinelle */
	return p->value;
}
"""
SOURCES = {
    "Kbuild": "obj-m := faults.o\nfaults-y := first.o second.o start.o\n",
    "first.c": FIRST,
    "second.c": SECOND,
    "planted.h": "struct planted {\n\tint value;;\n};\nint helper(struct planted *p);\nint kernel_doc(int);\n",
    "start.S": "/* SPDX-License-Identifier: GPL-2.0 */\n#include <linux/linkage.h>\n",
}
PLAIN = "KCFLAGS=-fno-diagnostics-show-caret -fdiagnostics-color=never"
_MAIN = re.compile(r"^(?:.*/)?([^/:\n]+):(\d+)(?::(\d+))?: (warning|error): (.*)$", re.MULTILINE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A module with faults."""
    directory = tmp_path / "faults"
    directory.mkdir()
    for name, text in SOURCES.items():
        (directory / name).write_text(text)
    return directory


@pytest.fixture(params=newest_tree_first())
def tree(request: pytest.FixtureRequest) -> KernelTree:
    return tree_of_release(request.param)


def lint(place: Path, tree: KernelTree, *words: str | Path) -> Called:
    return call("lint", place, "-k", tree.objects, *words, cwd=place.parent)


def main_lines(text: str) -> set[tuple[str, ...]]:
    """File, line, column, level and words of each finding in a compiler's output; its rule as it is for a warning.
    (Kbuild takes LC_ALL out of the environment.)"""
    plain = re.sub("[‘’]", "'", text.replace("-Werror=", "-W"))
    found = (match.groups(default="") for match in _MAIN.finditer(plain))
    return {(*rest, re.sub(r" \[(sparse|kernel-doc|cc)\]$", "", words)) for *rest, words in found}


def marked(*marks: str) -> set[tuple[str, int]]:
    """File and line of the faults with one of `marks`."""
    return {
        (name, number)
        for name, text in SOURCES.items()
        for number, line in enumerate(text.splitlines(), 1)
        if any(re.search(rf"@{mark}\b", line) for mark in marks)
    }


def places(findings: str) -> set[tuple[str, int]]:
    return {(Path(each["file"]).name, each["line"]) for each in map(json.loads, findings.splitlines())}


def oracle(tree: KernelTree, place: Path, *variables: str) -> str:
    """What make says in English, of a copy at the same path; it goes on after errors."""
    done = run(
        ["make", "-k", "-C", str(tree.objects), f"M={place}", PLAIN, *variables, "modules"],
        cwd=place,
        env={**os.environ, "LC_ALL": "C", "PWD": str(place)},
        check=False,
    )
    make(tree, place, goal="clean")
    return done.error_text + done.text


def needs(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


def test_sparse_finds_what_it_finds_under_make(place: Path, tree: KernelTree) -> None:
    needs("sparse")
    # (without the compiler's own warnings)
    expected = main_lines(oracle(tree, place, "C=1", "KCFLAGS=-w"))
    done = lint(place, tree, "--checker", "sparse")
    assert main_lines(done.text) == expected
    assert marked("sparse") == {(name, int(line)) for name, line, *_, words in expected if "incorrect type" in words}
    # (with its second lines)
    assert "    expected void const *" in done.text
    assert sorted(path.name for path in place.iterdir()) == sorted(SOURCES)


@pytest.mark.parametrize("level", ["123e", *swept("1", "12", "e")])
def test_the_compiler_warns_as_under_make(level: str, place: Path, tree: KernelTree) -> None:
    expected = main_lines(oracle(tree, place, f"W={level}"))
    found = main_lines(lint(place, tree, "--checker", "cc", f"W={level}", "--kernel-headers").text)
    if "e" in level:
        # (make does not start kernel-doc after an error)
        found = {each for each in found if "[-W" in each[4]}
    assert found == expected
    assert ("error" in {each[3] for each in found}) == ("e" in level)
    wanted = {"W"} | {mark for mark, needed in {"W1": "1", "W3": "3"}.items() if needed in level}
    assert {(name, int(line)) for name, line, *_ in found} >= marked(*wanted)
    assert any("not described" in each[4] for each in found) == (level in ("1", "12"))


def test_fanalyzer_finds_what_it_finds_under_make_at_the_line_of_the_module(place: Path, tree: KernelTree) -> None:
    said = oracle(tree, place, f"{PLAIN} -fanalyzer -fdiagnostics-path-format=separate-events")
    rules = sorted(re.findall(r" warning: .*\[(-Wanalyzer-[\w-]+)\]$", said, re.MULTILINE))
    done = lint(place, tree, "--checker", "fanalyzer", "--format", "json")
    assert sorted(json.loads(line)["rule"] for line in done.text.splitlines()) == rules
    assert places(done.text) == marked("fanalyzer")
    assert json.loads(done.text.splitlines()[0])["notes"][0]["text"].startswith("(1) entry to")


def test_a_source_is_named_alone_and_a_level_fails(place: Path) -> None:
    tree = usual_tree()
    everything = lint(place, tree, "--checker", "cc", "W=1", "--format", "json")
    one = lint(place, tree, "second.c", "--checker", "cc", "W=1", "--format", "json")
    assert {name for name, _ in places(everything.text)} == {"first.c"}
    assert one.text == ""
    assert everything.returncode == one.returncode == 0
    words = ("--checker", "cc", "W=1", "-q", "--fail-on")
    assert lint(place, tree, *words, "warning").returncode == 1
    assert lint(place, tree, *words, "error").returncode == 0
    assert lint(place, tree, "second.c", *words, "note").returncode == 0
    by_path = call("lint", "faults/first.c", "-k", tree.objects, *words[:2], "W=1", cwd=place.parent)
    assert by_path.text == lint(place, tree, "--checker", "cc", "W=1").text


def test_of_a_baseline_only_what_is_new_is_told(place: Path) -> None:
    tree = usual_tree()
    words = ("--checker", "cc", "W=1")
    file = place.parent / "known.sarif"
    lint(place, tree, *words, "--sarif", file)
    (place / "first.c").write_text(f"/* new */\n{FIRST}\nint no_prototype(void)\n{{\n\treturn 0;\n}}\n")
    done = lint(place, tree, *words, "--baseline", file, "--format", "json", "--fail-on", "warning")
    assert [json.loads(line)["rule"] for line in done.text.splitlines()] == ["-Wmissing-prototypes"]
    assert "3 known from the baseline" in done.error_text
    assert done.returncode == 1


def test_sources_that_the_kbuild_file_makes_are_checked_and_nothing_is_left_among_the_sources(place: Path) -> None:
    tree = usual_tree()
    (place / "Kbuild").write_text(
        "obj-m := made.o\n$(obj)/made.o: $(obj)/made.h\n"
        "$(obj)/made.h:\n\techo 'static int unused(void) { return 1; }' > $@\n"
    )
    (place / "made.c").write_text('#include <linux/module.h>\n#include "made.h"\nMODULE_LICENSE("GPL");\n')
    before = sorted(place.iterdir())
    words = ("--checker", "cc", "W=1", "--format", "json")
    done = lint(place, tree, *words)
    assert places(done.text) == {("made.h", 1)}
    assert json.loads(done.text.splitlines()[0])["file"] == "faults/made.h"
    assert sorted(place.iterdir()) == before
    refused = kbuildpy_without_namespaces("lint", place, "-k", tree.objects, *words)
    assert refused == done.text
    assert sorted(place.iterdir()) == before


def kbuildpy_without_namespaces(*words: str | Path) -> str:
    """What the command prints where the system refuses namespaces."""
    directory = Path(str(words[1]))
    argv = [*REFUSING, sys.executable, "-m", "kbuildpy", *map(str, words)]
    return run(argv, cwd=directory.parent, check=False).text


def test_scons_checks_the_modules_of_a_project_by_the_same_words(tmp_path: Path, place: Path) -> None:
    tree = usual_tree()
    project = SConsProject(
        tmp_path,
        tree.objects,
        {
            "SConstruct": f"{HEAD}"
            "ko = env.Kbuild('faults')\n"
            "ko += env.KernelModule('alone', ['alone.c'], CPPDEFINES=['NAME=unused_here'])\n"
            "env.LintModule(ko, checkers='cc', sarif='out.sarif', fail_on=ARGUMENTS.get('FAIL', ''),"
            " baseline=ARGUMENTS.get('KNOWN'))\n",
            "alone.c": '#include <linux/module.h>\nvoid NAME(void) { }\nMODULE_LICENSE("GPL");\n',
        },
    )
    built = project.build("W=1")
    assert "LINT" not in built.output
    assert not (tmp_path / "out.sarif").exists()
    linted = project.scons("-j2", "lint", "W=1", f"KDIR={tree.objects}")
    assert linted.did == ["LINT    out.sarif"]
    expected = main_lines(lint(place, tree, "--checker", "cc", "W=1").text)
    alone = {each for each in main_lines(linted.output) if each[0] == "alone.c"}
    assert main_lines(linted.output) - alone == expected
    assert [words for *_, words in alone] == ["no previous prototype for 'unused_here' [-Wmissing-prototypes]"]
    [log] = json.loads((tmp_path / "out.sarif").read_text())["runs"]
    assert len(log["results"]) == len(expected) + 1
    # What the command finds in a directory is known in a project, too.
    lint(place, tree, "--checker", "cc", "W=1", "--sarif", tmp_path / "known.sarif")
    new = project.scons("lint", "W=1", f"KDIR={tree.objects}", "KNOWN=known.sarif")
    assert main_lines(new.output) == alone
    failed = project.scons("lint", "W=1", "FAIL=warning", status=2)
    assert "the findings are in" in failed.output
    project.scons("-c", "lint", "W=1")
    assert not (tmp_path / "out.sarif").exists()
    assert [*tmp_path.rglob("faults.ko")]


# --- CHECK= of a build

ARGUMENTS = """\
#!/bin/sh
for word; do printf '<%s>' "$word"; done >> {log}
printf '\\n%s %s %s\\n' "$PWD" "$C" "$KBUILD_EXTMOD" >> {log}
echo "a.c:1:2: warning: said" >&2
exit {status}
"""


@pytest.mark.parametrize("status", [0, pytest.param(1, marks=pytest.mark.sweep)])
def test_a_build_runs_any_program_as_check_with_the_words_and_the_environment_of_make(
    status: int, place: Path, tree: KernelTree, tmp_path: Path
) -> None:
    log, checker = tmp_path / "log", tmp_path / "checker"
    checker.write_text(ARGUMENTS.format(log=log, status=status))
    checker.chmod(0o755)
    said = {}
    for name in ("make", "ours"):
        log.unlink(missing_ok=True)
        words = ["C=1", f"CHECK={checker} -p=kernel 'two words'", "CF=-Wextra -DX='\"q\"'"]
        if name == "make":
            done = make(tree, place, words)
            make(tree, place, goal="clean")
        else:
            done = kbuildpy("build", place, "-k", tree.objects, "-j1", *words)
        lines = sorted(log.read_text().replace(f"/build/{tree.release}/", "/").splitlines())
        said[name] = lines, done.error_text.count("said"), done.returncode != 0
    # (a failed source ends make, and there may be another job at work)
    assert said["ours"][2] == said["make"][2] == bool(status)
    if not status:
        assert said["ours"] == said["make"]
    assert set(said["ours"][0]) <= set(said["make"][0]) or status
    assert any("<-p=kernel><two words>" in line for line in said["ours"][0])


@pytest.mark.sweep
def test_the_kernels_coccicheck_runs_as_check(place: Path, tmp_path: Path) -> None:
    needs("spatch")
    tree = usual_tree()
    scripts = kernel_scripts(tree) / "scripts"
    words = ["C=2", f"CHECK={scripts}/coccicheck", "MODE=report", f"COCCI={scripts}/coccinelle/free/ifnullfree.cocci"]
    expected = re.findall(r"^(\S+ WARNING: .*)$", make(tree, place, words).text, re.MULTILINE)
    make(tree, place, goal="clean")
    ours = kbuildpy("build", place, "-k", tree.objects, *words)
    assert re.findall(r"^(\S+ WARNING: .*)$", ours.text, re.MULTILINE) == expected != []


@pytest.mark.sweep
def test_a_tree_that_does_not_accept_the_program_for_c_1_gives_its_words_all_the_same(
    place: Path, tmp_path: Path
) -> None:
    tree, _ = newer_kernel()
    checker = tmp_path / "checker"
    checker.write_text('#!/bin/sh\nfor source; do :; done\necho "$source:1:1: warning: $1" >&2\n')
    checker.chmod(0o755)
    done = lint(place, tree, "--checker", f"sparse={checker}", "--format", "json", *other_compiler(tree))
    assert places(done.text) == {("first.c", 1), ("second.c", 1)}, done.error_text
    assert {json.loads(line)["message"] for line in done.text.splitlines()} == {"-D__linux__"}


@pytest.mark.sweep
def test_clang_reads_the_sources_of_another_architecture(place: Path) -> None:
    needs("clang-tidy", "aarch64-linux-gnu-gcc")
    done = lint(place, arm64_tree(), "--checker", "clang-analyzer", "--format", "json")
    assert places(done.text) >= marked("clang-analyzer")
    assert "error" not in {json.loads(line)["level"] for line in done.text.splitlines()}


# --- Programs that not every machine has


def kernel_scripts(tree: KernelTree) -> Path:
    """The sources of the tree's line, of which scripts/ is unpacked."""
    line = ".".join(map(str, tree.version))
    archive = source_archive(line)
    place = archive.parents[2] / "scripts-whole"
    if not (place / "scripts/coccinelle").is_dir():
        place.mkdir(exist_ok=True)
        run(["tar", "-C", place, "--strip-components=1", "-xf", archive, f"linux-source-{line}/scripts"], timeout=600)
    return place


@pytest.mark.sweep
@pytest.mark.parametrize("tree", [pytest.param(each.release, id=each.release) for each in trees()], indirect=True)
@pytest.mark.parametrize(
    ("checker", "program"),
    [
        ("smatch", "smatch"),
        ("clang-tidy", "clang-tidy"),
        ("clang-analyzer", "clang-tidy"),
        ("coccinelle", "spatch"),
        ("checkpatch", "perl"),
    ],
)
def test_finds_the_fault_that_was_planted_for_it(checker: str, program: str, place: Path, tree: KernelTree) -> None:
    needs(program)
    words: list[str | Path] = []
    if checker in ("coccinelle", "checkpatch"):
        words = ["--scripts", kernel_scripts(tree) / "scripts"]
    done = lint(place, tree, "--checker", checker, "--format", "json", *words)
    assert done.returncode == 0, done.error_text
    assert places(done.text) >= marked(checker) != set()


def by_make(tree: KernelTree, place: Path, checker: str) -> Iterable[tuple[str, int]]:
    """What a checker finds by hand, as its manual says to call it: file and line."""
    if checker == "smatch":
        said = oracle(tree, place, "C=1", "CHECK=smatch -p=kernel")
        return [(name, int(line)) for name, line in re.findall(r"/(\w+\.[ch]):(\d+) \w+\(\) (?:warn|error): ", said)]
    scripts = kernel_scripts(tree) / "scripts"
    if checker == "checkpatch":
        files = ["first.c", "second.c", "planted.h", "start.S"]
        argv: list[str | Path] = [
            "perl",
            scripts / "checkpatch.pl",
            "--no-tree",
            "--terse",
            "--no-summary",
            "--file",
            *files,
        ]
        said = run(argv, cwd=place, check=False).text
        return [(name, int(line)) for name, line in re.findall(r"^(\S+):(\d+): ", said, re.MULTILINE)]
    found = []
    for script in sorted(scripts.rglob("*.cocci")):
        options = re.search(r"Options:(.*)", script.read_text())
        words = options[1].split() if options else []
        spatch = ["spatch", "-D", "report", "--no-show-diff", "--very-quiet", "--cocci-file"]
        said = run([*spatch, script, *words, "first.c", "second.c"], cwd=place, check=False).text
        found += [(name, int(line)) for name, line in re.findall(r"^(\S+?):(\d+):\d+-\d+: ", said, re.MULTILINE)]
    return found


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("checker", "program"), [("smatch", "smatch"), ("checkpatch", "perl"), ("coccinelle", "spatch")]
)
def test_finds_what_the_program_finds_by_hand(checker: str, program: str, place: Path) -> None:
    needs(program)
    tree = usual_tree()
    expected = sorted(set(by_make(tree, place, checker)))
    words: list[str | Path] = [] if checker == "smatch" else ["--scripts", kernel_scripts(tree) / "scripts"]
    done = lint(place, tree, "--checker", checker, "--format", "json", *words)
    assert sorted(places(done.text)) == expected != []
