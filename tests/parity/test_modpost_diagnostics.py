# SPDX-License-Identifier: GPL-2.0-only
"""Everything that modpost warns of or refuses, each provoked once, against the tree's modpost."""

from __future__ import annotations

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.layouts import DeviceTableLayouts
from tests.support.kbuild_sources import uses
from tests.support.kernel_trees import EARLY, newest_tree_first, swept, tree_of_release
from tests.support.modposts import Built, assert_same_modpost, build_modules, layouts_of, oracle, ours, usual_options

pytestmark = pytest.mark.parity

HEAD = "#include <linux/module.h>\n#include <linux/version.h>\n"
GPL = 'MODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("x");\n'
# a namespace was a bare word until 6.12 and is a string since
NS = "#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)\n#define NS(x) #x\n#else\n#define NS(x) x\n#endif\n"
LONG = "an_exported_symbol_whose_name_needs_more_room_than_a_version_table_has"
LONG_MODULE = "a_module_name_that_is_longer_than_the_kernel_can_keep_in_its_struct"


def _exports(symbol: str, macro: str = "EXPORT_SYMBOL({})") -> str:
    return f"int {symbol}(void);\nint {symbol}(void) {{ return 1; }}\n{macro.format(symbol)};\n"


SOURCES = {
    "bare": "",
    "nodescription": 'MODULE_LICENSE("GPL");\n',
    "twolicenses": 'MODULE_LICENSE("GPL");\nMODULE_LICENSE("Proprietary");\nMODULE_DESCRIPTION("x");\n'
    + uses("debugfs_create_dir"),
    "proprietary": 'MODULE_LICENSE("Proprietary");\nMODULE_DESCRIPTION("x");\n' + uses("debugfs_create_dir", "xp_gpl"),
    "undefined": GPL + uses(*(f"nowhere_{number}" for number in range(12))),
    "undefined_two": GPL + uses("nowhere_a", "nowhere_b"),
    "weak": GPL + uses("nowhere_weak", attribute=" __attribute__((weak))"),
    "xp": GPL
    + NS
    + _exports("xp_plain")
    + _exports("xp_gpl", "EXPORT_SYMBOL_GPL({})")
    + _exports("xp_ns", "EXPORT_SYMBOL_NS({}, NS(XPSPACE))")
    + _exports("xp_ns_gpl", "EXPORT_SYMBOL_NS_GPL({}, NS(XPOTHER))")
    + "int xp_data;\nEXPORT_SYMBOL(xp_data);\n"
    + _exports(LONG),
    "xp_again": GPL + _exports("xp_plain") + _exports("zlib_inflate"),
    "xp_nothing": GPL + "extern int xp_missing(void);\nEXPORT_SYMBOL(xp_missing);\n",
    "im": GPL
    + NS
    + "MODULE_IMPORT_NS(NS(XPSPACE));\nMODULE_IMPORT_NS(NS(XPOTHER));\n"
    + uses("xp_plain", "xp_gpl", "xp_ns", "xp_ns_gpl"),
    "im_no_ns": GPL + uses("xp_ns", "xp_ns_gpl"),
    "im_long": GPL + uses("xp_plain", LONG, "xp_gpl", f"{LONG}_too"),
    "im_weak": GPL + uses("xp_plain", attribute=" __attribute__((weak))"),
    LONG_MODULE: GPL,
    "common": GPL + 'asm(".comm a_common_symbol, 8, 8");\n',
    "section": GPL + 'asm(".section forgotten,\\"\\",@progbits\\n.byte 1\\n.previous");\n',
    "strange": GPL
    + """
static int strange_local(void) { return 1; }
int strange_other(void);
int strange_other(void) { return strange_local(); }
asm(".section \\".export_symbol\\",\\"a\\"\\n"
    "no_such_label:\\n .asciz \\"\\"\\n .ascii \\"\\\\0\\"\\n .balign 8\\n .quad strange_other\\n"
    "__export_symbol_strange_local:\\n .asciz \\"\\"\\n .ascii \\"\\\\0\\"\\n .balign 8\\n .quad strange_local\\n"
    "__export_symbol_strange_third:\\n a_second_label:\\n"
    " .asciz \\"\\"\\n .ascii \\"\\\\0\\"\\n .balign 8\\n .quad strange_other\\n"
    "__export_symbol_strange_other:\\n .asciz \\"MIT\\"\\n .ascii \\"\\\\0\\"\\n .balign 8\\n .quad strange_other\\n"
    ".previous\\n");
""",
    "unversioned_user": GPL + uses("unversioned_export"),
    "restricted": GPL
    + _exports("xp_restricted", "EXPORT_SYMBOL_NS({}, NS(module:allowed,star_*))")
    .replace("NS(module", "NSM(module")
    .join(("#define NSM(...) #__VA_ARGS__\n", "")),
    "allowed": GPL + uses("xp_restricted"),
    "star_gazer": GPL + uses("xp_restricted"),
    "refused": GPL + uses("xp_restricted"),
    "imports_restricted": GPL + 'MODULE_INFO(import_ns, "module:allowed");\n',
    "usb_unterminated": GPL
    + "#include <linux/mod_devicetable.h>\n"
    + "static const struct usb_device_id table[] = { { .match_flags = 3, .idVendor = 1, .idProduct = 2 } };\n"
    + "MODULE_DEVICE_TABLE(usb, table);\n",
    "usb_wrong_size": GPL
    + "static const char table[7] = { 1 };\n"
    + "#define usb_device_id usb_x\nMODULE_DEVICE_TABLE(usb, table);\n",
    "pnp_card_wrong": GPL + "static const char table[7] = { 1 };\nMODULE_DEVICE_TABLE(pnp_card, table);\n",
}
ASSEMBLY = """\
#include <linux/linkage.h>
#include <linux/version.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#include <linux/export.h>
#else
#include <asm/export.h>
#endif
SYM_FUNC_START(unversioned_export)
	RET
SYM_FUNC_END(unversioned_export)
EXPORT_SYMBOL(unversioned_export)
"""
INIT_EXPORT = (
    GPL
    + """
int __init xp_init(void);
int __init xp_init(void) { return 0; }
EXPORT_SYMBOL(xp_init);
int __exit xp_exit(void);
int __exit xp_exit(void) { return 0; }
EXPORT_SYMBOL(xp_exit);
"""
)


