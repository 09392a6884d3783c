# SPDX-License-Identifier: GPL-2.0-only
"""Module images out of hand-made ELF files: what they say, and that no damage to them does harm."""

from __future__ import annotations

import struct
import time
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError
from tests.support.elf_objects import Sec, elf_object


@dataclass
class MadeSection:
    """A section to put into a made file."""

    name: str
    contents: bytes = b""
    type: int = 1
    flags: int = 2
    link: int = 0
    info: int = 0
    entsize: int = 0


@dataclass
class Maker:
    """Makes an ELF object; sections get the indices 1, 2, ... in order, the symbol table the last ones."""

    bits: int = 64
    order: str = "<"
    machine: int = 62
    sections: list[MadeSection] = field(default_factory=list)
    symbols: list[tuple[str, int, int, int, int]] = field(default_factory=list)

    def add(self, name: str, contents: bytes = b"", **more: int) -> int:
        self.sections.append(MadeSection(name, contents, **more))
        return len(self.sections)

    def symbol(self, name: str, *, info: int = 0x10, shndx: int = 0, value: int = 0, size: int = 0) -> int:
        self.symbols.append((name, info, shndx, value, size))
        return len(self.symbols)

    def bytes(self) -> bytes:
        strings, table = b"\0", bytes(24 if self.bits == 64 else 16)
        for name, info, shndx, value, size in self.symbols:
            at, strings = len(strings), strings + name.encode() + b"\0"
            if self.bits == 64:
                table += struct.pack(self.order + "IBBHQQ", at, info, 0, shndx, value, size)
            else:
                table += struct.pack(self.order + "IIIBBH", at, value, size, info, 0, shndx)
        count = len(self.sections)
        sections = [
            *self.sections,
            MadeSection(".symtab", table, 2, 0, count + 2, entsize=24 if self.bits == 64 else 16),
            MadeSection(".strtab", strings, 3, 0),
        ]
        names = b"\0" + b"".join(section.name.encode() + b"\0" for section in sections) + b".shstrtab\0"
        sections.append(MadeSection(".shstrtab", names, 3, 0))
        header_size, row = (64, "IIQQQQIIQQ") if self.bits == 64 else (52, "IIIIIIIIII")
        body, rows, at = b"", [struct.pack(self.order + row, *[0] * 10)], 1
        for section in sections:
            offset = header_size + len(body)
            size = len(section.contents)
            rows.append(
                struct.pack(
                    self.order + row,
                    *(at, section.type, section.flags, 0, offset, size, section.link, section.info, 1, section.entsize),
                )
            )
            at += len(section.name.encode()) + 1
            body += section.contents
        ident = b"\x7fELF" + bytes([2 if self.bits == 64 else 1, 1 if self.order == "<" else 2, 1]) + bytes(9)
        layout = "HHIQQQIHHHHHH" if self.bits == 64 else "HHIIIIIHHHHHH"
        header = struct.pack(
            self.order + layout,
            *(1, self.machine, 1, 0, 0, header_size + len(body), 0, header_size, 0, 0),
            *(struct.calcsize("=" + row), len(rows), len(rows) - 1),
        )
        return ident + header + body + b"".join(rows)


FORMATS = [(64, "<"), (64, ">"), (32, "<"), (32, ">")]


def sample(bits: int = 64, order: str = "<") -> Maker:
    made = Maker(bits, order)
    text = made.add(".text", b"\x90" * 16, flags=6)
    made.add(".modinfo", b"license=GPL\0\0alias=a\0alias=b=c\0not a pair\0")
    requests = made.add(".export_symbol", b"GPL\0SPACE\0" + bytes(6))
    made.symbol("defined", info=0x12, shndx=text, value=4, size=8)
    made.symbol("needed")
    made.symbol("weak", info=0x20)
    made.symbol("local", info=0x00)
    made.symbol("__export_symbol_defined", info=0x00, shndx=requests)
    relocation = struct.pack(order + ("QQq" if bits == 64 else "IIi"), 8, 1 << (32 if bits == 64 else 8) | 2, -4)
    made.add(".rela.text", relocation, type=4, info=text, link=5, entsize=len(relocation))
    return made


@pytest.mark.parametrize(("bits", "order"), FORMATS)
def test_reads_every_class_and_byte_order(bits: int, order: str) -> None:
    image = ModuleImage(sample(bits, order).bytes(), "sample.o")
    assert [section.name for section in image.sections][:3] == ["", ".text", ".modinfo"]
    assert image.modinfo == (("license", "GPL"), ("alias", "a"), ("alias", "b=c"))
    assert image.modinfo_values("alias") == ("a", "b=c")
    assert [(symbol.name, symbol.bind) for symbol in image.undefined] == [("needed", 1), ("weak", 2)]
    assert image.symbols[1][1:] == ("defined", 0x12, 0, 1, 4, 8)
    [label] = [symbol for symbol in image.symbols if symbol.name == "__export_symbol_defined"]
    assert image.string_at(label.shndx, label.value + 4) == "SPACE"
    text = image.section(".text")
    assert text is not None
    assert image.relocations_of(text) == [(8, 2, 1, -4)]
    assert image.section_data(text) == b"\x90" * 16


