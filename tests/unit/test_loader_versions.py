# SPDX-License-Identifier: GPL-2.0-only
"""What the check says about versions of symbols and of headers, which the kernel says in one line or in none."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from kbuildpy.kernel.module_facts import ModuleStruct
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kept.forms import Places
from kbuildpy.loader.kept.symbols_again import run_again, state_of
from kbuildpy.loader.kernel import KernelExport
from kbuildpy.loader.kernels.from_tree import wants_every_version
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.load_module import NO_MODULES
from kbuildpy.loader.loaded import Loaded, ModuleExport, Modules
from kbuildpy.loader.module_file import THIS_MODULE
from kbuildpy.loader.stages.elf_index import cache_index
from kbuildpy.loader.stages.symbols import resolve_symbol
from kbuildpy.loader.stages.versions import check_modstruct_version
from kbuildpy.loader.verdict import Refusal
from tests.support.elf_objects import DATA, RODATA, Sec, Sym
from tests.support.loader_info import info_of, sentences

MODINFO = b"license=GPL\0vermagic=6.1.0-9 SMP mod_unload modversions \0"
CRC = 0x11111111


class Kernel:
    """A kernel that exports everything but what begins with `prov`, with one version."""

    def find(self, symbol: str) -> KernelExport | None:
        """What is known of `symbol`."""
        return None if symbol.startswith("prov") else KernelExport("", CRC, False, "")


def module(*more: Sec | Sym, **versions: int) -> LoadInfo:
    """A module for 6.1.0-9 with these versions, and a kernel that has loaded `prov`."""
    table = b"".join(struct.pack("<Q56s", crc, name.encode()) for name, crc in versions.items())
    sections = [Sec(".modinfo", RODATA, MODINFO), Sec("__versions", RODATA, table), Sec(THIS_MODULE, DATA, bytes(64))]
    info = info_of(
        [*sections, *(item for item in more if isinstance(item, Sec))], [item for item in more if isinstance(item, Sym)]
    )
    info.kernel = replace(info.kernel, config={"CONFIG_MODVERSIONS": "y"}, exports=Kernel(), wants_every_version=True)
    info.modules = Modules((Loaded("prov", exports={"prov_add": ModuleExport(CRC, False, "")}),))
    info.index.info = info.find_sec(".modinfo")
    info.index.vers = info.find_sec("__versions")
    return info


def test_a_symbol_without_a_version_was_not_built_for_another_one() -> None:
    info = module(printk=CRC)
    assert resolve_symbol(info, "printk") is None
    missing = resolve_symbol(info, "misc_register")
    assert missing is not None
    assert info.journal.lines == ["m: no symbol version for misc_register"]
    assert missing.reason == (
        "it has no version of misc_register, which had none or was not exported where it was built"
    )
    assert missing.hint == "build it for this kernel: kbuildpy build -k test"


def test_a_symbol_without_a_version_passes_where_the_kernel_only_warns() -> None:
    info = module(printk=CRC)
    info.kernel = replace(info.kernel, wants_every_version=False)
    check_modstruct_version(info)
    assert resolve_symbol(info, "misc_register") is None
    assert info.journal.lines == ["m: no symbol version for module_layout"]  # (it is said once a boot)
    assert sentences(info) == []


def test_kept_facts_say_what_the_kernel_has_warned_of() -> None:
    info = module(Sym("misc_register", 0), printk=CRC)
    info.kernel = replace(info.kernel, wants_every_version=False)
    check_modstruct_version(info)
    state = json.loads(json.dumps(state_of(info)))
    again, ended = run_again(state, Places(([], {})), info.kernel, NO_MODULES, "", packed=b"")
    assert ended is None
    assert again.journal.lines == ["m: no symbol version for module_layout"]


def test_whether_a_symbol_without_a_version_passes_is_not_guessed() -> None:
    info = module(module_layout=CRC)
    info.kernel = replace(info.kernel, wants_every_version=None)
    for symbol in ("printk", "misc_register"):
        assert resolve_symbol(info, symbol) is None
    assert info.journal.lines == ["m: no symbol version for printk"]
    assert sentences(info) == [
        "whether a symbol without a version is accepted: Debian's kernels refuse it, others do not, and it is not "
        "known which this one is"
    ]


def test_a_kernel_that_refuses_symbols_without_a_version_names_each() -> None:
    info = module(module_layout=CRC)
    assert all(resolve_symbol(info, symbol) for symbol in ("printk", "misc_register"))
    assert info.journal.lines == [f"m: no symbol version for {symbol}" for symbol in ("printk", "misc_register")]


def test_the_first_symbol_without_an_extended_version_is_named() -> None:
    crcs = [Sec("__version_ext_crcs", RODATA, struct.pack("<I", CRC)), Sec("__version_ext_names", RODATA, b"kfree\0")]
    info = module(*crcs)
    info.index.vers_ext_crc, info.index.vers_ext_name = map(info.find_sec, (section.name for section in crcs))
    for symbol in ("printk", "kfree", "misc_register"):
        assert resolve_symbol(info, symbol) is None
    assert info.journal.lines == ["m: no extended symbol version for printk"]


@pytest.mark.parametrize(
    ("files", "wants"),
    [
        ({}, None),
        ({"include/generated/package.h": '#define LINUX_PACKAGE_ID " Debian 6.1.192-2"\n'}, True),
        ({"kernel/module/version.c": 'pr_warn_once("%s: no symbol version for %s\\n", a, b);\nreturn 1;\n'}, False),
        ({"kernel/module/version.c": 'pr_warn("%s: no symbol version for %s\\n", a, b);\nreturn 0;\n'}, True),
    ],
)
def test_a_tree_says_whether_every_symbol_needs_a_version(
    files: dict[str, str], wants: bool | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert wants_every_version(KernelTree(tmp_path, tmp_path, "6.1.0")) == wants


def test_another_version_of_another_modules_symbol_is_had_with_extra_symbols() -> None:
    missing = resolve_symbol(module(prov_add=2), "prov_add")
    assert missing is not None
    assert missing.reason == "it was built for another version of prov_add"
    assert missing.hint.endswith(" -k test KBUILD_EXTRA_SYMBOLS=DIR/Module.symvers, where prov was built in DIR")


def test_a_module_without_any_versions_is_said_to_have_none() -> None:
    info = module()
    info.index.vers = 0
    missing = resolve_symbol(info, "printk")
    assert missing is not None
    assert missing.reason == "it has no versions of symbols, which this kernel asks for"


@pytest.mark.parametrize("versions", [{"module_layout": 2}, {}])
def test_other_headers_are_named_by_the_release_that_they_are_of(versions: dict[str, int]) -> None:
    with pytest.raises(Refusal) as refused:
        check_modstruct_version(module(**versions))
    if versions:
        assert "other headers than this kernel's (its vermagic names 6.1.0-9)" in refused.value.reason
    else:
        assert refused.value.reason.startswith("it has no version of module_layout")
    assert refused.value.hint == "build it for this kernel: kbuildpy build -k test"


def test_another_size_of_struct_module_names_the_release_and_the_command() -> None:
    info = module()
    info.kernel = replace(info.kernel, struct_module=ModuleStruct(128, (24, 56), 0, 0))
    del info.numbers_of(".modinfo")[1:]  # (elf_object adds one)
    with pytest.raises(Refusal) as refused:
        cache_index(info)
    assert refused.value.reason == (
        "it was built against other headers than this kernel's (its vermagic names 6.1.0-9): its struct module has 64 "
        "bytes, the kernel's 128"
    )
    assert refused.value.hint == "build it for this kernel: kbuildpy build -k test"
