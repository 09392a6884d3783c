# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel shows of modules that it has loaded: size, taints, where their sections are, and whom they need.

The sample modules, and fifty of the distribution's own: those that are large, need many others, have variables for each
processor, or much that is for init only. Each is loaded after what the check says that it requires, in the order in
which it says so.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from kbuildpy.compression import decompress
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.module_files import module_name
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_module import load_module
from kbuildpy.loader.verdict import Verdict
from kbuildpy.vm.machine import machine_for
from tests.support.arm64 import LINES
from tests.support.foreign_trees import FOREIGN
from tests.support.guest_kernels import image_of
from tests.support.kernel_trees import swept
from tests.support.loading import in_dependency_order
from tests.support.packages import NEWEST
from tests.support.riscv64 import RISCV64_LINES
from tests.support.samples import built_samples
from tests.support.shipped_kernels import ShippedKernel, shipped_kernel
from tests.vm.loaded import Shown, load_all, predicted

pytestmark = pytest.mark.vm

SHIPPED = 50
EACH = 13
"""Modules of each of four kinds; not all of them find what they need in a virtual machine."""
PLACES = re.compile(r"kernel/(fs|net|crypto|lib|block|sound|drivers/(net|usb|input|hid|media|block|md|scsi))/")
UNWANTED = re.compile(r"test|torture|bench|kunit|dummy_hcd|netconsole|raid6_pq|pktgen|mdio")
"""Modules that do more when they are loaded than to wait for somebody who needs them."""


class Pair(NamedTuple):
    """What the kernel showed, and what we said."""

    shown: Shown
    verdict: Verdict


class Boot(NamedTuple):
    """The pairs of all modules that were loaded."""

    kernel: LoaderKernel
    samples: list[Pair]
    shipped: list[Pair]


@pytest.fixture(scope="module", params=["6.12-arm64", *swept("6.12", "6.1", NEWEST, "arm64", *RISCV64_LINES, *FOREIGN)])
def booted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Boot:
    """One boot of a kernel with samples and, where it is this machine's, with shipped modules."""
    kernel = shipped_kernel(request.param)
    machine = machine_for(architecture_of(kernel.tree))
    if shutil.which(machine.qemu) is None:
        pytest.skip(f"{machine.qemu} is not installed")
    built = in_dependency_order(built_samples(kernel.tree, tmp_path_factory))
    samples = [(module_name(path.name), path.read_bytes()) for path in built]
    others = [] if request.param in (*LINES, *RISCV64_LINES, *FOREIGN) else with_required(kernel, chosen(kernel))
    image = image_of(kernel.tree)
    shown = load_all(image, [*samples, *others], timeout=550)
    said = predicted(kernel.by_tree, [*samples, *others], shown)
    pairs = [Pair(*both) for both in zip(shown, said, strict=True)]
    return Boot(kernel.by_tree, pairs[: len(samples)], [pair for pair in pairs[len(samples) :] if pair.shown.line])


def chosen(kernel: ShippedKernel) -> list[Path]:
    """Modules that differ in what makes up their size."""
    files = [file for file in kernel.modules if PLACES.search(str(file)) and not UNWANTED.search(file.name)]
    files = [file for file in files if file.stat().st_size < 1_500_000]
    verdicts = {file: load_module(decompress(file.read_bytes()), kernel.by_tree)[0] for file in files[::8]}

    def largest(measure: object) -> Iterable[Path]:
        return sorted(verdicts, key=measure, reverse=True)[:EACH]  # type: ignore[call-overload, no-any-return]

    wanted = [
        *largest(lambda file: sum(item.size for item in verdicts[file].sections if item.memory == "percpu")),
        *largest(lambda file: len(verdicts[file].requires)),
        *largest(lambda file: sum(item.size for item in verdicts[file].sections if item.section.startswith(".init"))),
        *largest(lambda file: verdicts[file].size or 0),
    ]
    return list(dict.fromkeys(wanted))


def with_required(kernel: ShippedKernel, files: Iterable[Path]) -> list[tuple[str, bytes]]:
    """The modules in `files`, each after those that the check says that it requires; each once."""
    found: dict[str, bytes] = {}
    for file in files:
        contents = decompress(file.read_bytes())
        for name in load_module(contents, kernel.by_tree)[0].requires:
            if name not in found:
                assert kernel.by_tree.own_modules is not None
                found[name] = kernel.by_tree.own_modules.contents(name) or b""
        found.setdefault(module_name(file.name), contents)
    return list(found.items())


def test_enough_modules_are_loaded(booted: Boot) -> None:
    assert len(booted.samples) >= 7
    assert all(pair.shown.status == 0 for pair in booted.samples)
    if booted.kernel.machine == "x86_64":
        print(f"{booted.kernel.release}: {len(booted.shipped)} shipped modules")
        assert len(booted.shipped) >= SHIPPED
        kinds = {item.memory for pair in booted.shipped for item in pair.verdict.sections}
        assert "percpu" in kinds


def test_every_module_is_accepted_after_what_it_requires(booted: Boot) -> None:
    for pair in booted.samples + booted.shipped:
        assert pair.verdict.accepted, (pair.shown.name, pair.verdict.reason)


def test_sizes_are_as_predicted(booted: Boot) -> None:
    wrong = {
        pair.shown.name: (pair.shown.size, pair.verdict.size)
        for pair in booted.samples + booted.shipped
        if pair.shown.size != pair.verdict.size
    }
    assert wrong == {}


def test_taints_are_as_predicted(booted: Boot) -> None:
    wrong = {
        pair.shown.name: (pair.shown.taints, pair.verdict.module_taints)
        for pair in booted.samples + booted.shipped
        if pair.shown.taints != pair.verdict.module_taints
    }
    assert wrong == {}
    assert {pair.shown.taints for pair in booted.samples} == {"OE"}


def test_sections_are_where_they_were_predicted_within_their_memory(booted: Boot) -> None:
    """The block of each type of memory begins where a page does; only how far sections are from there is known."""
    compared, page_size = 0, 1 << 16 if booted.kernel.has("PPC_64K_PAGES") else 1 << 12
    for pair in booted.samples + booted.shipped:
        blocks: dict[str, set[int]] = {}
        for item in pair.verdict.sections:
            if item.section in pair.shown.sections and item.memory != "percpu":
                blocks.setdefault(item.memory, set()).add(pair.shown.sections[item.section] - item.offset)
                compared += 1
        for memory, starts in blocks.items():
            [start] = starts
            assert start % page_size == 0, (pair.shown.name, memory)
        assert len(set(map(frozenset, blocks.values()))) == len(blocks), pair.shown.name
    assert compared >= 10 * len(booted.samples)


def test_every_section_that_the_kernel_shows_was_predicted(booted: Boot) -> None:
    for pair in booted.samples + booted.shipped:
        assert set(pair.shown.sections) <= {item.section for item in pair.verdict.sections}, pair.shown.name
