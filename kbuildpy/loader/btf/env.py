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
"""Of an int, as the kernel prints them."""

# KSYM_NAME_LEN characters at most; letters are those of Latin-1 (lib/ctype.c), and a full stop.
_LETTERS = rb"A-Za-z_.\xc0-\xd6\xd8-\xf6\xf8-\xff"
IDENTIFIER = re.compile(rb"[" + _LETTERS + rb"][0-9" + _LETTERS + rb"]{0,511}\0")
SECTION = re.compile(rb"[\x20-\x7e\xa0-\xff]{1,512}\0")
_ARGUMENTS = 10_000  # more than the kernel's log has room for


@dataclass(eq=False)
class Env:
    """struct btf_verifier_env: the types so far, and the rules of the kernel's version."""

    types: BtfTypes
    size: int
    tag_flags: bool
    section_name: re.Pattern[bytes]

    def has_name_at(self, offset: int) -> bool:
        """btf_name_offset_valid"""
        types = self.types
        return offset <= MAX_NAME_OFFSET and offset < types.start_str_off + len(types.strings)

    def is_identifier(self, offset: int) -> bool:
        """btf_name_valid_identifier"""
        return self.fits(IDENTIFIER, offset)

    def fits(self, pattern: re.Pattern[bytes], offset: int) -> bool:
        """Whether the name at `offset` looks like that."""
        types = self.types
        while offset < types.start_str_off and types.base:
            types = types.base
        return pattern.match(types.strings, offset - types.start_str_off) is not None

    def name(self, offset: int) -> str:
        """As it is printed (__btf_name_by_offset)."""
        name = self.types.name_at(offset) if offset else b"(anon)"
        return "(invalid-name-offset)" if name is None else name.decode("utf-8", "surrogateescape")

    @property
    def number(self) -> int:
        """The type that is checked."""
        return self.types.count

    def left_after(self, at: int) -> int:
        """The bytes of the types behind the three words of the one at `at`."""
        return self.size - 4 * (at + WORDS)

    def log(self, errno: str, *said: str) -> InvalidBtf:
        """The exception where the verifier logs `said` about a type, or about a member of one."""
        return verifier_log(errno, *said, of_split=self.types.base is not None)

    def log_type(self, at: int, text: str, *, errno: str = "EINVAL") -> InvalidBtf:
        """btf_verifier_log_type"""
        head = f"[{self.number}] {Kind(self.types.kind_at(at)).name} {self.name(self.types.words[at])} "
        return self.log(errno, head, *_details(self, at), " ", text, "")

    def log_basic(self, at: int, text: str) -> InvalidBtf:
        """btf_verifier_log_basic"""
        head = f"[{self.number}] {Kind(self.types.kind_at(at)).name} {self.name(self.types.words[at])}"
        return self.log("EINVAL", head, " ", text, "")


def _details(env: Env, at: int) -> list[str]:
    """The part of a message behind kind and name of a type: log_details of its kind."""
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
    """btf_func_proto_log"""
    words, count = env.types.words, env.types.vlen_at(at)
    said = [f"return={words[at + 2]} args=("]
    first = at + WORDS
    for argument in range(min(count, _ARGUMENTS)):
        name, number = words[first + 2 * argument : first + 2 * argument + 2]
        comma = ", " if argument else ""
        is_last = argument == count - 1
        said.append(f"{comma}vararg" if is_last and not number else f"{comma}{number} {env.name(name)}")
    return [*said, *([] if count else ["void"]), ")"]
