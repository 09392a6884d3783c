# SPDX-License-Identifier: GPL-2.0-only
"""What modpost does in 5.10 alone, whose headers only an older Debian has; test_modpost_diagnostics.py has the rest."""

from __future__ import annotations

import pytest

from tests.support.kbuild_sources import uses
from tests.support.modposts import Built, assert_same_modpost, build_modules, usual_options
from tests.support.packages import early_tree

NAMES = [f"{first}_{number}" for first in ("alpha", "beta_gamma") for number in range(300)]
GPL = '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n'
LONG = "a_name_as_no_human_being_would_choose_" * 13

# (Sections of exports that the headers may leave out are written down by hand, and so is a CRC that lies in a section.)
SOURCES = {
    "static_one": GPL + "static int hidden(void) { return 1; }\nEXPORT_SYMBOL(hidden);\n"
    "static int shown(void) { return 1; }\nEXPORT_SYMBOL_GPL(shown);\n",
    "static_two": GPL + "int shown(void);\nint shown(void) { return 2; }\n",
    "static_user": GPL + "extern int hidden(void);\nint use_it(void);\nint use_it(void) { return hidden(); }\n",
    "many_one": GPL + "".join(f"int {name};\nEXPORT_SYMBOL({name});\n" for name in NAMES[::2]),
    "many_two": GPL + "".join(f"int {name};\nEXPORT_SYMBOL_NS_GPL({name}, SPACE_{name[:4]});\n" for name in NAMES[::3]),
    "retired": GPL
    + "".join(
        f'asm(".section \\"{section}{name}\\",\\"a\\"\\n.globl __ksymtab_{name}\\n__ksymtab_{name}: .quad {name}\\n'
        f'.previous");\nint {name}(void);\nint {name}(void) {{ return 1; }}\n'
        for name, section in (
            ("r_unused", "___ksymtab_unused+"),
            ("r_unused_gpl", "___ksymtab_unused_gpl+"),
            ("r_future", "___ksymtab_gpl_future+"),
            ("r_elsewhere", ".another_place"),
        )
    ),
    "stray": GPL
    + """
int with_crc;
EXPORT_SYMBOL(with_crc);
asm(".section .rodata\\n__kstrtabns_nobody: .asciz \\"SPACE\\"\\n__kstrtabns_nobody_else: .asciz \\"\\"\\n"
    ".balign 4\\n__crc_nobody: .long 1\\n.previous");
""",
    "crc_inside": GPL
    + """
asm(".section \\"___ksymtab+inside\\",\\"a\\"\\n__ksymtab_inside: .quad inside\\n.previous\\n"
    ".section .rodata\\n.balign 4\\n__crc_inside: .long 0x89abcdef\\n.previous");
int inside(void);
int inside(void) { return 1; }
""",
    "long": GPL + f"int {LONG};\nEXPORT_SYMBOL({LONG});\n",
    **{
        f"user_{license}": f'#include <linux/module.h>\nMODULE_LICENSE("{license}");\n' + uses(*names)
        for license, names in {
            "GPL": ("r_elsewhere", "r_unused", "r_unused_gpl", "r_future"),
            "Proprietary": ("r_elsewhere", "r_unused", "r_future"),
            "BSD": ("r_unused_gpl", "r_unused"),
        }.items()
    },
}
CASES = {
    "a static export": (["static_one"], [], '"hidden" ['),
    "a static export that another module has, too": (["static_one", "static_two"], [], "is a static"),
    "a static export of the last module": (["static_two", "static_one"], [], '"shown" ['),
    "a static export that is used": (["static_one", "static_user"], [], '"shown" ['),
    "many exports": (["many_one"], [], ""),
    "many exports of two modules": (["many_one", "many_two"], [], ""),
    "many exports of two modules the other way round": (["many_two", "many_one"], [], ""),
    "many exports twice in the kernel's own build": (["many_two", "many_one"], ["NOT-EXTERNAL"], "exported twice"),
    "retired exports": (["retired", "user_GPL"], [], "marked UNUSED"),
    "retired exports, used by a module that is not free": (["retired", "user_Proprietary"], [], "future GPL-only"),
    "a retired GPL-only export, used by a module that is not free": (
        ["many_one", "retired", "user_GPL", "user_BSD", "user_Proprietary"],
        [],
        "GPL-only symbol marked UNUSED",
    ),
    "retired exports of symvers": (["user_GPL"], ["RETIRED"], "marked UNUSED"),
    "retired exports of symvers, not free": (["user_Proprietary"], ["RETIRED"], "marked UNUSED"),
    "a namespace and a CRC of nothing": (["stray", "many_one"], [], "Could not update namespace"),
    "a CRC in a section": (["crc_inside"], [], ""),
    "a line that is too long": (["long"], [], ""),
    "exports that symvers files have already": (["many_one", "many_two"], ["MANY"], "exported twice"),
}
RETIRED = (
    "0x00000001\tr_unused\tdrv/a\tEXPORT_UNUSED_SYMBOL\t\n0x00000002\tr_future\tdrv/a\tEXPORT_SYMBOL_GPL_FUTURE\t\n"
    "0x00000003\tr_elsewhere\tdrv/a\tEXPORT_NO_SYMBOL\t\n0x00000004\tr_elsewhere\tdrv/b\tEXPORT_NO_SYMBOL\tSPACE\n"
)

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Built:
    files = {f"{name}.c": text for name, text in SOURCES.items()}
    files["Kbuild"] = "ccflags-y += -Wno-error\n" + "".join(f"obj-m += {name}.o\n" for name in SOURCES)
    return build_modules(early_tree(), tmp_path_factory.mktemp("early"), files)


@pytest.mark.parametrize("case", CASES)
def test_says_and_writes_what_the_trees_modpost_does(case: str, early: Built) -> None:
    names, words, expected = CASES[case]
    options = usual_options(early)
    extra = early.directory / "extra.symvers"
    for word in words:
        if word == "NOT-EXTERNAL":
            options.remove("-e")
        else:
            extra.write_text(RETIRED if word == "RETIRED" else _many(early))
            options += ["-i", str(extra)]
    assert expected in assert_same_modpost(early, names, options).messages


def _many(early: Built) -> str:
    """Symvers lines for every fifth name, of every kind of owner, and some of them twice."""
    tail = ("EXPORT_SYMBOL\t", "EXPORT_SYMBOL_GPL\tNS", "EXPORT_SYMBOL\tNS")
    owners = ("vmlinux", "drv/a", early.nominal("many_one"), early.nominal("many_two"))
    lines = [
        f"0x{number:08x}\t{name}\t{owners[number % 4]}\t{tail[number % 3]}\n" for number, name in enumerate(NAMES[::5])
    ]
    return "".join(lines + [line.replace("drv/a", "drv/b").replace("0x000", "0x999") for line in lines[::7]])
