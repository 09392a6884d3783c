# SPDX-License-Identifier: GPL-2.0-only
"""Facts of modules on disk: what is damaged, old or of another file is not believed, and what is not understood is not
kept. (tests/parity/test_kept_verdicts.py compares the verdicts with those of the stages.)"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import write_json
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.kept import judge as judge_file
from kbuildpy.loader.kept import store as store_file
from kbuildpy.loader.kept.facts import Facts, beginning_to_json, new_facts
from kbuildpy.loader.kept.forms import loaded_to_json
from kbuildpy.loader.kept.judge import Judge
from kbuildpy.loader.kept.questions import Answers
from kbuildpy.loader.kept.store import VerdictStore, code_state, open_store, shrink
from kbuildpy.loader.kept.watch import Inquiry, Unwatched, watched_kernel, watched_modules
from kbuildpy.loader.kernel import KernelExport, LoaderKernel
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.load_module import NO_MODULES, load_module
from kbuildpy.loader.loaded import Loaded, Modules
from kbuildpy.loader.verdict import Verdict
from tests.support.loader_info import AllBut

KERNEL = LoaderKernel("6.1.0-test", (6, 1), "x86_64", config={}, exports=AllBut())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that each kernel refuses."""
    path = tmp_path / "m.ko"
    path.write_bytes(b"a module".ljust(100))
    return path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[LoadInfo]:
    """Grows with each module whose stages are run."""
    found: list[LoadInfo] = []

    def counted(name: str) -> Callable[..., Any]:
        function = getattr(judge_file, name)

        def call(*args: Any, **options: Any) -> Any:
            found.append(args[0])
            return function(*args, **options)

        return call

    monkeypatch.setattr(judge_file, "begin", counted("begin"))
    monkeypatch.setattr(judge_file, "load_module", counted("load_module"))
    return found


def verdict_on(path: Path, place: Path, kernel: LoaderKernel = KERNEL) -> Verdict:
    judge = Judge([kernel], VerdictStore(place))
    module = judge.open(path)
    verdict, _ = judge.judge(module, 0, NO_MODULES, "")
    judge.keep(module)
    return verdict


def kept_in(place: Path) -> Path:
    [found] = (path for path in (place / "check").rglob("*") if path.is_file())
    return found


def test_the_second_verdict_is_looked_up(file: Path, tmp_path: Path, runs: list[LoadInfo]) -> None:
    expected, _ = load_module(file.read_bytes(), KERNEL, file=str(file))
    assert [verdict_on(file, tmp_path) for _ in range(3)] == [expected] * 3
    assert len(runs) == 1


def test_another_kernel_with_the_same_answers_has_it_with_its_own_release(
    file: Path, tmp_path: Path, runs: list[LoadInfo]
) -> None:
    verdict_on(file, tmp_path)
    other = replace(KERNEL, release="6.1.0-other", version=(6, 1, 7))
    assert verdict_on(file, tmp_path, other) == replace(verdict_on(file, tmp_path), kernel="6.1.0-other")
    assert len(runs) == 1


def test_a_file_with_other_contents_of_the_same_size_and_time_has_its_own(file: Path, tmp_path: Path) -> None:
    first = verdict_on(file, tmp_path)
    state = file.stat()
    file.write_bytes(b"\x7fELF".ljust(100))
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    second = verdict_on(file, tmp_path)
    assert (first.reason, second.reason) == ("this is no ELF file", "this is not a relocatable file")


def test_damaged_facts_are_made_again(file: Path, tmp_path: Path, runs: list[LoadInfo]) -> None:
    expected = verdict_on(file, tmp_path)
    kept = kept_in(tmp_path)
    sound = kept.read_bytes()
    chance = Random(1)
    for number in range(60):
        damaged = bytearray(sound)
        damaged[chance.randrange(len(sound))] ^= 1 << chance.randrange(8)
        kept.write_bytes(damaged if number % 2 else damaged[: chance.randrange(len(sound))])
        assert verdict_on(file, tmp_path) == expected
        assert kept.read_bytes() == sound
    assert len(runs) == 61


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(beginnings=[{}]),
        lambda value: value.update(beginnings=None),
        lambda value: value.update(needs=3),
        lambda value: value["beginnings"][0].update(asked=["no such question", True]),
        lambda value: value["beginnings"][0].update(places=[[["only a name"]], {}]),
        lambda value: value["beginnings"][0]["verdict"].update(unchecked=[[1]]),
        lambda value: value["beginnings"][0].update(verdict=None),
    ],
)
def test_facts_of_another_form_are_made_again(
    file: Path, tmp_path: Path, runs: list[LoadInfo], change: Callable[[dict[str, Any]], None]
) -> None:
    expected = verdict_on(file, tmp_path)
    kept = kept_in(tmp_path)
    value = json.loads(kept.read_bytes().rpartition(b"\n")[0])
    change(value)
    write_json(kept, value)
    assert verdict_on(file, tmp_path) == expected
    assert len(runs) == 2


