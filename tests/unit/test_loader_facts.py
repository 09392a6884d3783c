# SPDX-License-Identifier: GPL-2.0-only
"""Facts that are missing about a kernel, and the sentences about the checks that were left out for want of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbuildpy.elf.headers import read_ehdr, read_shdrs
from kbuildpy.loader.facts import Fact, Unchecked
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.elf_index import cache_index
from kbuildpy.loader.stages.modinfo import check_vermagic
from kbuildpy.loader.stages.versions import check_modstruct_version
from tests.support.elf_objects import DATA, Sec, elf_object
from tests.support.loader_info import load_info, sentences

NO_COMPILER = "gcc-12: program not found"
MISSING = {Fact.VERMAGIC: NO_COMPILER, Fact.STRUCT_MODULE: NO_COMPILER, Fact.EXPORTS: "Module.symvers is not there"}
CONTENTS = elf_object([Sec(".gnu.linkonce.this_module", DATA, bytes(128))], [], modinfo=b"name=m\0vermagic=6.12 SMP \0")


def module(**known: object) -> LoadInfo:
    """A module, and a kernel of which nothing but `known` is known."""
    kernel = replace(LoaderKernel("6.12", (6, 12, 117), "x86_64"), **known)  # type: ignore[arg-type]
    info = load_info(CONTENTS, kernel)
    info.hdr = read_ehdr(CONTENTS)
    info.sechdrs = read_shdrs(CONTENTS, info.hdr)
    info.index.info = info.find_any_sec(".modinfo")
    return info


def test_a_check_that_is_left_out_names_the_fact_and_why_it_is_missing() -> None:
    info = module(missing=MISSING)
    cache_index(info)
    check_vermagic(info)
    check_modstruct_version(info)
    assert sentences(info) == [
        f"the size of struct module: the layout of struct module is not known ({NO_COMPILER})",
        f"vermagic: the kernel's vermagic is not known ({NO_COMPILER})",
        "versions of symbols: the exported symbols are not known (Module.symvers is not there)",
    ]


def test_each_fact_has_its_own_reason() -> None:
    info = module(missing={Fact.VERMAGIC: "it was not found in vmlinuz", Fact.STRUCT_MODULE: "no module tells it"})
    cache_index(info)
    check_vermagic(info)
    assert [item.reason for item in info.journal.unchecked] == ["no module tells it", "it was not found in vmlinuz"]


def test_without_a_reason_the_fact_alone_is_named() -> None:
    info = module()
    check_vermagic(info)
    assert sentences(info) == ["vermagic: the kernel's vermagic is not known"]


@pytest.mark.parametrize(
    ("unchecked", "sentence"),
    [
        (Unchecked("the signature", Fact.CERTIFICATES), "the signature: the built-in certificates are not known"),
        (Unchecked("retpoline", reason="it depends on the machine"), "retpoline: it depends on the machine"),
        (Unchecked("its BTF"), "its BTF"),
    ],
)
def test_a_sentence_is_made_of_what_is_known(unchecked: Unchecked, sentence: str) -> None:
    assert unchecked.sentence == sentence


def test_a_check_is_noted_once() -> None:
    info = module(missing=MISSING)
    check_vermagic(info)
    check_vermagic(info)
    assert len(info.journal.unchecked) == 1