def _files(tree: KernelTree) -> dict[str, str]:
    names = [name for name in SOURCES if name not in AS_STRING_NAMESPACES or tree.version >= (6, 13)]
    files = {f"{name}.c": HEAD + SOURCES[name] for name in names}
    if tree.version >= (6, 4):
        files["xp_init.c"] = HEAD + INIT_EXPORT
        names.append("xp_init")
    files["unversioned_asm.S"] = ASSEMBLY
    files["unversioned_main.c"] = HEAD + GPL
    files["Kbuild"] = (
        "ccflags-y += -Wno-error\n"
        + "".join(f"obj-m += {name}.o\n" for name in [*names, "unversioned"])
        + "unversioned-y := unversioned_main.o unversioned_asm.o\n"
    )
    return files


AS_STRING_NAMESPACES = ("restricted", "allowed", "star_gazer", "refused", "imports_restricted")


@pytest.fixture(scope="module", params=[*newest_tree_first(), *swept(EARLY)])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    tree = tree_of_release(request.param)
    return build_modules(tree, tmp_path_factory.mktemp("modpost"), _files(tree))


@pytest.fixture(scope="module")
def layouts(built: Built, tmp_path_factory: pytest.TempPathFactory) -> DeviceTableLayouts:
    return layouts_of(built.tree, tmp_path_factory.mktemp("layouts"))


