# SPDX-License-Identifier: GPL-2.0-only
"""Parameters where no kernel can be asked: damaged tables, other versions, other configurations."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace

import pytest

from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.parameters.arguments import arguments, as_bytes
from kbuildpy.loader.parameters.numbers import kstrto, kstrtobool
from kbuildpy.loader.parameters.parse_args import copy_args, parse_args
from kbuildpy.loader.printk import printk
from kbuildpy.loader.verdict import Refusal, Undefined
from tests.support.elf_objects import DATA, RODATA, Rel, Sec, Sym
from tests.support.loader_info import Version, info_of, sentences

R_64 = 1
RODATA_, DATA_, INT, OTHER_SET, STRING, ARRAY, UINT, BOOL, CHARP = range(1, 10)
SYMBOLS = (
    Sym("rodata", 1),
    Sym("data", 2),
    Sym("param_ops_int", 0),
    Sym("other_set", 0),
    Sym("param_ops_string", 0),
    Sym("param_array_ops", 0),
    Sym("param_ops_uint", 0),
    Sym("param_ops_bool", 0),
    Sym("param_ops_charp", 0),
)
NAME, OPS, ARG = Rel(0, R_64, RODATA_, 0), Rel(16, R_64, INT), Rel(32, R_64, DATA_, 8)
HWPARAM = 2


def module(
    *relocations: Rel,
    rodata: bytes = b"x\0".ljust(64, b"\0"),
    flags: int = 0,
    size: int = 40,
    more: tuple[Rel, ...] = (),
    version: Version = (6, 12),
    config: Mapping[str, str] | None = None,
) -> LoadInfo:
    """A module with one parameter, `x`; `more` relocates its read-only data."""
    entry = struct.pack("<QQQHbB4xQ", 0, 0, 0, 0o644, -1, flags, 0)[:size]
    param = Sec("__param", RODATA, entry, relocations or (NAME, OPS, ARG))
    info = info_of([Sec(".rodata", RODATA, rodata, more), Sec(".data", DATA), param], SYMBOLS, version=version)
    info.kernel = replace(info.kernel, config={"CONFIG_STRICT_MODULE_RWX": "y", **(config or {})})
    info.stage = "parse_args"
    return info


def parse(info: LoadInfo, args: str) -> list[str]:
    """The lines that the kernel logs about `args`."""
    before = len(info.journal.lines)
    info.args = args
    parse_args(info)
    return info.journal.lines[before:]


def test_sets_the_parameter_that_the_table_describes() -> None:
    assert parse(module(), "x=5 x=-5 -- y") == ["m: parameters 'y' after `--' ignored"]
    with pytest.raises(Refusal, match="does not take the value 'y'"):
        parse(module(), "x=y")


def test_nothing_is_read_of_a_damaged_table_without_arguments() -> None:
    assert parse(module(Rel(0, R_64, RODATA_, 1 << 40)), "  ") == []


@pytest.mark.parametrize(
    ("relocations", "reason"),
    [
        ((OPS, ARG), "the pointer to the name of a parameter is 0x0"),
        ((Rel(0, R_64, RODATA_, 64), OPS, ARG), "a string in .rodata.0x40 has no end"),
        ((Rel(0, R_64, RODATA_, 65), OPS, ARG), "outside"),
        ((Rel(0, R_64, RODATA_, -1), OPS, ARG), "outside"),
        ((NAME, ARG), "the pointer to the operations of a parameter is 0x0"),
        ((NAME, Rel(16, R_64, RODATA_, 8), ARG), "the pointer to the setter of a parameter is 0x0"),
        ((NAME, OPS), "4 bytes are written to the address 0x0"),
        ((NAME, OPS, Rel(32, R_64, RODATA_, 8)), "read-only"),
        ((NAME, OPS, Rel(32, R_64, DATA_, 61)), "outside"),
        ((NAME, Rel(16, R_64, STRING)), "the description of a string"),
        ((NAME, Rel(16, R_64, ARRAY)), "the description of an array"),
    ],
)
def test_a_table_that_leads_nowhere_is_undefined(relocations: tuple[Rel, ...], reason: str) -> None:
    with pytest.raises(Undefined, match=reason):
        parse(module(*relocations), "x=1")


def test_half_an_entry_is_none() -> None:
    assert parse(module(size=39), "x=1") == ["m: unknown parameter 'x' ignored"]


def test_operations_of_somebody_else_are_not_judged() -> None:
    other = module(NAME, Rel(16, R_64, OTHER_SET), ARG)
    assert parse(other, "x=1") == []
    assert parse(other, "x") == []
    assert sentences(other) == [
        "the value of parameter x: it is judged by the operations other_set, not by kernel/params.c",
        "argument x: whether it needs a value is known to the operations other_set alone",
    ]


def test_a_name_that_somebody_else_exports_is_not_judged() -> None:
    info = module(Rel(0, R_64, OTHER_SET), OPS, ARG)
    assert parse(info, "x=1") == []
    assert sentences(info) == [
        "argument x: the pointer to the name of a parameter is other_set, which is not the module's"
    ]


@pytest.mark.parametrize(
    ("ops", "value", "errno", "reason"),
    [
        (INT, "x", "EINVAL", "does not take the value 'x': it takes a number"),
        (INT, "3000000000", "ERANGE", "it takes numbers from -2147483648 to 2147483647"),
        (UINT, "-1", "EINVAL", "does not take the value '-1': it takes no negative numbers"),
        (BOOL, "maybe", "EINVAL", "it takes y or n, 1 or 0, on or off"),
        (
            CHARP,
            "c" * 1025,
            "ENOSPC",
            f"does not take the value '{'c' * 60}'... (1025 bytes): it takes 1024 bytes at most",
        ),
    ],
)
def test_the_reason_tells_what_a_parameter_takes(ops: int, value: str, errno: str, reason: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse(module(NAME, Rel(16, R_64, ops), ARG), f"x={value}")
    assert refused.value.errno == errno
    assert refused.value.reason.startswith("parameter x ") and refused.value.reason.endswith(reason)
    assert refused.value.hint


def test_the_reason_tells_how_much_a_string_takes() -> None:
    string = struct.pack("<I4xQ", 8, 0)
    rodata = b"x\0".ljust(16, b"\0") + string + bytes(32)
    arg = Rel(32, R_64, RODATA_, 16)
    info = module(NAME, Rel(16, R_64, STRING), arg, rodata=rodata, more=(Rel(24, R_64, DATA_),))
    assert parse(info, "x=seven77") == []
    with pytest.raises(Refusal, match="does not take the value 'eight888': it takes 7 bytes at most") as refused:
        parse(info, "x=eight888")
    assert refused.value.hint == "Give a shorter value."


def test_the_reason_tells_how_many_values_an_array_takes_and_which_of_them_is_wrong() -> None:
    description = struct.pack("<IIQQQ", 4, 4, 0, 0, 0)
    info = module(
        NAME,
        Rel(16, R_64, ARRAY),
        Rel(32, R_64, RODATA_, 16),
        rodata=b"x\0".ljust(16, b"\0") + description + bytes(16),
        more=(Rel(32, R_64, INT), Rel(40, R_64, DATA_)),
    )
    with pytest.raises(Refusal, match="'1,2,3,4,5': it takes 4 values at most, with commas between them"):
        parse(info, "x=1,2,3,4,5")
    with pytest.raises(Refusal, match="'1,b': value 2 is 'b', and it takes a number"):
        parse(info, "x=1,b")


def test_a_string_without_room_for_its_end_takes_nothing() -> None:
    described = module(NAME, Rel(16, R_64, STRING), Rel(32, R_64, RODATA_, 16), more=(Rel(24, R_64, DATA_),))
    with pytest.raises(Refusal) as refused:
        parse(described, "x=")
    assert refused.value.errno == "ENOSPC"
    assert "x: string doesn't fit in 4294967295 chars." in described.journal.lines


def test_an_array_that_is_longer_than_its_variable_writes_where_it_should_not() -> None:
    description = struct.pack("<IIQQQ", 100, 4, 0, 0, 0)
    array = module(
        NAME,
        Rel(16, R_64, ARRAY),
        Rel(32, R_64, RODATA_, 16),
        rodata=b"x\0".ljust(16, b"\0") + description + bytes(16),
        more=(Rel(32, R_64, INT), Rel(40, R_64, DATA_)),
    )
    assert parse(array, "x=" + ",".join(["1"] * 16)) == []
    with pytest.raises(Undefined, match="outside"):
        parse(array, "x=" + ",".join(["1"] * 17))


def test_a_kernel_that_is_locked_down_sets_no_parameter_of_hardware() -> None:
    info = module(flags=HWPARAM)
    assert parse(info, "x=1") == []
    info.kernel = replace(info.kernel, lockdown=True)
    with pytest.raises(Refusal) as refused:
        parse(info, "x=1")
    assert refused.value.errno == "EPERM"
    assert info.journal.lines[-2:] == [
        "Lockdown: <comm>: unsafe module parameters is restricted; see man kernel_lockdown.7",
        "m: `1' invalid for parameter `x'",
    ]


def test_dyndbg_is_a_parameter_of_every_module_and_read_where_the_kernel_can() -> None:
    assert parse(module(config={}), "dyndbg=? a.b=1") == [
        "dyndbg param is supported only in CONFIG_DYNAMIC_DEBUG builds",
        "m: unknown parameter 'a.b' ignored",
    ]
    assert parse(module(config={"CONFIG_DYNAMIC_DEBUG_CORE": "y"}), "dyndbg=? a.b=1") == [
        "dyndbg: bad flag-op ?, at start of ?",
        "dyndbg: flags parse failed",
        "m: unknown parameter 'a' ignored",
    ]
    unknown = module()
    unknown.kernel = replace(unknown.kernel, config=None)
    assert parse(unknown, "dyndbg=? b=1") == ["m: unknown parameter 'b' ignored"]
    assert sentences(unknown) == ["argument dyndbg: the kernel's configuration is not known"]


@pytest.mark.parametrize(("version", "flags"), [((6, 1), "pmflt_"), ((6, 12), "pmflt_s"), ((7, 3), "pmflt_sd")])
def test_dyndbg_learned_flags(version: Version, flags: str) -> None:
    config = {"CONFIG_DYNAMIC_DEBUG_CORE": "y"}
    for flag in "pmflt_sdx":
        lines = parse(module(version=version, config=config), f"dyndbg=+{flag}")
        assert lines == ([] if flag in flags else [f"dyndbg: unknown flag '{flag}'", "dyndbg: flags parse failed"])


def test_truth_values_learned_to_be_enabled_and_disabled() -> None:
    assert [kstrtobool(word, (6, 12)) for word in (b"enable", b"Disabled")] == ["EINVAL", "EINVAL"]
    assert [kstrtobool(word, (7, 3)) for word in (b"enable", b"Disabled")] == [True, False]


def test_numbers_of_any_length_are_out_of_range_or_not() -> None:
    assert kstrto(b"0" * 100_000 + b"7", "u8") == 7
    assert kstrto(b"9" * 100_000, "u64") == "ERANGE"
    assert kstrto(b"0x" + b"f" * 17, "u64") == "ERANGE"
    assert kstrto(b"12", "u32", 10) == 12
    assert kstrto(b"0x12", "u32", 10) == "EINVAL"


def test_arguments_end_at_the_first_nul_and_at_a_part_of_a_character() -> None:
    assert as_bytes("x=1\0y=2") == b"x=1"
    assert [(name, value) for name, value, _ in arguments("x=à y".encode())] == [
        (b"x", b"\xc3"),
        (b"y", None),
    ]


def test_parameters_of_four_mebibytes_are_too_long() -> None:
    info = module()
    info.args = "x" * ((4 << 20) - 1)
    copy_args(info)
    info.args += "x"
    with pytest.raises(Refusal) as refused:
        copy_args(info)
    assert (refused.value.errno, refused.value.line) == ("ENOMEM", None)


@pytest.mark.parametrize(
    ("version", "config", "length"),
    [((6, 1), {}, 989), ((6, 1), {"CONFIG_PRINTK_CALLER": "y"}, 973), ((6, 12), {}, 1021)],
)
def test_a_line_of_the_log_is_cut(version: Version, config: Mapping[str, str], length: int) -> None:
    kernel = module(version=version, config=config).kernel
    assert printk("x" * 3000, kernel) == "x" * length
    assert printk("x" * (length - 1), kernel) == "x" * (length - 1)
    assert printk("a\nb\n", kernel) == "a\nb\n"
