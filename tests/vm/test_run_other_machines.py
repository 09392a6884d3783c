# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run` in kernels for i386, armhf, ppc64el and s390x: modules, tests beside them, a fault and a warning."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kernel.architecture import architecture_of, known_architecture
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.vm.machine import machine_for
from tests.support.builds import kbuildpy
from tests.support.foreign_trees import FOREIGN, foreign_tree
from tests.support.samples import SAMPLES

pytestmark = [pytest.mark.vm, pytest.mark.sweep]

FAULT = """\
#include <linux/module.h>
static int *volatile place;
static noinline int poke(void)
{
	return *place = 7; /* here */
}
static int __init fault_init(void)
{
	return poke() - 7;
}
module_init(fault_init);
MODULE_LICENSE("GPL");
"""
WARNS = """\
#include <linux/module.h>
static int zero;
module_param(zero, int, 0444);
static int __init warns_init(void)
{
	WARN(!zero, "zero is %d\\n", zero);
	return 0;
}
static void __exit warns_exit(void)
{
}
module_init(warns_init);
module_exit(warns_exit);
MODULE_LICENSE("GPL");
"""
PROGRAM = """\
#include <stdio.h>
int main(void)
{
	int one = 1;

	printf("1..1\\n# %zu bits, %s first\\nok 1 told\\n", 8 * sizeof(long), *(char *)&one ? "little" : "big");
	return 0;
}
"""
SCRIPT = "#!/bin/sh\necho 1..1; uname -m; grep -q '^hello ' /proc/modules && echo ok 1 there\n"


@pytest.fixture(scope="module", params=FOREIGN)
def machine(request: pytest.FixtureRequest) -> tuple[KernelTree, tuple[str, ...]]:
    """A tree, and what is said to the compiler."""
    tree, words = foreign_tree(request.param)
    qemu = machine_for(architecture_of(tree)).qemu
    if shutil.which(qemu) is None:
        pytest.skip(f"{qemu} is not installed")
    return tree, words


def test_modules_and_tests_run(machine: tuple[KernelTree, tuple[str, ...]], tmp_path: Path) -> None:
    tree, words = machine
    architecture = architecture_of(tree)
    known = known_architecture(architecture.srcarch, architecture.bits)
    assert known
    if not Path("/usr", known.triplet, "lib/libc.a").is_file():
        pytest.skip(f"there is no C library here for programs in C: {machine_for(architecture).compiler_package}")
    build(tree, words, SAMPLES / "hello", tmp_path)
    (tmp_path / "bits.c").write_text(PROGRAM)
    (tmp_path / "there.sh").write_text(SCRIPT)
    tests = [word for name in ("there.sh", "bits.c") for word in ("--test", tmp_path / name)]
    status, (module,) = run(tree, tmp_path / tree.release / "hello.ko", *tests)
    assert (status, module["loaded"], module["complaints"], module["taints"]) == (0, True, [], "OE")
    checked = kbuildpy("check", tmp_path / tree.release / "hello.ko", "-k", tree.objects, "--format", "json")
    script, program = module["tests"]
    assert module["line"].split()[1] == str(json.loads(checked.text)["size"])
    assert known.uname in "\n".join(script["output"])
    assert f"# {known.bits} bits, {'little' if known.order == '<' else 'big'} first" in program["output"]
    assert script["passed"] and program["passed"]


def test_a_fault_and_a_warning_have_their_lines(machine: tuple[KernelTree, tuple[str, ...]], tmp_path: Path) -> None:
    tree, words = machine
    sources = tmp_path / "sources"
    sources.mkdir()
    for name, text in {"fault.c": FAULT, "warns.c": WARNS, "Kbuild": "obj-m := fault.o warns.o\n"}.items():
        (sources / name).write_text(text)
    build(tree, words, sources, tmp_path)
    place = tmp_path / tree.release
    status, (fault, warns) = run(tree, place / "fault.ko", place / "warns.ko")
    assert status == 1
    assert [item["kind"] for item in fault["complaints"]][:1] == ["oops"]
    first = fault["complaints"][0]["where"][0]
    line = 1 + FAULT.splitlines().index("\treturn *place = 7; /* here */")
    assert (first["function"], first["line"]) == ("poke", line)
    (warning,) = (item for item in warns["complaints"] if item["kind"] == "warning")
    assert "zero is 0" in "\n".join(warning["log"])
    assert warning["where"][0]["function"] == "warns_init"


def build(tree: KernelTree, words: tuple[str, ...], source: Path, out: Path) -> None:
    done = kbuildpy("build", source, "-k", tree.objects, "-o", out, *words)
    assert done.returncode == 0, done.error_text


def run(tree: KernelTree, *words: str | Path) -> tuple[int, list[dict[str, Any]]]:
    """Exit status, and the objects that are printed."""
    done = kbuildpy("run", "-k", tree.objects, "--format", "json", *words)
    return done.returncode, [json.loads(line) for line in done.text.splitlines()]
