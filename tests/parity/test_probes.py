# SPDX-License-Identifier: GPL-2.0-only
"""Probes that are answered together answer as each does alone: the oracle is the tree's compiler, which makes an object
of each in a source of its own. And their answers follow every change of the tree.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.probe import compile_probe, errors_of
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.probes import answer_probes as answering
from kbuildpy.probes.answer_probes import answer_probes
from kbuildpy.probes.probe import Probe, make_probe
from tests.support.builds import kbuildpy
from tests.support.edits import edit
from tests.support.kernel_trees import TREES, private_tree, usual_tree
from tests.support.packages import other_compiler
from tests.support.scons_project import HEAD, new_project

pytestmark = pytest.mark.parity

INCLUDES = ("linux/fs.h", "linux/device.h", "linux/platform_device.h", "linux/mm.h")
FOPS = "static const struct file_operations ops __attribute__((unused)) = {{ .{} = NULL }};"
TAKES = "static int take(struct inode *inode, struct file *file) {{ return 0; }}\n" + (
    "static const struct file_operations ops = {{ .{} = take }};"
)
ASKED: dict[str, tuple[str, str, dict[str, Any]]] = {
    # name: (kind, text, others)
    "HAVE_HEADER": ("header", "linux/panic.h", {}),
    "HAVE_NO_HEADER": ("header", "linux/panik.h", {}),
    "HAVE_TYPE": ("type", "struct file_operations", {}),
    "HAVE_NO_TYPE": ("type", "struct file_operation", {}),
    "HAVE_TYPEDEF": ("type", "loff_t", {}),
    "HAVE_NO_TYPEDEF": ("type", "loft_t", {}),
    "HAVE_FUNCTION_AS_TYPE": ("type", "get_device", {}),
    "HAVE_MEMBER": ("member", "struct file_operations.iterate_shared", {}),
    "HAVE_ITERATE": ("member", "struct file_operations.iterate", {}),
    "HAVE_BITS": ("member", "struct device.offline_disabled", {}),
    "HAVE_INNER": ("member", "struct platform_driver.driver.name", {}),
    "HAVE_DECLARED": ("declared", "get_device", {}),
    "HAVE_MACRO": ("declared", "MODULE_ALIAS", {}),
    "HAVE_NOT_DECLARED": ("declared", "get_devise", {}),
    "HAVE_ONE": ("call", 'class_create("x")', {}),
    "HAVE_TWO": ("call", 'class_create(THIS_MODULE, "x")', {}),
    "HAVE_NOBODY": ("call", "nobody_home(1)", {}),
    "HAVE_NOBODY_EITHER": ("call", "nobody_home(1, 2)", {}),
    "HAVE_NOBODY_INSIDE": ("source", "int left = 1;\nleft += nobody_home(left);", {}),
    "HAVE_OPS": ("source", "", {"outside": FOPS.format("open")}),
    "HAVE_NO_OPS": ("source", "", {"outside": FOPS.format("opened")}),
    "HAVE_TAKE": ("source", "(void)ops;", {"outside": TAKES.format("open")}),
    "HAVE_OTHER_TAKE": ("source", "(void)ops;", {"outside": TAKES.format("llseek")}),
    "HAVE_REDECLARED": ("source", "", {"outside": "struct device *get_device(struct device *dev);"}),
    "HAVE_OTHER_REDECLARED": ("source", "", {"outside": "int get_device(struct device *dev);"}),
    "HAVE_BODY_EXTERN": ("source", "extern int undeclared_thing(void);\n(void)undeclared_thing();", {}),
    "HAVE_BODY_WITHOUT": ("source", "(void)undeclared_thing();", {}),
    "HAVE_OWN_MACRO": ("source", "int x = LIMIT;\n(void)x;", {"outside": "#define LIMIT 4"}),
    "HAVE_FOREIGN_MACRO": ("source", "int x = LIMIT;\n(void)x;", {}),
    "HAVE_NAMESPACE": ("source", "", {"outside": "MODULE_IMPORT_NS(DMA_BUF);"}),
    "HAVE_NAMESPACE_TEXT": ("source", "", {"outside": 'MODULE_IMPORT_NS("DMA_BUF");'}),
    "HAVE_LOCK": ("source", "mutex_lock(&lock);", {"outside": "static DEFINE_MUTEX(lock);"}),
    "HAVE_OTHER_LOCK": ("source", "spin_lock(&lock);", {"outside": "static DEFINE_SPINLOCK(lock);"}),
    "HAVE_OTHER_LOCKED": ("source", "spin_lock(&lock);", {"outside": "static DEFINE_MUTEX(lock);"}),
    "HAVE_MACRO_S_NAME": ("source", "(void)current;", {"outside": "static int current;"}),
    "HAVE_MACRO_S_NAME_TOO": ("source", "(void)current;", {"outside": "struct task_struct *current(void);"}),
    "HAVE_LATE": ("source", "late();", {"outside": 'void late(void) __attribute__((error("no")));', "strict": True}),
}
FEW = re.findall(
    r"\w+",
    """
    HAVE_HEADER HAVE_NO_HEADER HAVE_NO_TYPE HAVE_BITS HAVE_NOT_DECLARED HAVE_ONE HAVE_NOBODY HAVE_NOBODY_EITHER
    HAVE_NOBODY_INSIDE HAVE_OPS HAVE_NO_OPS HAVE_REDECLARED HAVE_OTHER_REDECLARED HAVE_LATE
    HAVE_NAMESPACE HAVE_NAMESPACE_TEXT
    """,
)
"""Those that hide each other's errors, or would; the others only in the sweep."""


