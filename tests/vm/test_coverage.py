# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run --coverage --fail-nth`: what is told of a module whose mistakes and whose pure function are known.

In every run one call fails, and all of them in the sweep.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.execute import Completed
from kbuildpy.run import run
from tests.support.covered_module import PANICS, counts_in_a_program, line_of, write_covered, write_panics
from tests.support.guest_kernels import kernel_to_run, one_of, tree_called

pytestmark = pytest.mark.vm


@dataclass(frozen=True)
class Covered:
    """One call, in the module's directory."""

    place: Path
    done: Completed
    module: dict[str, Any]
    """The object of JSON about the module."""
    faults: list[dict[str, Any]]
    """Those about the calls that failed."""
    calls: str
    """Which calls were to fail: a number, or `all`."""

    def lines(self, name: str) -> dict[int, int]:
        """How often each line of a file was reached."""
        [file] = (each for each in self.module["coverage"]["files"] if Path(each["file"]).name == name)
        return {int(number): count for number, count in file["lines"].items()}


_LEAKS = "3"
"""The call that leaks when it fails."""
_FIRST, *_ = one_of("6.1", "6.12")


def _params() -> list[Any]:
    all_calls = [pytest.param((line, "all"), marks=pytest.mark.sweep) for line in ("6.1", "6.12", "arm64")]
    return [pytest.param((_FIRST, _LEAKS), id=f"{_FIRST}-{_LEAKS}"), *all_calls]


@pytest.fixture(scope="module", params=_params())
def covered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Covered:
    """The module built and run, where one call of an allocator fails, or each of them once."""
    line, calls = request.param
    tree = tree_called(line)
    place = write_covered(tmp_path_factory.mktemp("coverage") / "covered")
    words = ["--coverage", "--fail-nth", calls, "--test", "covered.sh", "-k", kernel_to_run(tree), "--format", "json"]
    argv = [sys.executable, "-m", "kbuildpy", "run", ".", *words]
    done = run(argv, cwd=place, check=False, timeout=900)
    assert done.text, done.error_text[-3000:]
    module, *faults = map(json.loads, done.text.splitlines())
    return Covered(place, done, module, faults, calls)


LATER = """// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

struct later {
	long number;
	struct rcu_head rcu;
};

static int __init later_init(void)
{
	struct later *later = kmalloc(sizeof(*later), GFP_KERNEL);
	struct page *page = alloc_page(GFP_KERNEL);
	char *name = kasprintf(GFP_KERNEL, "%d%d%d%d%d%d%d%d%d%d%d%d%d", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13);

	if (later)
		kfree_rcu(later, rcu);
	if (page)
		put_page(page);
	if (!name)
		return -ENOMEM;
	pr_info("named %s\\n", name);
	kfree(name);
	return 0;
}

static void __exit later_exit(void)
{
}

module_init(later_init);
module_exit(later_exit);
MODULE_LICENSE("GPL");
"""


@pytest.mark.sweep
@pytest.mark.parametrize("line", ["6.1", "6.12"])
def test_memory_that_others_free_later_is_no_leak_and_arguments_arrive(line: str, tmp_path: Path) -> None:
    (tmp_path / "Kbuild").write_text("obj-m := later.o\n")
    (tmp_path / "later.c").write_text(LATER)
    kernel = kernel_to_run(tree_called(line))
    argv: list[str | Path] = [sys.executable, "-m", "kbuildpy", "run", ".", "--fail-nth", "all", "-k", kernel]
    done = run(argv, cwd=tmp_path, check=False, timeout=900)
    said = done.text + done.error_text
    assert "call 3 of 3" in said, said
    assert "never freed" not in said and "leak" not in said, said
    assert "named 12345678910111213" in said, said


def test_counts_of_a_pure_function_are_those_of_a_program(covered: Covered, tmp_path: Path) -> None:
    assert covered.module["passed"], covered.done.error_text[-3000:]
    expected = counts_in_a_program(tmp_path / "program")
    assert len(expected) > 30
    # (the runs with a failure that still load the module run the test, too)
    [runs] = {count for number, count in covered.lines("pure.c").items() if number == min(expected)} or {0}
    times, rest = divmod(runs, expected[min(expected)])
    assert (times, rest) in ((1, 0), (2, 0))
    assert covered.lines("pure.c") == {number: times * count for number, count in expected.items()}


def test_init_and_exit_functions_count(covered: Covered) -> None:
    lines = covered.lines("main.c")
    assert lines[line_of("right")] == len(covered.faults) + 1
    assert lines[line_of("oopses")] >= 1
    functions = {
        function["name"]: function["count"]
        for file in covered.module["coverage"]["files"]
        for function in file["functions"]
    }
    assert functions["covered_init"] == len(covered.faults) + 1
    assert functions["never"] == 0
    assert functions["covered_exit"] >= 1


