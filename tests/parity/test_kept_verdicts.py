# SPDX-License-Identifier: GPL-2.0-only
"""A verdict that was kept is the one that the stages give: for real modules and damaged ones, by real kernels and by
kernels that differ from these in one fact.

The oracle is `load_module`, which knows of nothing that is kept. The first kernels fill the store, so most of the
others find what another kernel's verdict left there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kbuildpy.compression import decompress
from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import SHN_LORESERVE, SHN_UNDEF, STB_WEAK
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.module_files import packed_head
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.loader.check import Check, Checker
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.kept import judge as judge_file
from kbuildpy.loader.kept import symbols_again
from kbuildpy.loader.kept.judge import Judge
from kbuildpy.loader.kept.store import VerdictStore
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_tree import kernel_from_tree
from kbuildpy.loader.load_module import NO_MODULES, load_module
from kbuildpy.loader.loaded import Loaded, ModuleExport, Modules
from kbuildpy.loader.verdict import Verdict
from kbuildpy.signing.trailer import without_signatures
from tests.fuzz.damage import damaged
from tests.support.changed_kernels import changed_kernels
from tests.support.editable_trees import tree_with_own_makefiles
from tests.support.kernel_trees import swept
from tests.support.samples import built_samples
from tests.support.shipped_kernels import NATIVE, ShippedKernel, others_of, shipped_kernel

pytestmark = pytest.mark.parity

MANY = 60
DAMAGED, MANY_DAMAGED = 150, 5000
OTHER_ARGS = "no_such_parameter=1"

of_each_line = pytest.mark.parametrize("line", NATIVE)
Row = list[tuple[Verdict, Modules]]
Call = tuple[LoaderKernel, str]
"""A kernel, and the arguments."""


@pytest.mark.parametrize("line", ["6.1", *swept("6.12", "7.3")])
def test_a_kernel_with_another_fact_has_its_own_verdict(line: str, tmp_path: Path) -> None:
    shipped = shipped_kernel(line)
    assert_as_by_the_stages(shipped, line, subjects(shipped), tmp_path)


def test_so_has_one_that_is_asked_for_keys_and_types(tmp_path: Path) -> None:
    shipped = shipped_kernel("6.12")
    file = next(file for file in shipped.modules if file.name.startswith("crc8."))
    assert_as_by_the_stages(shipped, "6.12", {file.name: file.read_bytes()}, tmp_path)


@pytest.mark.sweep
@of_each_line
def test_each_of_many_modules_has_it(line: str, tmp_path: Path) -> None:
    shipped = shipped_kernel(line)
    small = [file for file in shipped.sample(400) if file.stat().st_size < 100_000]
    files = small[:: max(len(small) // MANY, 1)][:MANY]
    assert_as_by_the_stages(shipped, line, {file.name: file.read_bytes() for file in files}, tmp_path)


@pytest.mark.parametrize("line", ["6.12", *swept("6.1", "7.3")])
def test_damaged_modules_have_the_same_verdict(line: str, tmp_path: Path) -> None:
    assert_as_by_the_stages_when_damaged(line, tmp_path, DAMAGED)


@pytest.mark.sweep
@of_each_line
def test_thousands_of_damaged_modules_have_it(line: str, tmp_path: Path) -> None:
    assert_as_by_the_stages_when_damaged(line, tmp_path, MANY_DAMAGED)


def test_modules_that_are_loaded_before_count(tmp_path: Path) -> None:
    kernel = shipped_kernel("6.1")
    file = next(file for file in kernel.modules if file.name.startswith("crc8."))
    packed = file.read_bytes()
    contents, head = decompress(packed), packed_head(packed)
    verdict, after = load_module(contents, kernel.by_tree)
    assert verdict.accepted and verdict.exports
    own = after.loaded[0]
    others = [
        NO_MODULES,
        after,
        Modules((replace(own, name="other"),)),
        Modules(refused=("other",)),
        Modules((Loaded("other", exports={"printk": ModuleExport(1, False, "")}),)),
    ]
    store = VerdictStore(tmp_path)
    for _ in range(2):
        judge = Judge([kernel.by_tree], store)
        module = judge.open(file)
        for modules in others:
            expected = load_module(contents, kernel.by_tree, modules, file=str(file), packed=head)
            assert judge.judge(module, 0, modules, "") == expected
        judge.keep(module)


def test_verdicts_on_a_module_with_very_many_symbols_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = shipped_kernel("6.1")
    file = tmp_path / "m.ko"
    file.write_bytes(subjects(shipped)["exports"])
    monkeypatch.setattr(symbols_again, "MOST_SYMBOLS", len(undefined_in(file)) - 1)
    calls = [(shipped.by_tree, "")]
    for _ in range(2):
        rows, looked_up = by_the_judge(file, calls, VerdictStore(tmp_path))
        assert_same(rows, by_the_stages(file, calls))
        assert not looked_up


@pytest.mark.parametrize("line", ["6.1", *swept("6.12", "7.3")])
def test_there_is_a_question_for_all_that_is_read_for_sound_modules(
    line: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    unasked: list[str] = []

    def by_stages_alone(*args: Any, file: str, **options: Any) -> tuple[Verdict, Modules]:
        unasked.append(file)
        return load_module(*args, file=file, **options)

    # (any exception of a watched stage leads here, one of a question that is wrong as well)
    monkeypatch.setattr(judge_file, "load_module", by_stages_alone)
    shipped = shipped_kernel(line)
    samples = built_samples(shipped.tree, tmp_path_factory)
    files = (*samples, *(file for file in shipped.sample(400)[::10] if file.stat().st_size < 100_000))
    kernels = (
        *(shipped.by_tree, shipped.by_image, *(other.by_tree for other in others_of(line))),
        replace(shipped.by_tree, vermagic=f"{shipped.by_tree.vermagic}preempt_other "),
        replace(shipped.by_tree, config=None, missing={Fact.CONFIG: "a reason"}),
    )
    for _ in range(2):
        checker = Checker(Check(files, kernels, {}), VerdictStore(tmp_path))
        rows = {file: checker.check(file) for file in files}
        assert all(rows[file][0].accepted for file in samples)
        assert not unasked


def test_types_that_could_not_be_read_once_are_read_the_next_time(tmp_path: Path) -> None:
    def unreadable() -> None:
        raise KbuildError("too many open files")

    shipped = shipped_kernel("6.12")
    file = next(file for file in shipped.modules if file.name.startswith("crc8."))
    for kernel in (replace(shipped.by_tree, own_types=unreadable), shipped.by_tree):
        rows, _ = by_the_judge(file, [(kernel, "")], VerdictStore(tmp_path))
        assert_same(rows, by_the_stages(file, [(kernel, "")]))


@pytest.mark.parametrize("section", [SHN_LORESERVE - 1, SHN_LORESERVE, 1])
def test_symbol_0_counts_where_the_kernel_looks_at_it(section: int, tmp_path: Path) -> None:
    shipped = shipped_kernel("6.1")
    module = bytearray(subjects(shipped)["exports"])
    table = ModuleImage(bytes(module), "m.ko").section(".symtab")
    assert table is not None
    module[table.offset + 6 : table.offset + 8] = section.to_bytes(2, "little")
    file = tmp_path / "m.ko"
    file.write_bytes(module)
    calls = [(kernel, "") for _, kernel in changed_kernels(shipped.by_tree)]
    expected = by_the_stages(file, calls)
    assert len({verdict.errno for verdict, _ in expected}) > 1
    for _ in range(2):
        rows, _ = by_the_judge(file, calls, VerdictStore(tmp_path))
        assert_same(rows, expected)


def test_a_symvers_that_has_changed_is_noticed(tmp_path: Path) -> None:
    shipped = shipped_kernel("6.1")
    tree = tree_with_own_makefiles(shipped.tree, tmp_path / "tree")
    sound = tree.symvers.read_text()
    file = tmp_path / "m.ko"
    file.write_bytes(subjects(shipped)["exports"])

    def verdict() -> Verdict:
        kernel = kernel_from_tree(open_tree(tree.objects), root=shipped.root)
        rows, _ = by_the_judge(file, [(kernel, "")], VerdictStore(tmp_path))
        return rows[0][0]

    assert verdict().accepted
    used = sorted(name for name in undefined_in(file) if f"\t{name}\tvmlinux\t" in sound)[0]
    # (of the same length, as a CRC that has changed is)
    other = "".join(
        f"0x00000001{line[10:]}" if f"\t{used}\t" in line else line for line in sound.splitlines(keepends=True)
    )
    tree.symvers.unlink()
    tree.symvers.write_text(other)
    assert (verdict().errno, verdict().log) == ("EINVAL", f"{name_of(file)}: disagrees about version of symbol {used}")
    tree.symvers.write_text(sound)
    assert verdict().accepted


def subjects(shipped: ShippedKernel) -> dict[str, bytes]:
    """Modules of the distribution, small ones, for all that a module may ask of its kernel."""
    signs = {
        "imports a namespace": b"\0import_ns=",
        "is staged": b"\0staging=",
        # (7.3 has one table of exports, older kernels have two)
        "exports": b"__ksymtab",
        "takes parameters": b"\0parmtype=",
    }
    found: dict[str, bytes] = {}
    for file in shipped.modules:
        if file.stat().st_size < 60_000 and len(found) < len(signs):
            contents = without_signatures(decompress(file.read_bytes()))
            name = next((name for name, sign in signs.items() if sign in contents and name not in found), "")
            if name:
                found[name] = contents
    assert found.keys() == signs.keys()
    found["is foreign"] = of_somebody_else(found["takes parameters"])
    return found


def of_somebody_else(contents: bytes) -> bytes:
    """The module as one that was not built with its kernel, with weak symbols among those that are undefined."""
    module = bytearray(contents.replace(b"\0intree=Y\0", b"\0notree=Y\0"))
    image = ModuleImage(contents, "m.ko")
    table = image.section(".symtab")
    assert table is not None
    for number, (_, st_info, _, st_shndx, _, _) in enumerate(image.symbols.rows):
        if number and st_shndx == SHN_UNDEF and number % 2:
            module[table.offset + 24 * number + 4] = STB_WEAK << 4 | st_info & 15
    return bytes(module)


def assert_as_by_the_stages(shipped: ShippedKernel, line: str, modules: Mapping[str, bytes], place: Path) -> None:
    kernels = [kernel for _, kernel in changed_kernels(shipped.by_tree)]
    kernels += [other.by_tree for other in others_of(line)]
    assert len(kernels) > 75
    # (in another order, so that other kernels' verdicts are found)
    Random(line).shuffle(kernels)
    calls = [*((kernel, "") for kernel in kernels), *((kernel, OTHER_ARGS) for kernel in kernels[:3])]
    found = 0
    for number, (name, contents) in enumerate(modules.items()):
        file = place / f"{number}.ko"
        file.write_bytes(contents)
        expected = by_the_stages(file, calls)
        assert {verdict.accepted for verdict, _ in expected} == {True, False}
        for _ in range(2):
            rows, looked_up = by_the_judge(file, calls, VerdictStore(place))
            assert_same(rows, expected, name)
        found += looked_up
    print(f"{line}: {found} of {len(modules) * len(calls)} looked up")
    assert found > len(modules) * len(calls) * 0.9


def assert_as_by_the_stages_when_damaged(line: str, place: Path, count: int) -> None:
    shipped = shipped_kernel(line)
    kernels = [shipped.by_tree, *(other.by_tree for other in others_of(line))]
    small = [file for file in shipped.sample(400) if file.stat().st_size < 60_000][:40]
    sound = [decompress(file.read_bytes()) for file in small]
    modules = [*(without_signatures(module) for module in sound), *sound[:4]]
    calls = [(kernel, "") for kernel in kernels]
    found = accepted = 0
    for number in range(count):
        chance = Random(f"{line} {number}")
        contents, names = damaged(chance.choice(modules), chance)
        file = place / f"{number}.ko"
        file.write_bytes(contents)
        expected = by_the_stages(file, calls)
        for _ in range(2):
            rows, looked_up = by_the_judge(file, calls, VerdictStore(place))
            assert_same(rows, expected, str(names))
        found += looked_up
        accepted += expected[0][0].accepted
        file.unlink()
    print(f"{line}: {found} of {count * len(kernels)} looked up, {accepted} of {count} accepted")
    assert found > count * len(kernels) * 0.8
    assert 0 < accepted < count


def by_the_stages(file: Path, calls: Iterable[Call]) -> Row:
    packed = file.read_bytes()
    contents, head = decompress(packed), packed_head(packed)
    return [load_module(contents, kernel, args=args, file=str(file), packed=head) for kernel, args in calls]


def by_the_judge(file: Path, calls: Sequence[Call], store: VerdictStore) -> tuple[Row, int]:
    """The verdicts, and how many of them were found without the module's contents."""
    judge = Judge([kernel for kernel, _ in calls], store)
    module = judge.open(file)
    rows = []
    looked_up = 0
    for number, (_, args) in enumerate(calls):
        module.__dict__.pop("contents", None)
        rows.append(judge.judge(module, number, NO_MODULES, args))
        looked_up += "contents" not in module.__dict__
    judge.keep(module)
    return rows, looked_up


def undefined_in(file: Path) -> list[str]:
    symbols = ModuleImage.from_path(file).symbols
    return [symbols.name(number) for number, row in enumerate(symbols.rows) if number and row[3] == SHN_UNDEF]


def name_of(file: Path) -> str:
    (name,) = ModuleImage.from_path(file).modinfo_values("name")
    return name


def assert_same(found: Row, expected: Row, what: str = "") -> None:
    for (verdict, modules), (by_stages, loaded) in zip(found, expected, strict=True):
        assert verdict == by_stages, what
        assert verdict.to_json() == by_stages.to_json()
        assert modules == loaded
