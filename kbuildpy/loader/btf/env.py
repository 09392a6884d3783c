# SPDX-License-Identifier: GPL-2.0-only
"""The state of the verifier of types, and its messages: struct btf_verifier_env of kernel/bpf/btf.c."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kbuildpy.loader.btf.header import MAX_NAME_OFFSET
from kbuildpy.loader.btf.invalid import InvalidBtf, verifier_log
from kbuildpy.loader.btf.types import WORDS, BtfTypes, Kind
from kbuildpy.loader.printk import signed

KIND_FLAG = 1 << 31
ENCODINGS = {0: "(none)", 1: "SIGNED", 2: "CHAR", 4: "BOOL"}
"""Names of the encodings of an int, as the kernel prints them (kernel/bpf/btf.c: btf_int_encoding_str)."""

# A name has at most KSYM_NAME_LEN characters. The kernel's isalpha() accepts the letters of Latin-1 (lib/ctype.c); BTF
# allows a full stop, too.
_LETTERS = rb"A-Za-z_.\xc0-\xd6\xd8-\xf6\xf8-\xff"
IDENTIFIER = re.compile(rb"[" + _LETTERS + rb"][0-9" + _LETTERS + rb"]{0,511}\0")
SECTION_BUT_FIRST = re.compile(rb"(?s:.)[\x20-\x7e\xa0-\xff]{0,511}\0")
SECTION = re.compile(rb"[\x20-\x7e\xa0-\xff]{1,512}\0")
_ARGUMENTS = 10_000
"""Parameters of a function type that a message lists at most; the kernel's log buffer holds fewer."""


@dataclass(eq=False)
class Env:
    """The verifier's state: the types that were checked so far, and the rules of the kernel's version."""

    types: BtfTypes
    """The types that were checked so far."""
    size: int
    """Bytes of all types, checked or not."""
    tag_flags: bool
    """Whether tags may have the kind_flag (`since.BTF_TAG_FLAGS`)."""
    section_name: re.Pattern[bytes]
    """The pattern of a valid name of a DATASEC."""

    def has_name_at(self, offset: int) -> bool:
        """Whether `offset` is inside the strings (btf_name_offset_valid)."""
        types = self.types
        return offset <= MAX_NAME_OFFSET and offset < types.start_str_off + len(types.strings)

    def is_identifier(self, offset: int) -> bool:
        """Whether the name at `offset` is a valid identifier (btf_name_valid_identifier)."""
        return self.fits(IDENTIFIER, offset)

    def fits(self, pattern: re.Pattern[bytes], offset: int) -> bool:
        """Whether the name at `offset` in the strings, with its NUL, matches `pattern`."""
        types = self.types
        while offset < types.start_str_off and types.base:
            types = types.base
        return pattern.match(types.strings, offset - types.start_str_off) is not None

    def name(self, offset: int) -> str:
        """The name at `offset` as the kernel prints it (__btf_name_by_offset)."""
        name = self.types.name_at(offset) if offset else b"(anon)"
        return "(invalid-name-offset)" if name is None else name.decode("utf-8", "surrogateescape")

    @property
    def number(self) -> int:
        """The number of the type that is being checked."""
        return self.types.count

    def left_after(self, at: int) -> int:
        """The bytes that remain after the struct btf_type at word `at`; negative if it is cut off."""
        return self.size - 4 * (at + WORDS)

    def log(self, errno: str, *said: str, why: str) -> InvalidBtf:
        """Return the exception for a failure that the verifier logs with `said`, a message about a type or a member.
        `why` is the same in plain words."""
        return verifier_log(errno, *said, why=why, of_split=self.types.base is not None)

    def log_type(self, at: int, text: str, why: str, *, errno: str = "EINVAL") -> InvalidBtf:
        """Return the exception for the type at word `at`, with its details in the message (btf_verifier_log_type)."""
        head = f"[{self.number}] {Kind(self.types.kind_at(at)).name} {self.name(self.types.words[at])} "
        return self.log(errno, head, *_details(self, at), " ", text, "", why=why)

    def log_basic(self, at: int, text: str, why: str) -> InvalidBtf:
        """Return the exception for the type at word `at`, with kind and name only (btf_verifier_log_basic)."""
        head = f"[{self.number}] {Kind(self.types.kind_at(at)).name} {self.name(self.types.words[at])}"
        return self.log("EINVAL", head, " ", text, "", why=why)


def _details(env: Env, at: int) -> list[str]:
    """The part of a message that follows kind and name of a type (`log_details` of struct btf_kind_operations)."""
    words, kind = env.types.words, env.types.kind_at(at)
    size = words[at + 2]
    if kind == Kind.INT:
        data = words[at + WORDS]
        encoding = ENCODINGS.get(data >> 24 & 0xF, "UNKN")
        return [f"size={size} bits_offset={data >> 16 & 0xFF} nr_bits={data & 0xFF} encoding={encoding}"]
    if kind == Kind.ARRAY:
        element, index, count = words[at + 3 : at + 6]
        return [f"type_id={element} index_type_id={index} nr_elems={count}"]
    if kind in (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.DATASEC):
        return [f"size={size} vlen={env.types.vlen_at(at)}"]
    if kind == Kind.FWD:
        return ["union" if words[at + 1] & KIND_FLAG else "struct"]
    if kind == Kind.FUNC_PROTO:
        return _arguments(env, at)
    if kind == Kind.VAR:
        return [f"type_id={size} linkage={words[at + WORDS]}"]
    if kind == Kind.FLOAT:
        return [f"size={size}"]
    if kind == Kind.DECL_TAG:
        return [f"type={size} component_idx={signed(words[at + WORDS])}"]
    return [f"type_id={size}"]


def _arguments(env: Env, at: int) -> list[str]:
    """The return type and parameters of the function type at word `at`, as messages list them (btf_func_proto_log)."""
    words, count = env.types.words, env.types.vlen_at(at)
    said = [f"return={words[at + 2]} args=("]
    first = at + WORDS
    for argument in range(min(count, _ARGUMENTS)):
        name, number = words[first + 2 * argument : first + 2 * argument + 2]
        comma = ", " if argument else ""
        is_last = argument == count - 1
        said.append(f"{comma}vararg" if is_last and not number else f"{comma}{number} {env.name(name)}")
    return [*said, *([] if count else ["void"]), ")"]