CASES = {
    "missing license": (["bare"], [], "missing MODULE_LICENSE"),
    "missing license, extra warnings": (["bare"], ["-W"], "!5.18 missing MODULE_LICENSE"),
    "GPL-only symbol of the kernel": (["twolicenses"], [], "GPL-only symbol 'debugfs_create_dir'"),
    "GPL-only symbol of a module": (["xp", "proprietary"], [], "GPL-only symbol 'xp_gpl'"),
    "too many undefined symbols": (["undefined", "undefined_two"], [], "suppressed 4 unresolved"),
    "undefined symbols, as warnings": (["undefined_two"], ["-w"], "nowhere_b"),
    "a weak symbol may be missing": (["weak"], [], ""),
    "exports of all kinds": (["xp"], [], ""),
    "a module uses another's exports": (["im", "xp"], [], ""),
    "a weak use of an export": (["xp", "im_weak"], [], ""),
    "a namespace is not imported": (["xp", "im_no_ns"], [], "but does not import it"),
    "a namespace is not imported, allowed": (["xp", "im_no_ns"], ["-N", "-d", "DEPS"], "but does not import it"),
    "exported twice": (["xp", "xp_again"], [], "exported twice"),
    "exported twice in the kernel's own build": (["xp", "xp_again"], ["NOT-EXTERNAL"], "exported twice"),
    "exported without definition": (["xp_nothing"], [], "exported without definition"),
    "a module name too long": ([LONG_MODULE], [], "module name is too long"),
    "a common symbol": (["common"], [], "is COMMON symbol"),
    "a section that is not allocatable": (["section"], [], "unexpected non-allocatable section"),
    "strange export requests": (["strange"], [], "!6.1 strange"),
    "exports of init and exit code": (["xp_init"], [], "!6.1 EXPORT_SYMBOL used for exit symbol"),
    "an export without a CRC": (["unversioned", "unversioned_user"], ["VERSIONS"], "version generation failed"),
    "an import without a CRC": (["unversioned", "unversioned_user"], ["VERSIONS"], "has no CRC"),
    "extended versions": (["xp", "im_long", "unversioned", "unversioned_user"], ["-m", "-x"], "!7 has no CRC"),
    "an error in a later module": (["xp", "im_no_ns", "im"], [], "does not import"),
    "a missing object, ignored": (["xp", "absent", "im"], ["-n"], "(ignored)"),
    "symbols without any symvers": (["im"], ["NO-SYMVERS"], "undefined"),
    "all have a srcversion": (["xp", "im"], ["-a"], ""),
    "unused exports are trimmed": (["xp", "im_weak"], ["-t"], "!7 "),
    "a module's own namespace": (["restricted", "allowed", "star_gazer", "refused"], [], "!7 from namespace"),
    "a module namespace is imported": (["imports_restricted"], [], "!7 explicitly importing"),
    "a device table without an end": (["usb_unterminated", "xp"], [], "is not terminated with a NULL entry"),
    "a device table of the wrong size": (["usb_wrong_size", "xp"], [], "usb"),
    "a card table of the wrong size": (["pnp_card_wrong", "xp"], [], "pnp"),
}
# What is said instead, where the subject was another one.
UP_TO_5_18 = {"exported without definition": '"xp_missing" ['}
UP_TO_5_11 = {
    "symbols without any symvers": "Unresolved symbol check will be entirely skipped",
    "too many undefined symbols": "nowhere_11",
}


@pytest.mark.parametrize("case", CASES)
def test_says_what_the_trees_modpost_says(case: str, built: Built, layouts: DeviceTableLayouts) -> None:
    names, words, expected = CASES[case]
    if expected.startswith("!"):
        since, _, expected = expected[1:].partition(" ")
        if built.tree.version <= tuple(map(int, since.split("."))):
            pytest.skip(f"needs a kernel after {since}")
    options = usual_options(built)
    for word in words:
        if word == "NOT-EXTERNAL":
            options.remove("-e")
        elif word == "NO-SYMVERS":
            del options[options.index("-i") : options.index("-i") + 2]
        elif word == "VERSIONS":
            options += ["-m"] + (["-b"] if built.tree.version >= (6, 14) else [])
        else:
            options.append(str(built.directory / "out.nsdeps") if word == "DEPS" else word)
    if built.tree.version < (5, 19):
        expected = UP_TO_5_18.get(case, expected)
    if built.tree.version < (5, 12):
        expected = UP_TO_5_11.get(case, expected)
    assert expected in assert_same_modpost(built, names, options, layouts).messages


SYMVERS = {
    "another_kernel": "0x00000000\t_printk\tvmlinux\tEXPORT_SYMBOL\t\n",
    "twice_in_one_file": "0x1\tsame\tdrv/a\tEXPORT_SYMBOL\t\n0x2\tsame\tdrv/a\tEXPORT_SYMBOL_GPL\tSPACE\n",
    "two_owners": "0x1\txp_plain\tdrv/a\tEXPORT_SYMBOL\t\n0x0\txp_plain\tdrv/b\tEXPORT_SYMBOL_GPL\tSPACE\n",
    "unknown_license": "0x00000001\txp_plain\tdrv/a\tEXPORT_SYMBOL_FREE\t\n"
    "0x00000000\txp_ns\tdrv/b\tEXPORT_SYMBOL\tSPACE\n",
    "odd_numbers": " 7\txp_plain\tdrv/a\tEXPORT_SYMBOL\t\n0x0\txp_ns\tdrv/b\tEXPORT_SYMBOL\tSPACE\twith tab\n",
    "no_final_newline": "0x00000001\txp_plain\tdrv/a\tEXPORT_SYMBOL\t\n0x00000002\txp_gpl\tdrv/a\tEXPORT_SYMBOL\t",
    "nul_at_the_end_of_a_line": "0x1\txp_plain\tdrv/a\tEXPORT_SYMBOL\t\0A\n0x2\txp_gpl\tdrv/a\tEXPORT_SYMBOL\t\n",
    "nul_at_the_start": "\00x1\txp_plain\tdrv/a\tEXPORT_SYMBOL\t\n",
    "empty": "",
}