def test_facts_of_another_module_are_not_read(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.ko"
    other.write_bytes(b"\x7fELF".ljust(100))
    expected = verdict_on(file, tmp_path)
    kept = kept_in(tmp_path)
    foreign = tmp_path / "foreign"
    verdict_on(other, foreign)
    kept.write_bytes(kept_in(foreign).read_bytes())
    assert verdict_on(file, tmp_path) == expected


def test_what_other_code_has_kept_is_not_read(
    file: Path, tmp_path: Path, runs: list[LoadInfo], monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict_on(file, tmp_path)
    monkeypatch.setattr(store_file, "code_state", lambda: "other")
    verdict_on(file, tmp_path)
    assert len(runs) == 2


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a source file in each room."""
    place = tmp_path / "package"
    for file in ("main.py", "elf/image.py", "kernel/tree.py", "loader/stages/stage.py", "signing/verify.py"):
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_text("1")
    monkeypatch.setattr(store_file, "_PACKAGE", place)
    return place


def test_an_edit_of_a_stage_changes_the_state_of_the_code(package: Path) -> None:
    stage = package / "loader/stages/stage.py"
    before = code_state()
    assert before and code_state() == before
    stage.write_text("2")
    os.utime(stage, ns=(0, 1))
    assert code_state() != before


def test_so_does_one_of_the_same_size_and_modification_time(package: Path) -> None:
    stage = package / "loader/stages/stage.py"
    before, status = code_state(), stage.stat()
    time.sleep(0.02)  # (the clock of ctime may tick 100 times a second only)
    stage.write_text("2")
    os.utime(stage, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert stage.stat().st_mtime_ns == status.st_mtime_ns
    assert code_state() != before


def test_code_that_changes_while_verdicts_are_given_keeps_none(file: Path, tmp_path: Path, package: Path) -> None:
    store = VerdictStore(tmp_path / "cache", code_state())
    judge = Judge([KERNEL], store)
    module = judge.open(file)
    judge.judge(module, 0, NO_MODULES, "")
    (package / "signing/verify.py").write_text("other code")
    judge.keep(module)
    assert not (tmp_path / "cache").exists()


def test_the_state_of_the_code_is_that_at_import(
    tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    store = open_store()
    assert store is not None
    store.write("ab" * 32, {})
    assert not (tmp_path / "cache/check").exists()


def test_without_source_files_nothing_is_kept(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("main.py", "loader/stages/stage.py"):
        source = package / room
        compiled = source.rename(source.with_suffix(".pyc"))
        assert code_state() == ""
        with pytest.raises(KbuildError):
            VerdictStore(tmp_path)
        compiled.rename(source)
    assert code_state()
    monkeypatch.setattr(store_file, "_CODE_AT_IMPORT", "")
    assert open_store() is None


def test_the_facts_of_the_oldest_code_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        monkeypatch.setattr(store_file, "code_state", lambda number=number: f"code{number}")
        VerdictStore(tmp_path).write("ab" * 32, {})
        os.utime(tmp_path / f"check/code{number}", ns=(number, number))
    assert sorted(path.name for path in (tmp_path / "check").iterdir()) == ["code5", "code6", "code7", "code8"]


def test_a_shard_keeps_the_newest_files_that_there_is_room_for(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / str(number)).write_bytes(bytes(100))
        os.utime(tmp_path / str(number), ns=(number, number))
    shrink(tmp_path, most=350)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7", "8", "9"]


def test_very_large_facts_are_not_kept(tmp_path: Path) -> None:
    store = VerdictStore(tmp_path)
    store.write("ab" * 32, {"needs": ["x" * store_file.MOST_OF_MODULE]})
    assert store.read("ab" * 32) is None


def test_two_writers_leave_one_whole_file(tmp_path: Path) -> None:
    one, two = VerdictStore(tmp_path), VerdictStore(tmp_path)
    one.write("ab" * 32, {"needs": ["one"]})
    two.write("ab" * 32, {"needs": ["two"]})
    value = one.read("ab" * 32)
    assert value is not None and value["needs"] == ["two"]


def test_each_of_very_many_endings_has_its_own_loaded_module() -> None:
    facts = Facts(new_facts(()))
    beginning = facts.add_beginning(beginning_to_json(Inquiry(), "", ((), {}), verdict=None, state=None))
    for number in range(400):
        # (the oldest endings are forgotten meanwhile, and their memory is used again)
        loaded = Loaded(f"m{number}") if number % 200 >= 100 else None
        facts.add_ending(beginning, {"loaded": loaded_to_json(loaded)})
        assert beginning.loaded(beginning.value["endings"][-1]) == loaded


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_the_folders_of_kept_verdicts_are_their_users_alone(file: Path, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        verdict_on(file, tmp_path)
    finally:
        os.umask(before)
    folders = [path for path in (tmp_path / "check", *(tmp_path / "check").rglob("*")) if path.is_dir()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in folders] == [0o700] * 3


def test_a_cache_that_cannot_be_written_changes_no_verdict(file: Path, tmp_path: Path) -> None:
    (tmp_path / "check").write_bytes(b"")
    assert not verdict_on(file, tmp_path).accepted


def test_a_kernel_whose_keys_cannot_be_read_is_judged_by_the_stages(tmp_path: Path, runs: list[LoadInfo]) -> None:
    def no_keys() -> Any:
        raise KbuildError("the image is damaged")

    signed = tmp_path / "signed.ko"
    signed.write_bytes(bytes(100) + b"\0\0\2\0\0\0\0\0\0\0\0\x28~Module signature appended~\n")
    kernel = replace(KERNEL, config={"CONFIG_MODULE_SIG": "y"}, keyring=no_keys)
    expected, _ = load_module(signed.read_bytes(), kernel, file=str(signed))
    assert [item.fact for item in expected.unchecked] == [Fact.CERTIFICATES]
    for count in (2, 4):
        assert verdict_on(signed, tmp_path, kernel) == expected
        assert len(runs) == count


def test_types_that_cannot_be_read_once_end_the_watched_stages() -> None:
    states = iter(["too many open files", ""])

    def types() -> None:
        if state := next(states):
            raise KbuildError(state)

    kernel = watched_kernel(Answers(replace(KERNEL, own_types=types, types_identity=lambda: "digest")), Inquiry())
    assert kernel.own_types is not None
    with pytest.raises(Unwatched):
        kernel.own_types()
    assert kernel.own_types() is None


def test_every_field_of_a_kernel_is_answered_and_nothing_else(tmp_path: Path) -> None:
    inquiry = Inquiry()
    kernel = watched_kernel(Answers(replace(KERNEL, own_types=lambda: None, types_identity=lambda: "")), inquiry)
    left_out = {"types_identity"}
    for field in fields(LoaderKernel):
        if field.name in left_out:
            with pytest.raises(Unwatched):
                getattr(kernel, field.name)
            continue
        before = len(inquiry.kernel)
        value = getattr(kernel, field.name)
        if field.name == "version":
            assert value >= (6, 1) and value[:2] == (6, 1)
        if field.name == "missing":
            assert value.get(Fact.TYPES, "") == ""
        assert len(inquiry.kernel) > before or field.name == "release"
    with pytest.raises(Unwatched):
        getattr(kernel, "a_new_field")  # noqa: B009


@pytest.mark.parametrize(
    "read",
    [
        lambda kernel: kernel.config["CONFIG_X"],
        lambda kernel: kernel.config.get("CONFIG_X"),
        lambda kernel: kernel.version[2],
        lambda kernel: tuple(kernel.version),
        lambda kernel: f"{kernel.version}",
        lambda kernel: kernel.version == (6, 1),
        lambda kernel: kernel.exports.find("kmalloc").crc + 1,
        lambda kernel: f"{kernel.exports.find('kmalloc').crc:x}",
        lambda kernel: kernel.exports.symvers,
        lambda kernel: kernel == kernel,
        lambda kernel: hash(kernel),
    ],
)
def test_what_no_question_covers_cannot_be_read(read: Callable[[LoaderKernel], object]) -> None:
    class Versioned:
        def find(self, symbol: str) -> KernelExport:
            return KernelExport("", 7, False, "")

    with pytest.raises((Unwatched, TypeError)):
        read(watched_kernel(Answers(replace(KERNEL, exports=Versioned())), Inquiry()))


def test_the_digest_of_loaded_modules_covers_each_field() -> None:
    modules = Modules((Loaded("a"),))
    others = []
    for field in fields(Loaded):
        changed: dict[str, Any] = {field.name: object()}
        others.append(Modules((replace(Loaded("a"), **changed),)))
    digests = {modules.digest, *(other.digest for other in others), Modules(refused=("a",)).digest, NO_MODULES.digest}
    assert len(digests) == len(others) + 3
    inquiry = Inquiry()
    watched = watched_modules(modules, inquiry)
    assert watched.find("b") is None and watched.find("a") is modules.loaded[0]
    assert inquiry.modules == {" b": "", " a": modules.loaded[0].digest}
    assert watched.loaded == modules.loaded
    assert inquiry.modules["all"] == modules.digest
