# SPDX-License-Identifier: GPL-2.0-only
"""Damaged module objects: modpost says what is wrong with the file, or works with what is inside it. Nothing else.

Real objects are taken where it hurts: in their headers, symbols, relocations and strings.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import SHT_NOBITS
from kbuildpy.errors import KbuildError
from kbuildpy.modpost.layouts import DeviceTableLayouts
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.records import ModuleObject
from kbuildpy.modpost.stage import ModpostResult, modpost
from tests.support.kernel_trees import TREES, swept
from tests.support.modposts import Built, build, layouts_of, usual_options

pytestmark = [pytest.mark.parity, pytest.mark.skipif(not TREES, reason="no kernel headers here")]

# What an object of this size takes is a few milliseconds.
SECONDS = 2.0
DRIVER = """\
#include <linux/module.h>
#include <linux/usb.h>
#include <linux/pci.h>
static const struct usb_device_id usb_table[] = {
	{ USB_DEVICE(1, 2) }, { USB_DEVICE_VER(3, 4, 0x0099, 0x1234) }, { USB_INTERFACE_INFO(5, 6, 7) }, { }
};
MODULE_DEVICE_TABLE(usb, usb_table);
static const struct pci_device_id pci_table[] = { { PCI_DEVICE(1, 2) }, { PCI_DEVICE_CLASS(0x010203, ~0) }, { } };
MODULE_DEVICE_TABLE(pci, pci_table);
int every_export(struct usb_device *dev);
int every_export(struct usb_device *dev) { return dev->devnum; }
EXPORT_SYMBOL_GPL(every_export);
extern int nowhere(void);
static int __initdata once = 7;
static void *taken(void);
void *reference(void);
void *reference(void) { return &once; }
static int __init every_init(void) { pr_info("%p\\n", taken()); return usb_disabled() + nowhere(); }
static void __exit every_exit(void) { }
static void *taken(void) { return every_init; }
module_init(every_init);
module_exit(every_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("a driver with a bit of everything");
MODULE_VERSION("1");
"""
Damaged = tuple[Built, bytes, DeviceTableLayouts, list[tuple[int, int]]]


@pytest.fixture(scope="module", params=[TREES[-1], *swept(*TREES[:-1])], ids=lambda tree: tree.release)
def driver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    """A compiled driver, its contents, and where in those its structure is: header, section headers, sections."""
    place = tmp_path_factory.mktemp("damage")
    tree = request.param
    built = build(tree, place / "driver", {"driver.c": DRIVER, "Kbuild": "obj-m := driver.o\n"}, "modules")
    contents = built.module("driver").path.read_bytes()
    image = ModuleImage(contents, "driver.o")
    regions = [(0, 64), (int.from_bytes(contents[40:48], "little"), len(contents))]
    regions += [
        (section.offset, section.offset + section.size)
        for section in image.sections
        if section.size and section.type != SHT_NOBITS and not section.name.startswith((".debug", ".rela.debug"))
    ]
    return built, contents, layouts_of(tree, place / "layouts"), regions


def run_over(driver: Damaged, contents: bytes, scratch: Path) -> ModpostResult:
    """Our modpost over `contents` in place of the driver's object."""
    built, _, layouts, _ = driver
    whole = built.module("driver")
    path = scratch / "damaged.o"
    path.write_bytes(contents)
    began = time.perf_counter()
    try:
        return modpost(
            [ModuleObject(whole.name, path, whole.objects)],
            ModpostOptions.parse(usual_options(built)),
            tree=built.tree,
            cwd=built.cwd,
            layouts=lambda: layouts,
        )
    finally:
        assert time.perf_counter() - began < SECONDS


def damages(contents: bytes, regions: list[tuple[int, int]]) -> st.SearchStrategy[bytes]:
    """`contents` with up to six places overwritten and, at times, its end cut off: without the section headers, which
    are there, nothing that stands before is looked at."""

    @st.composite
    def draw_one(draw: st.DrawFn) -> bytes:
        damaged = bytearray(contents)
        for _ in range(draw(st.integers(1, 6))):
            start, stop = draw(st.sampled_from(regions))
            at = draw(st.integers(start, stop - 1))
            words = st.sampled_from((b"\xff" * 8, bytes(8), b"\x01\0\0\0", b"\0\0\0\x80", b"\xff\xff", b"\xf2\xff"))
            value = draw(st.one_of(st.binary(min_size=1, max_size=8), words))
            damaged[at : at + len(value)] = value[: len(damaged) - at]
        cut = draw(st.integers(0, 15)) == 15
        return bytes(damaged[: draw(st.integers(0, len(damaged)))] if cut else damaged)

    return draw_one()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_damage_does_more_than_an_error(
    driver: Damaged, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    scratch = tmp_path_factory.getbasetemp()
    contents = data.draw(damages(driver[1], driver[3]))
    try:
        run_over(driver, contents, scratch)
    except KbuildError as error:
        assert "damaged.o" in str(error)


def wrong_objects(contents: bytes) -> Iterator[tuple[str, bytes, str]]:
    """What is no object of this machine, and what is said of it."""
    yield "empty", b"", "empty file"
    yield "text", b"int main(void) { return 0; }\n" * 10, "not an ELF file"
    yield "header alone", contents[:64], "beyond the end of the file"
    yield "half", contents[: len(contents) // 2], "beyond the end of the file"
    yield "big-endian", contents[:5] + b"\x02" + contents[6:], "bytes each, 64 expected"
    yield "32-bit", contents[:4] + b"\x01" + contents[5:], "has no symtab?"


def test_what_is_no_object_is_named(driver: Damaged, tmp_path: Path) -> None:
    for name, contents, said in wrong_objects(driver[1]):
        try:
            result = run_over(driver, contents, tmp_path)
            message = result.diagnostics[-1].text
            assert result.failed, name
        except KbuildError as error:
            message = error.message
            assert "damaged.o" in message, name
        assert said in message, name


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("0x1\ta\tvmlinux\tEXPORT_SYMBOL\t\n\n", ":2: empty line"),
        ("0x1\ta\tvmlinux\tEXPORT_SYMBOL\t\nnonsense\n", ":2: 1 fields, 5 expected"),
        ("crc\ta\tvmlinux\tEXPORT_SYMBOL\t\n", ":1: 'crc' is no CRC"),
        ("0x1\t\tvmlinux\tEXPORT_SYMBOL\t\n", ":1: the symbol or the owner is missing"),
    ],
    ids=["empty line", "one field", "no CRC", "no symbol"],
)
def test_a_malformed_line_of_symvers_is_named(lines: str, complaint: str, driver: Damaged, tmp_path: Path) -> None:
    built = driver[0]
    symvers = tmp_path / "Module.symvers"
    symvers.write_text(lines)
    with pytest.raises(KbuildError) as refused:
        modpost(
            [built.module("driver")],
            ModpostOptions(symvers=(symvers,)),
            tree=built.tree,
            cwd=built.cwd,
            layouts=lambda: driver[2],
        )
    assert f"{symvers}{complaint}" in refused.value.message