def test_pyelftools_sees_the_same() -> None:
    image = ModuleImage(sample().bytes(), "sample.o")
    elffile = image.elffile()
    assert [section.name for section in elffile.iter_sections()] == [section.name for section in image.sections]
    names = [symbol.name for symbol in elffile.get_section_by_name(".symtab").iter_symbols()]
    assert names == [symbol.name for symbol in image.symbols]


@pytest.mark.parametrize(
    ("contents", "complaint"),
    [
        (b"", "f.o: empty file"),
        (b"int main;", "f.o: not an ELF file"),
        (b"\x7fELF\x02\x01\x01", "f.o: ELF header: unknown class"),
        (sample().bytes()[:40], "f.o: ELF header: truncated"),
        (sample().bytes()[:-100], "f.o: section headers: .* beyond the end"),
    ],
)
def test_says_what_is_wrong_with_a_file(contents: bytes, complaint: str) -> None:
    with pytest.raises(KbuildError, match=complaint):
        ModuleImage(contents, "f.o")


def test_names_the_section_that_leaves_the_file() -> None:
    contents = bytearray(sample().bytes())
    (shoff,) = struct.unpack_from("<Q", contents, 40)
    struct.pack_into("<Q", contents, shoff + 2 * 64 + 32, 1 << 40)
    with pytest.raises(KbuildError, match=r"f\.o: section \.modinfo: .* beyond the end of the file"):
        ModuleImage(bytes(contents), "f.o")


def test_a_missing_file_is_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(KbuildError, match=r"nothing\.o: No such file"):
        ModuleImage.from_path(tmp_path / "nothing.o")


def read_everything(image: ModuleImage) -> None:
    for section in image.sections:
        image.section_data(section)
        image.relocations(section) if section.type in (4, 9) else None
    _ = image.modinfo, image.undefined
    for symbol in image.symbols:
        if symbol.shndx < len(image.sections):
            image.string_at(symbol.shndx, symbol.value)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_damage_does_more_than_an_error(data: st.DataObject) -> None:
    """Whatever is overwritten or cut off: a KbuildError, or values from inside the file."""
    bits, order = data.draw(st.sampled_from(FORMATS))
    contents = bytearray(sample(bits, order).bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(contents) - 1))
        value = data.draw(st.one_of(st.binary(min_size=1, max_size=8), st.just(b"\xff" * 8), st.just(bytes(8))))
        contents[at : at + len(value)] = value
    contents = contents[: data.draw(st.one_of(st.just(len(contents)), st.integers(0, len(contents))))]
    try:
        read_everything(ModuleImage(bytes(contents), "damaged.o"))
    except KbuildError as error:
        assert str(error).startswith("damaged.o")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_behind_a_magic_do_more_than_an_error(tail: bytes) -> None:
    try:
        read_everything(ModuleImage(b"\x7fELF" + tail, "noise.o"))
    except KbuildError as error:
        assert str(error).startswith("noise.o")


def test_a_hundred_thousand_symbols_take_a_moment() -> None:
    made = sample()
    contents = bytearray(made.bytes())
    rows = struct.pack("<IBBHQQ", 1, 0x10, 0, 0, 0, 0) * 100_000
    table = Maker(sections=[MadeSection(".big", rows, 2, 0, 2), MadeSection(".str", b"\0" + b"n" * 2000 + b"\0", 3, 0)])
    contents = bytearray(table.bytes())
    (shoff,) = struct.unpack_from("<Q", contents, 40)
    struct.pack_into("<I", contents, shoff + 3 * 64 + 4, 1)  # the maker's own symbol table becomes PROGBITS
    image = ModuleImage(bytes(contents), "big.o")
    start = time.process_time()
    assert len(image.undefined) == 100_000
    assert time.process_time() - start < 3


def test_a_name_without_end_is_refused_quickly() -> None:
    rows = struct.pack("<IBBHQQ", 1, 0x10, 0, 0, 0, 0) * 1000
    made = Maker(sections=[MadeSection(".big", rows, 2, 0, 2), MadeSection(".str", b"n" * 4_000_000, 3, 0)])
    contents = bytearray(made.bytes())
    (shoff,) = struct.unpack_from("<Q", contents, 40)
    struct.pack_into("<I", contents, shoff + 3 * 64 + 4, 1)
    image = ModuleImage(bytes(contents), "endless.o")
    with pytest.raises(KbuildError, match=r"endless\.o: symbol table: a name at 0x1 has no end"):
        _ = image.undefined


def test_a_long_name_of_many_sections_is_decoded_once() -> None:
    contents = elf_object([Sec("n" * 8000, contents=b"")] * 1000, [])
    tracemalloc.start()
    image = ModuleImage(contents, "many.o")
    names = [section.name for section in image.sections]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert names.count("n" * 8000) == 1000
    assert peak < 2 << 20


def test_more_sections_than_fit_the_header_are_counted_in_the_first_one() -> None:
    contents = bytearray(sample().bytes())
    (shoff,) = struct.unpack_from("<Q", contents, 40)
    count, names = struct.unpack_from("<HH", contents, 60)
    struct.pack_into("<HH", contents, 60, 0, 0xFFFF)
    struct.pack_into("<Q", contents, shoff + 32, count)
    struct.pack_into("<I", contents, shoff + 40, names)
    assert len(ModuleImage(bytes(contents), "many.o").sections) == count