def probes_of(names: list[str]) -> list[Probe]:
    """Those of `ASKED`, each with all headers."""
    return [
        make_probe(name, {ASKED[name][0]: ASKED[name][1]}, place="p", includes=INCLUDES, **ASKED[name][2])
        for name in names
    ]


def answer_of(tree: KernelTree) -> TreeAnswer:
    variables = dict(word.split("=", 1) for word in other_compiler(tree))
    return ask_tree(tree, variables=variables, environ=os.environ)


def alone(answer: TreeAnswer, probe: Probe) -> bool:
    """What the compiler says about the probe as a person would write it, in a source of its own."""
    text = {
        "header": f"#include <{probe.text}>",
        "type": f"struct asked {{ {probe.text} it; }};",
        "member": f"void asked(void); void asked(void) {{ {probe.text.replace('.', ' *it = 0; (void)it->', 1)}; }}",
        "declared": f"#ifndef {probe.text}\nvoid *asked(void); void *asked(void) {{ return &{probe.text}; }}\n#endif",
        "call": f"void asked(void); void asked(void) {{ {probe.text}; }}",
        "source": f"{probe.outside}\nvoid asked(void); void asked(void) {{ {probe.text} }}",
    }[probe.kind]
    includes = "".join(f"#include <{name}>\n" for name in ("linux/module.h", *probe.includes))
    try:
        compile_probe(answer, f"{includes}{text}\n", environ=os.environ)
    except CommandError:
        return False
    return True


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache in which nothing is remembered."""
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        pytest.param(usual_tree(), FEW, id="few"),
        *(pytest.param(tree, list(ASKED), id=tree.release, marks=pytest.mark.sweep) for tree in TREES),
    ],
)
@pytest.mark.usefixtures("own_cache")
def test_answers_all_at_once_as_the_compiler_answers_each_alone(tree: KernelTree, names: list[str]) -> None:
    answer, probes = answer_of(tree), probes_of(names)
    together = answer_probes(answer, probes, environ=os.environ)
    assert dict(together.found) == {probe.name: alone(answer, probe) for probe in probes}
    assert set(together.found.values()) == {True, False}
    assert together.units < len(probes) / 3


@pytest.mark.usefixtures("own_cache")
def test_probes_that_call_the_same_macro_at_file_scope_share_a_run_of_the_compiler() -> None:
    names = ["HAVE_NAMESPACE", "HAVE_NAMESPACE_TEXT", "HAVE_LOCK", "HAVE_OTHER_LOCK", "HAVE_OTHER_LOCKED"]
    asked = answer_probes(answer_of(usual_tree()), probes_of(names), environ=os.environ)
    assert list(asked.found.values())[2:] == [True, True, False]
    assert asked.units == 1


@pytest.mark.sweep
@pytest.mark.usefixtures("own_cache")
def test_an_answer_does_not_depend_on_the_order_of_the_probes() -> None:
    answer, probes = answer_of(usual_tree()), probes_of(list(ASKED))
    backwards = answer_probes(answer, probes[::-1], environ=os.environ).found
    assert dict(answer_probes(answer, probes, environ=os.environ).found) == dict(backwards)


@pytest.mark.parametrize(
    ("given", "includes", "part"),
    [
        ({"type": "struct inode"}, ["linux/fss.h"], "there is no header linux/fss.h"),
        ({"call": "put_device(dev)"}, ["linux/device.h"], "for another reason than put_device: 'dev' undeclared"),
        ({"source": "int x = 1;\nint y 2;"}, [], "line 2 of source: does not compile because of its syntax"),
        ({"type": "struct inode"}, ["asm-generic/bitops/non-atomic.h", "linux/mod_devicetable.h"], ""),
    ],
)
@pytest.mark.usefixtures("own_cache")
def test_a_probe_that_is_wrong_itself_is_an_error_beside_others(
    given: dict[str, str], includes: list[str], part: str
) -> None:
    others = probes_of(["HAVE_TYPE", "HAVE_NO_TYPE"])
    wrong = make_probe("HAVE_WRONG", given, place="SConstruct:9", includes=includes)
    if not part:  # (headers of any kind are no reason for a wrong answer)
        found = answer_probes(answer_of(usual_tree()), [*others, wrong], environ=os.environ).found
        assert (found["HAVE_TYPE"], found["HAVE_NO_TYPE"]) == (True, False)
        return
    with pytest.raises(KbuildError) as caught:
        answer_probes(answer_of(usual_tree()), [*others, wrong], environ=os.environ)
    assert caught.value.message.startswith("SConstruct:9: HAVE_WRONG: ")
    assert part in caught.value.message
    assert caught.value.hint


@pytest.mark.usefixtures("own_cache")
def test_finds_the_header_that_a_probe_does_not_name() -> None:
    asked = {
        "HAVE_A": {"member": "struct pci_driver.shutdown"},
        "HAVE_B": {"member": "struct pci_driver.shut_down"},
        "HAVE_C": {"declared": "usb_register_dev"},
        "HAVE_D": {"call": "pci_enable_device((struct pci_dev *)0)"},
        "HAVE_E": {"call": "pci_enable_device((struct pci_dev *)0, 1)"},
        "HAVE_F": {"type": "struct pci_drover"},
    }
    probes = [make_probe(name, given) for name, given in asked.items()]
    found = answer_probes(answer_of(usual_tree()), probes, environ=os.environ).found
    assert list(found.values()) == [True, False, True, True, False, False]


@pytest.mark.usefixtures("own_cache")
def test_a_probe_alone_sees_no_headers_of_others() -> None:
    other = make_probe("HAVE_OTHER", {"type": "struct pci_driver"}, includes=["linux/pci.h"])
    given = {"source": "(void)sizeof(struct pci_driver);"}
    probes = [other, make_probe("HAVE_A", given), make_probe("HAVE_B", given, alone=True)]
    found = answer_probes(answer_of(usual_tree()), probes, environ=os.environ).found
    assert list(found.values()) == [True, True, False]


@pytest.mark.usefixtures("own_cache")
def test_exported_symbols_are_those_of_module_symvers() -> None:
    tree = usual_tree()
    columns = [line.split("\t") for line in tree.symvers.read_text().splitlines()]
    plain = next(symbol for _, symbol, _, kind, *_ in columns if kind == "EXPORT_SYMBOL")
    gpl = next(symbol for _, symbol, _, kind, *_ in columns if kind == "EXPORT_SYMBOL_GPL")
    probes = [
        make_probe("PLAIN", {"symbol": plain}),
        make_probe("GPL", {"symbol": gpl}),
        make_probe("PLAIN_GPL", {"symbol": plain}, gpl_only=True),
        make_probe("GPL_GPL", {"symbol": gpl}, gpl_only=True),
        make_probe("NONE", {"symbol": "nobody_home"}),
    ]
    asked = answer_probes(answer_of(tree), probes, environ=os.environ)
    assert list(asked.found.values()) == [True, True, False, True, False]
    assert asked.units == 0


@pytest.mark.usefixtures("own_cache")
def test_answers_are_remembered_until_a_header_the_flags_or_a_probe_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = open_tree(private_tree(usual_tree(), tmp_path / "tree"))
    header = tree.source / "include/pcmcia/ciscode.h"
    edit(header, "#define _LINUX_CISCODE_H", "#define _LINUX_CISCODE_H\n#ifdef FROM_FLAGS\n#define ADDED 2\n#endif")
    probes = [make_probe("HAVE_ADDED", {"declared": "ADDED"}, includes=["pcmcia/ciscode.h"])]

    def ask(*asked: Probe, **variables: str) -> bool:
        answer = ask_tree(tree, variables=variables, environ=os.environ)
        return answer_probes(answer, asked or probes, environ=os.environ).found["HAVE_ADDED"]

    runs = []

    def counted(*args: Any, **keywords: Any) -> str:
        runs.append(args)
        return errors_of(*args, **keywords)

    monkeypatch.setattr(answering, "errors_of", counted)
    assert (ask(), ask(), len(runs)) == (False, False, 1)
    assert (ask(KCFLAGS="-DFROM_FLAGS"), len(runs)) == (True, 2)
    assert (ask(make_probe("HAVE_ADDED", {"declared": "MODULE_LICENSE"})), len(runs)) == (True, 3)
    edit(header, "#ifdef FROM_FLAGS", "#ifndef FROM_FLAGS")
    time.sleep(0.1)  # (an answer from files of this very moment is not kept)
    assert (ask(), ask(), len(runs)) == (True, True, 4)


DRIVER = """\
#include <linux/module.h>
#include "kernel_probes.h"
#ifdef HAVE_CLASS
#error HAVE_CLASS
#endif
#ifndef HAVE_INODE
#error no HAVE_INODE
#endif
MODULE_LICENSE("GPL");
"""


def test_scons_builds_with_the_answers_and_again_when_they_change(tmp_path: Path) -> None:
    sconstruct = (
        f"{HEAD}env.KernelProbe('HAVE_INODE', type='struct inode')\n"
        "env.KernelProbe('HAVE_CLASS', type='struct nobody')\nenv.KernelModule('drv', ['drv.c'])\n"
    )
    project = new_project(tmp_path, {"SConstruct": sconstruct, "drv.c": DRIVER})
    assert "PROBE   probes/kernel_probes.h" in project.build().did
    project.assert_nothing_to_do()
    project.edit("SConstruct", "struct nobody", "struct file")
    assert "HAVE_CLASS" in project.scons(status=2).output
    project.edit("SConstruct", "type='struct file'", "call='put_page(page)', includes='linux/mm.h'")
    failed = project.scons(status=2).output
    line = sconstruct[: sconstruct.index("'HAVE_CLASS'")].count("\n") + 1
    assert (
        f"kbuildpy: SConstruct:{line}: HAVE_CLASS: line 1 of call: does not compile for another reason than put_page"
        in failed
    )


def test_a_directory_s_probes_choose_its_objects(tmp_path: Path) -> None:
    (tmp_path / "Kbuild").write_text(
        "ccflags-y += -I$(KERNEL_PROBES)\nobj-m := drv.o\ndrv-y := main.o\n"
        "drv-$(HAVE_INODE) += yes.o\ndrv-$(HAVE_CLASS) += no.o\n"
    )
    (tmp_path / "main.c").write_text(DRIVER)
    (tmp_path / "yes.c").write_text("int yes(void);\nint yes(void) { return 1; }\n")
    (tmp_path / "no.c").write_text("#error not to be compiled\n")
    probes = tmp_path / "probes.toml"
    probes.write_text('[HAVE_INODE]\ntype = "struct inode"\n\n[HAVE_CLASS]\ntype = "struct nobody"\n')
    words = ("build", tmp_path, "-k", str(usual_tree().objects))
    built = kbuildpy(*words)
    assert built.returncode == 0, built.error_text
    out = tmp_path / "build" / usual_tree().release
    assert (out / "yes.o").is_file()
    assert "is up to date" in kbuildpy(*words).text
    probes.write_text('[HAVE_INODE]\ntype = "struct inode"\n\n[HAVE_CLASS]\ntype = 7\n')
    failed = kbuildpy(*words)
    assert failed.returncode == 2
    assert f"{probes}:4: HAVE_CLASS: type=7 is not a string" in failed.error_text
    assert kbuildpy(*words, "-c").returncode == 2
    probes.write_text('[HAVE_INODE]\ntype = "struct inode"\n')
    assert kbuildpy(*words, "-c").returncode == 0
    assert not out.exists()