def test_the_planted_leak_is_found_with_its_line(covered: Covered) -> None:
    [fault] = (fault for fault in covered.faults if fault["failed"]["allocator"] == "kstrdup")
    assert fault["failed"]["where"][0]["line"] == line_of("fails")
    [leak] = fault["leaks"]
    assert (leak["where"][0]["function"], leak["where"][0]["line"]) == ("covered_init", line_of("leaks"))
    assert not fault["passed"]
    assert fault["outcome"] == "covered was not loaded (ENOMEM)"


def test_the_planted_oops_is_told_with_its_line(covered: Covered) -> None:
    if covered.calls != "all":
        pytest.skip("only the call that leaks was made to fail")
    [fault] = (fault for fault in covered.faults if "vmalloc" in fault["failed"]["allocator"])
    assert fault["failed"]["where"][0]["line"] == line_of("leaks")
    [oops] = (complaint for complaint in fault["complaints"] if complaint["kind"] == "oops")
    assert oops["where"][0]["line"] == line_of("oopses")
    assert not fault["passed"]


def test_a_right_error_path_passes(covered: Covered) -> None:
    if covered.calls != "all":
        pytest.skip("only the call that leaks was made to fail")
    assert [fault["passed"] for fault in covered.faults] == [True, False, False]
    first = covered.faults[0]
    assert "kmalloc" in first["failed"]["allocator"]
    # (kzalloc() is inlined)
    assert (first["failed"]["where"][0]["function"], first["failed"]["where"][0]["line"]) == (
        "covered_init",
        line_of("right"),
    )
    assert covered.done.returncode == 1


def test_files_about_coverage_say_the_same(covered: Covered) -> None:
    coverage = covered.module["coverage"]
    records = (covered.place / coverage["lcov"]).read_text().split("end_of_record\n")
    found = {}
    for record in records[:-1]:
        [source] = re.findall(r"^SF:(.*)$", record, re.MULTILINE)
        found[source] = {int(line): int(count) for line, count in re.findall(r"^DA:(\d+),(\d+)$", record, re.MULTILINE)}
    assert found == {file["file"]: covered.lines(Path(file["file"]).name) for file in coverage["files"]}
    page = (covered.place / coverage["html"]).read_text()
    assert "struct thing *thing" in page
    assert not re.search(r"(src|href)=\"(?!#)", page)


@pytest.mark.sweep
def test_a_panic_is_blamed_on_the_call_that_failed_in_its_boot(tmp_path: Path) -> None:
    place = write_panics(tmp_path / "panics")
    words = ["--fail-nth", "2", "--format", "json", "--test", "first.sh", "--test", "second.sh"]
    argv: list[str | Path] = [
        sys.executable,
        "-m",
        "kbuildpy",
        "run",
        ".",
        *words,
        "-k",
        kernel_to_run(tree_called(_FIRST)),
    ]
    done = run(argv, cwd=place, check=False, timeout=900)
    assert done.text, done.error_text[-3000:]
    module, fault = map(json.loads, done.text.splitlines())
    assert module["passed"], done.error_text[-3000:]
    assert "panic" in [complaint["kind"] for complaint in fault["complaints"]]
    # (the second test ran in another boot, in which its call was the second one)
    assert "booting again for second.sh" in done.error_text
    assert fault["failed"]["where"][0]["line"] == line_of("first", PANICS)


@pytest.mark.sweep
def test_scons_leaves_the_files_beside_the_module(tmp_path: Path) -> None:
    tree = tree_called(_FIRST)
    place = write_covered(tmp_path / "project")
    (place / "Kbuild").unlink()
    (place / "SConstruct").write_text(
        'env = Environment(tools=["default", "kbuild"])\n'
        'env.RunModule(env.KernelModule("covered", ["main.c", "pure.c"]), tests=["covered.sh"])\n'
    )
    done = run(
        [sys.executable, "-m", "SCons", "-Q", "COVERAGE=1", f"KDIR={tree.objects}", "test"],
        cwd=place,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.text + done.error_text
    assert re.search(r"^coverage \(.*\): \d+ of \d+ lines", done.text, re.MULTILINE)
    beside = place / "build-coverage" / tree.release / "covered.coverage"
    counts = dict(re.findall(r"^DA:(\d+),(\d+)$", (beside / "lcov.info").read_text().split("pure.c")[1], re.MULTILINE))
    expected = counts_in_a_program(tmp_path / "program")
    assert {int(number): int(count) for number, count in counts.items()} == expected
    assert (beside / "index.html").is_file()
