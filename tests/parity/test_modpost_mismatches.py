# SPDX-License-Identifier: GPL-2.0-only
"""Section mismatches: wrong modules of every kind, for every machine that modpost decodes, against the tree's modpost.

A Debian tree has a modpost for each word size and byte order; they read any machine's objects, so that objects written
byte by byte stand for machines without a compiler here.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbuildpy.elf.constants import (
    EM_386,
    EM_AARCH64,
    EM_ARM,
    EM_LOONGARCH,
    EM_MIPS,
    EM_PPC64,
    EM_RISCV,
    EM_S390,
    EM_X86_64,
    SHN_ABS,
    STB_GLOBAL,
    STB_LOCAL,
    STT_FUNC,
    STT_NOTYPE,
    STT_OBJECT,
    STT_SECTION,
)
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.layouts import DeviceTableLayouts
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.records import ModuleObject
from kbuildpy.modpost.stage import modpost
from kbuildpy.run import run
from tests.support.elf_objects import DATA, RODATA, TEXT, Rel, Sec, Sym, elf_object
from tests.support.kernel_trees import each_tree
from tests.support.modposts import assert_same_modpost, build, usual_options

pytestmark = pytest.mark.parity

R_X86_64_64, R_X86_64_PC32 = 1, 2


@dataclass(frozen=True)
class Said:
    """What a modpost said, and whether it failed."""

    messages: str
    failed: bool


def assert_same_messages(tree: KernelTree, directory: Path, objects: Mapping[str, bytes], *options: str) -> Said:
    """Assert that both modposts say the same of `objects`; returns what they say."""
    first = next(iter(objects.values()))
    kind = f"{'lsb' if first[5] == 1 else 'msb'}-{64 if first[4] == 2 else 32}"
    program = (tree.objects / "scripts/mod/modpost").resolve().with_name(f"modpost.real-{kind}")
    if not program.exists():
        pytest.skip(f"{tree.release} has no modpost for {kind}")
    options = ("-e", *options, *(("-M",) if tree.version >= (6, 6) else ()))
    modules = []
    for name, contents in objects.items():
        (directory / f"{name}.o").write_bytes(contents)
        modules.append(ModuleObject(str(directory / name), directory / f"{name}.o", ()))
    (directory / "listing").write_text("".join(f"{module.name}.o\n" for module in modules))
    done = run([program, *options, "-o", directory / "symvers", "-T", directory / "listing"], check=False)
    assert done.returncode in (0, 1), done.stderr
    expected = Said(done.stderr.decode("utf-8", "surrogateescape"), done.returncode == 1)
    result = modpost(
        modules, ModpostOptions.parse(options), tree=tree, cwd=directory, layouts=lambda: DeviceTableLayouts({})
    )
    found = Said("".join(diagnostic.text for diagnostic in result.diagnostics), result.failed)
    assert found == expected
    return expected


def reference(
    fromsec: str,
    tosec: str,
    *,
    fromsym: str = "source",
    tosym: str = "target",
    flags: Mapping[str, int] | None = None,
) -> bytes:
    """An object with one reference, from 4 bytes behind `fromsym` to `tosym`."""
    places = {name: TEXT if "text" in name else DATA for name in (fromsec, tosec)} | dict(flags or {})
    return elf_object(
        [Sec(fromsec, places[fromsec], relocations=[Rel(8, R_X86_64_64, 2)]), Sec(tosec, places[tosec])],
        [Sym(fromsym, 1, 4, STT_FUNC), Sym(tosym, 2, 4, STT_OBJECT)],
    )


SECTIONS = (
    ".text",
    ".text.unlikely",
    ".text.any",
    ".ltext.any",
    ".sched.text",
    ".kprobes.text",
    ".cpuidle.text",
    ".noinstr.text",
    ".data",
    ".data.rel",
    ".data.rel.ro",
    ".rodata",
    ".init.text",
    ".init.data",
    ".init.rodata",
    ".init.setup",
    ".exit.text",
    ".exit.data",
    ".meminit.text",
    ".meminit.data",
    ".memexit.text",
    ".pci_fixup_early",
    ".pci_fixup_suspend",
    ".ref.text",
    ".head.text",
    ".spinlock.text",
    ".fixup",
    ".entry.text",
    ".exception.text",
    ".coldtext",
    ".softirqentry.text",
    ".irqentry.text",
    ".altinstr_replacement",
    "___ksymtab+x",
    "__ex_table",
    ".note.x",
    ".debug_x",
    ".discard.x",
)


@each_tree
def test_every_pair_of_sections(tree: KernelTree, tmp_path: Path) -> None:
    def pairs(sources: Sequence[str], targets: Sequence[str]) -> dict[str, bytes]:
        return {
            f"m{start}_{end}": reference(source, target)
            for start, source in enumerate(sources)
            for end, target in enumerate(targets)
        }

    ordinary = [section for section in SECTIONS if section != "__ex_table"]
    said = assert_same_messages(tree, tmp_path, pairs(ordinary, SECTIONS)).messages
    kinds = {
        (source, target)
        for source, target in re.findall(r"\(section: \.?(\w+)[^)]*\) -> \w+ \(section: \.?(\w+)", said)
    }
    expected = {(a, b) for a in ("text", "data") for b in ("init", "exit")}
    expected |= {("init", "exit"), ("exit", "init"), ("pci_fixup_early", "init")}
    assert expected <= kinds
    if tree.version < (6, 5):
        assert ("meminit", "init") in kinds
        assert "EXPORT_SYMBOL used for init/exit symbol: target (section: .init.text)" in said


@each_tree
@pytest.mark.parametrize("target", SECTIONS)
def test_exception_tables(target: str, tree: KernelTree, tmp_path: Path) -> None:
    assert_same_messages(tree, tmp_path, {"a": reference("__ex_table", target), "b": reference(".text", ".init.text")})


EXTABLE = {
    "black-listed": (".altinstr_replacement", TEXT, "which is black-listed"),
    "unknown code": (".mytext.x", TEXT, "which is not in the list of"),
    "no code": (".rodata", RODATA, "references non-executable section '.rodata'"),
}


@each_tree
@pytest.mark.parametrize("case", EXTABLE)
def test_an_exception_table_that_names_no_known_code(case: str, tree: KernelTree, tmp_path: Path) -> None:
    target, flags, text = EXTABLE[case]
    said = assert_same_messages(tree, tmp_path, {"a": reference("__ex_table", target, flags={target: flags})}, "-E")
    assert text in said.messages and "ection mismatch in reference" in said.messages
    assert said.failed


NAMES = (
    "source",
    "__param_x",
    "__param_ops_x",
    "x_ops",
    "x_ops.llvm.123",
    "x_probe",
    "x_probe_one",
    "x_console",
    "x_timer",
    "x_sht",
    "x_template",
    "x_driver",
    "driver",
    "f.constprop.0",
    "f.isra.0.cold",
    "f.123",
    "f.1.cold",
    ".LANCHOR1",
    ".L5",
    "L0x",
    "$a",
    "$d.1",
    "$x",
    "$other",
    "reference___initcall_x",
    "__init_begin",
    "_sinittext",
    "_einittext",
    "n\xe4me",
)


@each_tree
@pytest.mark.parametrize("options", [(), ("-W",)])
def test_every_name_that_excuses(options: Sequence[str], tree: KernelTree, tmp_path: Path) -> None:
    sections = (".data", ".text", ".head.text", ".init.text")
    targets = (".init.text", ".init.data", ".exit.text", ".meminit.data")
    objects = {}
    for a, fromsec in enumerate(sections):
        for b, tosec in enumerate(targets):
            for c, name in enumerate(NAMES):
                objects[f"from{a}_{b}_{c}"] = reference(fromsec, tosec, fromsym=name)
                objects[f"to{a}_{b}_{c}"] = reference(fromsec, tosec, tosym=name)
    said = assert_same_messages(tree, tmp_path, objects, *options).messages
    # from .data to .init.text
    excused = {name for number, name in enumerate(NAMES) if not re.search(rf"/from0_0_{number}\b", said)}
    assert {"__param_ops_x", "x_ops", "x_console"} <= excused
    assert not excused & {"source", "x_driver", "f.constprop.0"}
    # from .text
    assert not re.search(rf"/(to1_0_{NAMES.index('_sinittext')}|from1_0_{NAMES.index('f.constprop.0')})\b", said)


@each_tree
def test_names_shorten_each_other(tree: KernelTree, tmp_path: Path) -> None:
    shared = elf_object(
        [Sec(".text", TEXT, relocations=[Rel(0, 1, 2), Rel(8, 1, 3), Rel(16, 1, 4)]), Sec(".init.text", TEXT)],
        [
            Sym("f", 1),
            Sym("long.name.1", 2),
            Sym("name.1", 2, within="long.name.1"),
            Sym("other.2.3.x", 2),
            Sym("2.3.x", 2, within="other.2.3.x"),
        ],
    )
    assert "-> long.name (section" in assert_same_messages(tree, tmp_path, {"shared": shared}).messages


@each_tree
def test_an_error_when_the_kernel_does_not_allow_mismatches(tree: KernelTree, tmp_path: Path) -> None:
    objects = {"a": reference(".text", ".init.text"), "b": reference(".text", ".text.x")}
    assert not assert_same_messages(tree, tmp_path, objects).failed
    said = assert_same_messages(tree, tmp_path, objects, "-E")
    assert said.failed
    assert said.messages.endswith("Set CONFIG_SECTION_MISMATCH_WARN_ONLY=y to allow them.\n")
    undefined = elf_object([Sec(".text", TEXT)], [Sym(f"u{number}", 0) for number in range(12)])
    said = assert_same_messages(tree, tmp_path, objects | {"c": undefined}, "-E")
    assert said.messages.index("Section mismatches detected") < said.messages.index("suppressed 2 unresolved")


@each_tree
def test_more_sections_than_sixteen_bits_count(tree: KernelTree, tmp_path: Path) -> None:
    many = [Sec(f".s{number}", contents=b"") for number in range(65600)]
    sections = [
        Sec(".text", TEXT, relocations=[Rel(4, 1, 1), Rel(8, 1, 3), Rel(12, 1, 4), Rel(16, 1, 5)]),
        *many,
        Sec(".init.text", TEXT, relocations=[Rel(4, 1, 2)]),
        Sec(".exit.text", TEXT),
    ]
    last = len(sections)
    symbols = [
        Sym("initial", last - 1, 4),
        Sym("exiting", last, 4),
        Sym("", last - 1, 0, STT_SECTION, STB_LOCAL),
        Sym("reserved", SHN_ABS, 4),
        Sym("ordinary", SHN_ABS - 1, 4),
    ]
    said = assert_same_messages(tree, tmp_path, {"many": elf_object(sections, symbols)}).messages
    assert said.count("mismatch") == 3


MACHINES = {
    "x86-64": (EM_X86_64, 64, "<", True, [1, 2, 4]),
    "x86-64 without addends": (EM_X86_64, 64, "<", False, [1]),
    "i386": (EM_386, 32, "<", False, [1, 2, 3]),
    "arm64": (EM_AARCH64, 64, "<", True, [257, 275, 283]),
    "arm": (EM_ARM, 32, "<", False, [1, 2, 3, 10, 28, 29, 30, 43, 44, 47, 48, 51, 99]),
    "arm, big-endian": (EM_ARM, 32, ">", False, [1, 2, 3, 10, 28, 29, 30, 43, 44, 47, 48, 51, 99]),
    "mips": (EM_MIPS, 32, ">", False, [2, 4, 5, 6, 9]),
    "mips, little-endian": (EM_MIPS, 32, "<", False, [2, 4, 5, 6, 9]),
    "mips64": (EM_MIPS, 64, ">", True, [2, 4, 5, 6, 18]),
    "mips64, little-endian": (EM_MIPS, 64, "<", True, [2, 4, 5, 6, 18]),
    "mips64 without addends": (EM_MIPS, 64, "<", False, [2, 4, 5, 6]),
    "ppc64": (EM_PPC64, 64, ">", True, [38]),
    "s390": (EM_S390, 64, ">", True, [22]),
    "riscv": (EM_RISCV, 64, "<", True, [2, 35, 39]),
    "riscv32": (EM_RISCV, 32, "<", True, [1, 35, 39]),
    "loongarch": (EM_LOONGARCH, 64, "<", True, [2, 50, 55, 100, 102]),
}


def _random_object(chance: random.Random, machine: str) -> bytes:
    number, bits, order, rela, types = MACHINES[machine]
    common = [".text", ".data", ".init.text", ".exit.text", "__ex_table"] * 5
    names = [chance.choice([*SECTIONS, ".export_symbol", *common]) for _ in range(chance.randint(2, 8))]
    symbols = [Sym("", index, 0, STT_SECTION, STB_LOCAL) for index in range(1, len(names) + 1)]
    for _ in range(chance.randint(0, 25)):
        symbols.append(
            Sym(
                chance.choice([*NAMES, *(f"s{number}" for number in range(30)), ""]),
                chance.choice([*list(range(1, len(names) + 1)) * 3, SHN_ABS]),
                chance.randint(0, 60),
                chance.choice([STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_FUNC]),
                chance.choice([STB_LOCAL, STB_GLOBAL]),
            )
        )
    symbols.append(Sym("undefined", 0))
    sections = []
    for name in names:
        relocations = [
            Rel(
                chance.choice([0, 4, 8, 12, chance.randint(0, 59)]),
                chance.choice(types),
                chance.randint(1, len(symbols)),
                chance.randint(-40, 80),
            )
            for _ in range(chance.choice([0, 1, 3, 6]))
        ]
        contents = bytes(chance.choice([0, 0, 0, 1, 4, 8, 255, chance.randrange(256)]) for _ in range(64))
        flags = TEXT if "text" in name else chance.choice([DATA, TEXT])
        sections.append(Sec(name, flags, contents, relocations, rela))
    return elf_object(sections, symbols, machine=number, bits=bits, order=order)


@each_tree
@pytest.mark.parametrize("machine", MACHINES)
def test_objects_of_any_machine_at_random(machine: str, tree: KernelTree, tmp_path: Path) -> None:
    chance = random.Random(machine)
    said = "".join(
        assert_same_messages(tree, tmp_path, {"m": _random_object(chance, machine)}, "-E").messages for _ in range(40)
    )
    if machine == "x86-64 without addends" and tree.version >= (6, 5):
        assert "Please add code to calculate addend for this architecture" in said
    else:
        assert said.count("mismatch in reference") >= 20


ARM64 = """\
	.section .modinfo, "a"
	.asciz "license=GPL"
	.asciz "description=x"
	.text
	.type probe, %function
