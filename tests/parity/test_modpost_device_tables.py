# SPDX-License-Identifier: GPL-2.0-only
"""Device tables: every kind that a kernel has, filled with chance, against the tree's modpost.

A table is an array of bytes behind a telling symbol name, so that the objects need no kernel headers: any
compiler makes them. Strings keep their final NUL, for without it modpost reads beyond the table.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.device_tables import TABLES
from kbuildpy.modpost.layouts import DeviceTableLayouts, StructLayout
from kbuildpy.modpost.usb import version_patterns
from kbuildpy.modpost.versions import dialect_of
from kbuildpy.run import run
from tests.support.kernel_trees import EARLY, TREES, tree_of_release
from tests.support.modposts import Built, assert_same_modpost, layouts_of

pytestmark = pytest.mark.parity

STRINGS = {"name", "type", "compatible", "id", "sig", "compat", "obj_type", "protocol_key", "chan", "guid_string"}
LETTERS = b"abcdefgXYZ019-_,: \t.*\xc3\xa9"


@pytest.fixture(scope="module", params=[*(tree.release for tree in TREES), EARLY])
def tree(request: pytest.FixtureRequest) -> KernelTree:
    return tree_of_release(request.param)


@pytest.fixture(scope="module")
def layouts(tree: KernelTree, tmp_path_factory: pytest.TempPathFactory) -> DeviceTableLayouts:
    return layouts_of(tree, tmp_path_factory.mktemp("layouts"))


def symbol_name(tree: KernelTree, device_id: str, array: str) -> str:
    dialect = dialect_of(tree)
    if dialect.device_table_prefix:
        return f"__mod_device_table__{'kmod_some_module__' if dialect.device_table_modname else ''}{device_id}__{array}"
    return f"__mod_{device_id}__{array}_device_table"


def make_object(path: Path, symbols: dict[str, bytes]) -> None:
    """An object with these symbols, and the `.modinfo` and `.mod` that modpost wants."""
    lines = ['static const char info[] __attribute__((used, section(".modinfo"))) = "license=GPL\\0description=x";']
    for name, contents in symbols.items():
        octets = ",".join(str(octet) for octet in contents)
        lines.append(f"const unsigned char {name}[] __attribute__((aligned(8))) = {{{octets}}};")
    source = path.with_suffix(".c")
    source.write_text("\n".join(lines) + "\n")
    run(["gcc", "-c", "-o", path, source])
    path.with_suffix(".mod").write_text("")


def random_entry(layout: StructLayout, device_id: str, chance: random.Random) -> bytearray:
    entry = bytearray(layout.size)
    for member, (offset, size) in layout.members.items():
        place = slice(offset, offset + size)
        if member == "guid_string" and chance.random() < 0.7:
            guid = str(uuid.UUID(int=chance.getrandbits(128)))
            entry[place] = chance.choice([guid, guid.upper()]).encode() + b"\0"
        elif (member in STRINGS and size > 4) or device_id == "rpmsg":
            length = chance.choice([0, 1, size // 2, size - 1])
            entry[place] = bytes(chance.choices(LETTERS, k=length)).ljust(size, b"\0")
        elif member == "matches":
            for at in range(offset, offset + size, size // 4):
                text = bytes(chance.choices(LETTERS, k=chance.choice([0, 5, 20]))).ljust(size // 4 - 1, b"\0")
                entry[at : at + size // 4] = bytes([chance.choice([0, 1, 2, 6, 7, 13, 20, 129, 140])]) + text
        elif member == "devs":
            for at in range(offset, offset + size, size // 8):
                length = chance.choice([0, 2, 2, 2, 7])
                text = bytes(chance.choices(b"pnPN02", k=length)).ljust(size // 8, b"\0")
                entry[at : at + size // 8] = text
        elif member.endswith("bit"):
            for _ in range(chance.choice([0, 1, 3])):
                entry[offset + chance.randrange(size)] |= 1 << chance.randrange(8)
        elif member == "override_only":
            # newer kernels leave the alias of an unknown PCI override partly undefined: not comparable
            entry[offset] = chance.choice([0, 0, 1, 1 if device_id == "pci" else 2])
        elif member == "class_mask":
            entry[place] = (
                chance.choice([b"\0\0\0", b"\xff\xff\xff", b"\0\xff\xff", b"\0\0\xff", b"\x0f\0\xff"]) + b"\0"
            )
        elif member == "mask":
            entry[place] = chance.choice([b"\xff\xff\xff\xff", b"\xff\xff\x0f\0", b"\x35\x00\xf3\xff"])
        else:
            entry[place] = chance.choice(
                [
                    bytes(size),
                    b"\xff" * size,
                    bytes(chance.randrange(256) for _ in range(size)),
                    b"\x07" + bytes(size - 1),
                ]
            )
    if device_id == "amba":
        for at in range(4):
            entry[layout.members["id"][0] + at] &= entry[layout.members["mask"][0] + at]
    return entry


def random_table(layout: StructLayout, device_id: str, chance: random.Random, count: int) -> bytes:
    entries = [random_entry(layout, device_id, chance) for _ in range(count)]
    return b"".join([*entries, bytearray(layout.size)])


@pytest.mark.parametrize("device_id", TABLES)
def test_a_random_table_gives_the_same_aliases(
    device_id: str, tree: KernelTree, layouts: DeviceTableLayouts, tmp_path: Path
) -> None:
    layout = layouts.structs.get(TABLES[device_id].struct)
    if layout is None:
        pytest.skip(f"no {TABLES[device_id].struct} in {tree.release}")
    chance = random.Random(device_id)
    built = Built(tree, tmp_path)
    symbols = {
        symbol_name(tree, device_id, f"table_{number}"): random_table(layout, device_id, chance, count)
        for number, count in enumerate((0, 1, 40))
    }
    make_object(tmp_path / "module.o", symbols)
    outcome = assert_same_modpost(built, ["module"], ["-e"], layouts)
    aliases = outcome.mod_c[built.nominal("module")].count("MODULE_ALIAS(")
    assert (aliases > 5) == dialect_of(tree).has_table(device_id)


def broken(change: Callable[[bytearray, StructLayout], object]) -> Callable[[StructLayout, str], bytes]:
    def table(layout: StructLayout, device_id: str) -> bytes:
        entry = random_entry(layout, device_id, random.Random(1))
        change(entry, layout)
        return bytes(entry) + bytes(layout.size)

    return table


def _put(member: str, value: bytes) -> Callable[[bytearray, StructLayout], object]:
    def change(entry: bytearray, layout: StructLayout) -> None:
        offset, size = layout.members[member]
        entry[offset : offset + size] = value.ljust(size, b"\0")

    return change


def _entry(layout: StructLayout, **members: bytes) -> bytes:
    entry = bytearray(layout.size)
    for member, value in members.items():
        _put(member, value)(entry, layout)
    return bytes(entry)


BAD: dict[str, tuple[str, Callable[[StructLayout, str], bytes], str]] = {
    "a WMI GUID too short": ("wmi", broken(_put("guid_string", b"05901221-D566-11D1-B2F0")), "Invalid WMI device id"),
    "a WMI GUID in lower case": ("wmi", broken(_put("guid_string", b"abbc0f6a-8ea1-11d1-00a0-c90629100000")), ""),
    "a WMI GUID with a stray letter": ("wmi", broken(_put("guid_string", b"abbc0f6x-8ea1-11d1-00a0-c90629100000")), ""),
    "a WMI GUID with a hyphen missing": (
        "wmi",
        broken(_put("guid_string", b"abbc0f6a08ea1-11d1-00a0-c90629100000")),
        "",
    ),
    "AMBA bits outside the mask": ("amba", broken(_put("mask", b"\0")), "Masked-off bit(s)"),
    "a CDX override": ("cdx", broken(_put("override_only", b"\x09")), "!6.3 Unknown CDX driver_override"),
    # 493 characters: too long for the line on older kernels (500), for the alias on newer ones (256)
    "too many input keys": (
        "input",
        lambda layout, _: (
            _entry(layout, flags=b"\x20", keybit=bytes(0x20) + b"\xff" * 11 + b"\x0f") + bytes(layout.size)
        ),
        "modpost: ",
    ),
    "too much DMI": (
        "dmi",
        broken(lambda e, la: _put("matches", b"".join(bytes([n]) + b"x" * 70 + bytes(9) for n in (1, 2, 6, 7)))(e, la)),
        "!6.18 overflow",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_entry_is_reported_alike(
    case: str, tree: KernelTree, layouts: DeviceTableLayouts, tmp_path: Path
) -> None:
    device_id, table, expected = BAD[case]
    if expected.startswith("!"):
        since, _, expected = expected[1:].partition(" ")
        if tree.version <= tuple(map(int, since.split("."))):
            pytest.skip(f"needs a kernel after {since}")
    layout = layouts.structs[TABLES[device_id].struct]
    make_object(tmp_path / "module.o", {symbol_name(tree, device_id, "table"): table(layout, device_id)})
    outcome = assert_same_modpost(Built(tree, tmp_path), ["module"], ["-e"], layouts)
    if case == "too many input keys" and dialect_of(tree).truncates_lines:
        assert "\0" in outcome.mod_c[str(tmp_path / "module")]
    else:
        assert expected in outcome.messages


@pytest.mark.parametrize("device_id", ["usb", "of", "pci", "pnp", "pnp_card"])
@pytest.mark.parametrize("damage", ["no terminator", "cut short", "empty"])
def test_a_damaged_table_is_reported_alike(
    damage: str, device_id: str, tree: KernelTree, layouts: DeviceTableLayouts, tmp_path: Path
) -> None:
    layout = layouts.structs[TABLES[device_id].struct]
    whole = random_table(layout, device_id, random.Random(3), 3).replace(b"\0", b"\1")
    contents = {"no terminator": whole, "cut short": whole[:-1], "empty": whole[:3]}[damage]
    make_object(tmp_path / "module.o", {symbol_name(tree, device_id, "table"): contents})
    assert assert_same_modpost(Built(tree, tmp_path), ["module"], ["-e"], layouts).failed


def test_usb_version_ranges_agree(tree: KernelTree, layouts: DeviceTableLayouts, tmp_path: Path) -> None:
    layout = layouts.structs["usb_device_id"]
    chance = random.Random(4)
    entries = []
    for _ in range(400):
        entry = bytearray(layout.size)
        low, high = sorted(
            chance.choice([chance.randrange(0x10000), int(str(chance.randrange(10000)), 16)]) for _ in "ab"
        )
        for member, value in (
            ("match_flags", chance.choice([0x7, 0xB, 0xF, 0x3])),
            ("idVendor", 0x1234),
            ("bcdDevice_lo", low),
            ("bcdDevice_hi", high if chance.random() > 0.1 else chance.randrange(0x10000)),
        ):
            entry[layout.members[member][0] : layout.members[member][0] + 2] = value.to_bytes(2, "little")
        entries.append(entry)
    make_object(
        tmp_path / "module.o", {symbol_name(tree, "usb", "table"): b"".join([*entries, bytearray(layout.size)])}
    )
    assert_same_modpost(Built(tree, tmp_path), ["module"], ["-e"], layouts)


def test_a_version_range_matches_exactly_its_versions() -> None:
    for low, high in ((0x0100, 0x0199), (0x0, 0x0105), (0x0095, 0x1204), (0x9999, 0x9999)):
        patterns = list(version_patterns(low, high))
        for number in range(10000):
            version = int(str(number), 16)
            assert any(fnmatchcase(f"{version:04X}", p) for p in patterns) == (low <= version <= high)


def test_all_null_tables_may_live_in_bss(tree: KernelTree, layouts: DeviceTableLayouts, tmp_path: Path) -> None:
    layout = layouts.structs["i2c_device_id"]
    make_object(tmp_path / "module.o", {symbol_name(tree, "i2c", "table"): bytes(3 * layout.size)})
    assert_same_modpost(Built(tree, tmp_path), ["module"], ["-e"], layouts)


def test_layouts_survive_json(layouts: DeviceTableLayouts) -> None:
    assert DeviceTableLayouts.from_json(layouts.to_json()) == layouts  # type: ignore[arg-type]