@pytest.mark.parametrize("name", SYMVERS)
@pytest.mark.parametrize("repeat", [1, 2])
def test_reads_symvers_as_the_trees_modpost_does(name: str, repeat: int, built: Built) -> None:
    extra = built.directory / f"{name}.symvers"
    extra.write_text(SYMVERS[name])
    options = [*usual_options(built), "-N", "-w"]
    for _ in range(repeat):
        options += ["-i", str(extra)]
    assert_same_modpost(built, ["im", "im_no_ns"], options)


@pytest.mark.parametrize("tables", [["-m"], ["-m", "-b"], ["-m", "-x"], ["-m", "-b", "-x"], ["-b"]])
def test_version_tables_agree(tables: list[str], built: Built) -> None:
    if built.tree.version < (6, 14) and tables != ["-m"]:
        pytest.skip("one table only")
    versions = built.directory / "versions.symvers"
    versions.write_text(
        "".join(
            f"0x{crc:08x}\t{symbol}\txp\tEXPORT_SYMBOL\t\n"
            for crc, symbol in (
                (0, "xp_plain"),
                (0x1234, "xp_gpl"),
                (0xFEDCBA98, LONG),
                (7, "module_layout"),
                (8, f"{LONG}_too"),
            )
        )
    )
    options = [option for option in usual_options(built) if option not in ("-m", "-b", "-x")]
    del options[options.index("-i") : options.index("-i") + 2]
    options += [*tables, "-w", "-i", str(versions)]
    short = assert_same_modpost(built, ["im_weak"], options)
    assert short.mod_c
    messages = assert_same_modpost(built, ["im_long"], options).messages
    assert ("too long symbol" in messages) == (
        tables in (["-m"], ["-m", "-b"], ["-b"]) and not _only_flagged(built, tables)
    )


def _only_flagged(built: Built, tables: list[str]) -> bool:
    """From 6.14 on `-m` alone asks for no table."""
    return built.tree.version >= (6, 14) and tables == ["-m"]


def test_a_later_symvers_counts(built: Built) -> None:
    one, two = built.directory / "one.symvers", built.directory / "two.symvers"
    one.write_text("0x00000001\txp_plain\tone/first\tEXPORT_SYMBOL\t\n0x00000001\txp_gpl\tboth/xp\tEXPORT_SYMBOL\t\n")
    two.write_text("0x00000002\txp_plain\ttwo/second\tEXPORT_SYMBOL\t\n0x00000002\txp_ns\tboth/xp\tEXPORT_SYMBOL\t\n")
    outcome = assert_same_modpost(built, ["im"], [*usual_options(built), "-w", "-i", str(one), "-i", str(two)])
    (text,) = outcome.mod_c.values()
    assert "second" in text
    assert "first" not in text


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("0x1\tsymbol\towner\tEXPORT_SYMBOL", "4 fields"),
        ("0xyz\tsymbol\towner\tEXPORT_SYMBOL\t", "is no CRC"),
        ("0x1\t\towner\tEXPORT_SYMBOL\t", "the symbol or the owner is missing"),
        ("0x1\tsym\0bol\towner\tEXPORT_SYMBOL\t", "2 fields"),
        ("0x1\tsymbol\tow\0ner\tEXPORT_SYMBOL\t", "3 fields"),
        ("", "empty line"),
    ],
)
def test_a_malformed_symvers_is_refused_with_its_line(line: str, complaint: str, built: Built) -> None:
    extra = built.directory / "malformed.symvers"
    extra.write_text(f"0x00000001\tfine\towner\tEXPORT_SYMBOL\t\n{line}\n")
    options = [*usual_options(built), "-i", str(extra)]
    assert oracle(built, ["xp"], options).failed
    with pytest.raises(KbuildError, match=rf"malformed\.symvers:2: .*{complaint}"):
        ours(built, ["xp"], options, None)