probe:	bl setup
	adrp x0, values
	add x0, x0, :lo12:values
	bl .Llocal
	ret
	.section .init.text, "ax"
	nop
	.type setup, %function
setup:	ret
.Llocal:	ret
	b leave
	.section .exit.text, "ax"
leave:	ret
	.section .init.data, "aw"
values:	.quad setup
	.section __ex_table, "a"
	.balign 4
	.long probe - .
	.long values - .
"""
ARM = """\
	.section .modinfo, "a"
	.asciz "license=GPL"
	.asciz "description=x"
	.syntax unified
	.text
	.type probe, %function
probe:	bl setup
	b setup
	.word setup
	movw r0, #:lower16:values
	movt r0, #:upper16:values
	.thumb
	.thumb_func
	.type thumb, %function
thumb:	bl setup
	b.w setup
	beq.w setup
	movw r0, #:lower16:values
	.arm
	.section .init.text, "ax"
	nop
setup:	bx lr
	.section .init.data, "aw"
values:	.word 0
"""
I386 = """\
	.section .modinfo, "a"
	.asciz "license=GPL"
	.asciz "description=x"
	.text
probe:	call setup
	movl $values, %eax
	movw $values, %ax
	ret
	.section .init.text, "ax"
	nop
setup:	ret
	.section .init.data, "aw"
	.long 0
