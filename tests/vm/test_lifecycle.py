# SPDX-License-Identifier: GPL-2.0-only
"""A script of loads and unloads, run over the model and in real kernels: they agree after each step."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kernels.from_tree import kernel_from_tree
from kbuildpy.loader.lifecycle.procfs import proc_modules
from kbuildpy.loader.lifecycle.script import run_script
from kbuildpy.loader.lifecycle.step import ScriptStep
from kbuildpy.run import run
from tests.support.guest_kernels import image_of, tree_called
from tests.support.kernel_trees import swept
from tests.support.packages import NEWEST, asking, other_compiler
from tests.support.samples import SAMPLES
from tests.support.system_calls import Answer, Call, make_calls

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not installed"),
]

HEAD = '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n'
INIT = "static int __init start(void) { return 0; }\nmodule_init(start);\n"
SOURCES = {
    "stays": HEAD + INIT,
    "bare": HEAD,
    "ends": HEAD + "static void __exit stop(void) { }\nmodule_exit(stop);\n",
    "second_user": HEAD
    + "u32 exporter_next_ticket(void);\nu32 use_twice(void);\n"
    + "u32 use_twice(void) { return exporter_next_ticket(); }\nEXPORT_SYMBOL(use_twice);\n",
    "of_both": HEAD
    + "u32 exporter_next_ticket(void);\nu32 use_twice(void);\n"
    + "u32 use_both(void);\nu32 use_both(void) { return exporter_next_ticket() + use_twice(); }\n",
    "same_export": HEAD + "u32 use_twice(void);\nu32 use_twice(void) { return 1; }\nEXPORT_SYMBOL(use_twice);\n",
    # Its init and exit functions wait until they may return; what it exports somebody uses.
    "slow": HEAD.replace("<linux/module.h>", "<linux/module.h>\n#include <linux/delay.h>")
    + "static int come, go, done;\nmodule_param(come, int, 0600);\nmodule_param(go, int, 0600);\n"
    + "u32 slow_value(void);\nu32 slow_value(void) { return done; }\nEXPORT_SYMBOL(slow_value);\n"
    + "static int __init start(void) { while (!READ_ONCE(come)) msleep(10); return 0; }\nmodule_init(start);\n"
    + "static void __exit stop(void) { while (!READ_ONCE(go)) msleep(10); }\nmodule_exit(stop);\n",
    "slow_user": HEAD + "u32 slow_value(void);\nu32 use_slow(void);\nu32 use_slow(void) { return slow_value(); }\n",
    "not_free": '#include <linux/module.h>\nMODULE_LICENSE("Proprietary");\n' + INIT,
}
SAMPLED = ("exporter", "exporter_user", "chardev")

SCRIPT = """
rmmod exporter                  # not loaded
insmod exporter_user.ko         # what it needs is not loaded
insmod bare.ko
rmmod -f no_such_module
insmod exporter.ko
insmod exporter.ko              # loaded already
insmod exporter_user.ko
rmmod exporter                  # used
rmmod -f exporter               # force does not help
insmod second_user.ko
insmod of_both.ko
rmmod exporter
rmmod second_user               # used by of_both alone
insmod same_export.ko           # second_user exports it
rmmod exporter_user
insmod exporter_user.ko         # now the latest
rmmod of_both
rmmod second_user
insmod same_export.ko
insmod second_user.ko           # the other way round
rmmod exporter
rmmod exporter_user
rmmod exporter
rmmod exporter                  # gone
insmod ends.ko
rmmod ends
rmmod bare
open chardev                    # not loaded
insmod chardev.ko no_such_parameter=1
open chardev
open chardev
rmmod chardev                   # held
close chardev
rmmod chardev
close chardev
rmmod chardev
insmod chardev.ko
open chardev
insmod stays.ko
rmmod stays                     # permanent
insmod stays.ko
rmmod same_export same_export
rmmod -f stays
insmod stays.ko
rmmod -f stays
insmod slow.ko &
rmmod slow                      # its init function has not returned
rmmod -f slow
wait slow
insmod slow_user.ko
rmmod slow                      # used
rmmod slow_user
rmmod slow &
rmmod slow                      # its exit function has not returned
insmod slow.ko                  # the same name
insmod slow_user.ko             # what it needs is going
wait slow
insmod slow_user.ko             # and gone
insmod not_free.ko
insmod stays.ko
insmod bare.ko
rmmod -f chardev                # held, and forced; who holds it must not end after this
"""

_ADDRESS = re.compile(" 0x[0-9a-f]{16}")


class Lives(NamedTuple):
    """The steps of the script over the model, and in a kernel: the answers of each, then the lines of /proc/modules."""

    model: list[ScriptStep]
    kernel: list[tuple[list[Answer], tuple[str, ...]]]


@pytest.fixture(scope="module", params=["6.12", *swept("6.1", NEWEST)])
def lives(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lives:
    tree, place = tree_called(request.param), tmp_path_factory.mktemp("lifecycle")
    modules = build_modules(tree, place)
    kernel = kernel_from_tree(tree, asking(tree))
    steps = list(run_script(SCRIPT, kernel, modules))
    calls = [calls_of(step.command.words) for step in steps]
    sequence = [call for group in calls for call in (*group, ("print", "/proc/modules"))]
    files = {module.name: module.read_bytes() for module in modules.glob("*.ko")}
    answers = iter(make_calls(image_of(tree), sequence, files, place))
    lived = []
    for group in calls:
        given = [next(answers) for _ in group]
        lived.append((given, next(answers).lines))
    return Lives(steps, lived)


def build_modules(tree: KernelTree, place: Path) -> Path:
    """Build all modules for `tree`; the directory in which they lie."""
    project, built = place / "project", place / "built"
    for name in SAMPLED:
        shutil.copytree(SAMPLES / name, project / name, ignore=shutil.ignore_patterns("build"))
    for name, source in SOURCES.items():
        (project / f"{name}.c").write_text(source)
    objects = [f"{name}/" for name in SAMPLED] + [f"{name}.o" for name in SOURCES if name != "same_export"]
    (project / "Kbuild").write_text("".join(f"obj-m += {target}\n" for target in objects))
    # Two modules of one build cannot export the same.
    apart = place / "apart"
    apart.mkdir()
    (project / "same_export.c").rename(apart / "same_export.c")
    (apart / "Kbuild").write_text("obj-m := same_export.o\n")
    built.mkdir()
    for directory in (project, apart):
        out = place / f"{directory.name}-out"
        run(
            [sys.executable, "-m", "kbuildpy", "build", directory, "-k", tree.objects, *other_compiler(tree), "-o", out]
        )
        for module in out.rglob("*.ko"):
            shutil.copy(module, built / module.name)
    return built


def calls_of(words: list[str]) -> list[Call]:
    """The system calls that a command of the script makes."""
    verb, *operands = words
    if operands[-1] == "&":
        verb = "Load" if verb == "insmod" else "Unload"
        return [(verb, *((f"/{operands[0]}", "") if verb == "Load" else (operands[0], str(os.O_NONBLOCK))))]
    if verb == "insmod":
        return [("load", f"/{operands[0]}", " ".join(operands[1:]))]
    if verb == "rmmod":
        flags = os.O_NONBLOCK | (os.O_TRUNC if "-f" in operands else 0)
        return [("unload", name, str(flags)) for name in operands if name != "-f"]
    return [(verb, operands[0] if verb == "wait" else f"/dev/{operands[0]}")]


def numbers(step: ScriptStep, answers: list[Answer]) -> tuple[int, int]:
    """The errno that was predicted, and the kernel's (of several calls, that of the last that failed)."""
    predicted = getattr(errno, step.errno) if step.errno else 0
    return predicted, next((answer.errno for answer in reversed(answers) if answer.errno), 0)


def test_every_step_ends_with_the_errno_of_the_kernel(lives: Lives) -> None:
    said = [(step.command.text, *numbers(step, answers)) for step, (answers, _) in zip(*lives, strict=True)]
    assert [item for item in said if item[1] != item[2]] == []
    assert {number for _, number, _ in said} >= {
        0,
        errno.ENOENT,
        errno.EEXIST,
        errno.EAGAIN,
        errno.EBUSY,
        errno.ENOEXEC,
    }


def test_the_list_of_modules_is_that_of_the_kernel_after_every_step(lives: Lives) -> None:
    for step, (_, lines) in zip(*lives, strict=True):
        predicted = [_ADDRESS.sub("", line) for line in proc_modules(step.modules, step.kernel)]
        assert predicted == [_ADDRESS.sub("", line) for line in lines], step.command.text


def test_the_kernel_logs_what_was_predicted(lives: Lives) -> None:
    """(The modules' own lines aside.)"""
    own = re.compile(r"exporter\w*: (loaded|removed|got)|chardev: (loaded|removed)")
    for step, (answers, _) in zip(*lives, strict=True):
        logged = [line for answer in answers for line in answer.log if not own.match(line)]
        assert list(step.lines) == logged, step.command.text