values:	.long 0
"""
X86 = I386.replace("movl $values, %eax", "leaq values+4(%rip), %rax").replace("movw $values, %ax", "")
SOURCES = {
    "arm64": (["aarch64-linux-gnu-as"], ARM64, 3),
    "arm": (["arm-linux-gnueabi-as", "-march=armv7-a"], ARM, 5),
    "i386": (["as", "--32"], I386, 2),
    "x86-64": (["as", "--64"], X86, 2),
}


@each_tree
@pytest.mark.parametrize("machine", SOURCES)
def test_assembled_objects(machine: str, tree: KernelTree, tmp_path: Path) -> None:
    (assembler, *words), source, least = SOURCES[machine]
    if shutil.which(assembler) is None:
        pytest.skip(f"no {assembler} here")
    (tmp_path / "m.s").write_text(source)
    done = run([assembler, *words, "-o", tmp_path / "m.o", tmp_path / "m.s"], check=False)
    if done.returncode and machine in ("i386", "x86-64"):
        pytest.skip(f"as does not know {machine}")
    assert not done.returncode, done.stderr
    said = assert_same_messages(tree, tmp_path, {"m": (tmp_path / "m.o").read_bytes()}, "-E").messages
    assert said.count("mismatch in reference") >= least


WRONG = """\
#include <linux/module.h>
#include <linux/uaccess.h>
#include <linux/platform_device.h>
static int __initdata limits[] = { 1, 2, 3 };
static noinline int __init setup(int value) { return limits[value & 1]; }
static noinline void __exit leave(void) { pr_info("left\\n"); }
int probe(int value);
int probe(int value) { leave(); return setup(value) + limits[1]; }
static int __exit wrong_remove_now(struct platform_device *device) { leave(); return 0; }
static int __init wrong_probe_now(struct platform_device *device) { return setup(1); }
static void __init fill(void) { leave(); }
static struct platform_driver wrong_driver = { .driver = { .name = "wrong" }, .probe = wrong_probe_now };
int (*wrong_table[])(struct platform_device *) = { wrong_probe_now, wrong_remove_now };
int (*wrong_ops)(struct platform_device *) = wrong_probe_now;
static int __init wrong_init(void) { fill(); return platform_driver_register(&wrong_driver); }
static void __exit wrong_exit(void) { setup(2); platform_driver_unregister(&wrong_driver); }
module_init(wrong_init);
module_exit(wrong_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("x");
"""
JUMPS = """\
#include <linux/module.h>
#include <asm/asm.h>
int careful(void);
int careful(void)
{
	asm volatile("1: nop\\n.pushsection .odd_code, \\"ax\\"\\n2: jmp 3f\\n.popsection\\n3:\\n" _ASM_EXTABLE(1b, 2b));
	return 0;
}
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("x");
"""


@each_tree
@pytest.mark.parametrize("extra", [[], ["-E"], ["-W"]])
def test_modules_compiled_for_this_kernel(extra: list[str], tree: KernelTree, tmp_path: Path) -> None:
    files = {"wrong.c": WRONG, "Kbuild": "ccflags-y += -Wno-error\nobj-m := wrong.o jumps.o\n", "jumps.c": JUMPS}
    if tree.config.get("CONFIG_X86_64") != "y":
        files |= {"jumps.c": '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("x");\n'}
    built = build(tree, tmp_path, files, "modules")
    messages = assert_same_modpost(built, ["wrong", "jumps"], [*usual_options(built), *extra]).messages
    for text in ("> setup (section: .init.text)", "> limits (section: .init.data)", "> leave (section: .exit.text)"):
        assert text in messages
    if tree.config.get("CONFIG_X86_64") == "y":
        assert 'section ".odd_code" which is not in the list' in messages
