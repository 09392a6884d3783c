# SPDX-License-Identifier: GPL-2.0-only
"""Coverage: counters from the guest, data files for gcov, what is told of them; and calls that fail."""

from __future__ import annotations

import re
import shutil
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kbuildpy.cli.run_instrumented import InstrumentedResults, instrumented_files
from kbuildpy.coverage.allocators import allocators_header, wrapped_of
from kbuildpy.coverage.faults import MOST, AllocatorCalls, chosen_calls, held_more
from kbuildpy.coverage.files import coverage_of
from kbuildpy.coverage.gcda import data_file, gcc_version
from kbuildpy.coverage.gcov import measured
from kbuildpy.coverage.guest_module import check_compiler, gcov_of
from kbuildpy.coverage.instrument import Tools, instrumented
from kbuildpy.coverage.lcov import as_lcov
from kbuildpy.coverage.observations import (
    AllocatorCall,
    CountedFunction,
    CountedObject,
    Observations,
    added,
    read_observations,
)
from kbuildpy.coverage.page import as_page
from kbuildpy.coverage.place import instrumented_place
from kbuildpy.coverage.record import InstrumentedBuild, build_of, write_record
from kbuildpy.coverage.report import Counted, FileCoverage, FunctionCoverage, as_text, together
from kbuildpy.coverage.watched_run import Seen
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.plan import BuildStep, ModulePlan, ObjectPlan, Plan
from kbuildpy.kernel.instrumented import refuse_instrumented
from kbuildpy.run import run
from kbuildpy.source_place import NOT_EXPLAINED
from kbuildpy.vm.complaints import Complaint
from kbuildpy.vm.junit import as_junit
from kbuildpy.vm.result import Result, TestResult
from tests.support.command_line import call

SEEN = """module m
object 4232322a 10 20
path /out/
path a.gcda
function 1 2 3 4
counts 0:5 3:ff
function 4 5 6 2
calls 2
call 1 kmalloc_trace m_init+0x23/0x100 [m]
call 2 vmalloc m_init+0x43/0x100 [m]
failed 2 vmalloc m_init+0x43/0x100 [m]
held 1
unwatched 0""".splitlines()


@dataclass(frozen=True)
class Program:
    """A program in a directory, the data file that it wrote, and what that says."""

    place: Path
    written: bytes
    counted: CountedObject


# --- What the guest saw


def test_reads_what_the_guest_saw() -> None:
    seen = read_observations(SEEN)
    functions = (CountedFunction(1, 2, 3, (5, 0, 0, 255)), CountedFunction(4, 5, 6, (0, 0)))
    assert seen.modules == {"m": [CountedObject(0x4232322A, 0x10, 0x20, "/out/a.gcda", functions)]}
    assert seen.made == 2
    assert seen.failed == AllocatorCall(2, "vmalloc", "m_init+0x43/0x100 [m]")
    assert [item.number for item in seen.calls] == [1, 2]
    assert seen.held == [1]


@pytest.mark.parametrize(
    "line",
    [
        "object 1 2",
        "object 1 2 zz",
        "function 1 2 3 ffffffff",
        "function 100000000 2 3 1",
        "object 100000000 1 1",
        "path a\0b",
        "counts 9:1",
        "counts 0",
        "counts 0:-1",
        "held x",
        "held 99999999999999999999",
        "call 1 kmalloc",
        "surprise",
        "",
    ],
)
def test_refuses_a_line_that_the_guest_does_not_write(line: str) -> None:
    with pytest.raises(KbuildError, match="nobody can read"):
        read_observations([*SEEN[:5], line])


def test_refuses_more_counters_than_a_guest_can_have() -> None:
    with pytest.raises(KbuildError, match="nobody can read"):
        read_observations([*SEEN[:5], *["function 1 2 3 100000"] * 5])


def test_refuses_counters_before_a_module() -> None:
    with pytest.raises(KbuildError, match="nobody can read"):
        read_observations(["object 1 2 3"])


def test_adds_the_counters_of_two_boots() -> None:
    [one] = read_observations(SEEN).modules["m"]
    other = CountedObject(one.version, one.stamp, one.checksum, "/out/b.gcda", ())
    assert added([one], [one, other]) == [
        CountedObject(
            one.version,
            one.stamp,
            one.checksum,
            one.path,
            (
                CountedFunction(1, 2, 3, (10, 0, 0, 510)),
                CountedFunction(4, 5, 6, (0, 0)),
            ),
        ),
        other,
    ]


# --- Data files


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A program that has counted."""
    if shutil.which("gcov-dump") is None:
        pytest.skip("needs gcc")
    source = "int twice(int x) { return x > 2 ? 2 * x : 0; }\nint not_called(void) { return 1; }\n"
    main = "int main(int c, char **v) { for (int i = 0; i < 300; i++) twice(i); return v[0] == 0; }\n"
    (tmp_path / "a.c").write_text(source + main)
    run(["gcc", "-O0", "--coverage", "-o", "program", "a.c"], cwd=tmp_path)
    run([tmp_path / "program"], cwd=tmp_path)
    written = (tmp_path / "program-a.gcda").read_bytes()
    _, version, stamp, checksum = struct.unpack("<4I", written[:16])
    if gcc_version(version) < 12:
        pytest.skip("this gcc writes no checksum")
    text = run(["gcov-dump", "-l", "program-a.gcda"], cwd=tmp_path).text
    functions = []
    for piece in text.split("FUNCTION ident=")[1:]:
        head = re.match(r"(\d+), lineno_checksum=0x(\w+), cfg_checksum=0x(\w+)", piece)
        number = re.search(r"COUNTERS arcs (\d+) counts", piece)
        assert head
        assert number
        lines = re.findall(r": +\d+: ((?:\d+ )+)$", piece, re.MULTILINE)
        counters = tuple(int(word) for line in lines for word in line.split())
        assert len(counters) == int(number[1])
        functions.append(CountedFunction(int(head[1]), int(head[2], 16), int(head[3], 16), counters))
    path = str(tmp_path / "program-a.gcda")
    return Program(tmp_path, written, CountedObject(version, stamp, checksum, path, tuple(functions)))


def test_a_data_file_means_to_gcov_what_a_program_writes(program: Program) -> None:
    assert sum(any(function.counters) for function in program.counted.functions) == 2
    argv = ["gcov", "--json-format", "--stdout", "program-a.gcda"]
    expected = run(argv, cwd=program.place).stdout
    made = data_file(program.counted)
    (program.place / "program-a.gcda").write_bytes(made)
    done = run(argv, cwd=program.place)
    assert (done.stdout, done.error_text) == (expected, "")
    # (gcc writes a record of zeros as its negative length alone, and its summary has the largest counter)
    assert made[:16] == program.written[:16]
    for function in program.counted.functions:
        record = struct.pack(f"<{len(function.counters)}Q", *function.counters)
        assert record in made
        assert record in program.written or not any(function.counters)


def test_measures_the_files_that_are_not_the_kernels(program: Program) -> None:
    build = InstrumentedBuild(program.place, Path("/elsewhere"), "gcov", (), Path("guest.ko"))
    [file] = measured([program.counted], build)
    assert file.path == str(program.place / "a.c")
    assert {function.name: function.count for function in file.functions} == {"twice": 300, "not_called": 0, "main": 1}
    assert {number: count > 0 for number, count in file.lines.items()} == {1: True, 2: False, 3: True}
    assert sorted(file.branches[1]) == [3, 297]
    assert measured([], build) == []
    below = InstrumentedBuild(program.place, Path("/elsewhere"), "gcov", (program.place,), Path("guest.ko"))
    assert measured([program.counted], below) == []
    # (a module directory may lie in a kernel tree)
    inside = InstrumentedBuild(program.place, program.place, "gcov", (program.place.parent,), Path("guest.ko"))
    assert measured([program.counted], inside) == [file]


def test_notes_of_another_build_are_an_error(program: Program) -> None:
    build = InstrumentedBuild(program.place, program.place, "gcov", (), Path("guest.ko"))
    other = replace(program.counted, stamp=program.counted.stamp + 1)
    with pytest.raises(KbuildError, match="notes of another build"):
        measured([other], build)
    missing = InstrumentedBuild(program.place, program.place, "aarch64-linux-gnu-gcov-77", (), Path("guest.ko"))
    with pytest.raises(KbuildError, match="aarch64-linux-gnu-gcov-77: program not found") as error:
        measured([program.counted], missing)
    assert error.value.hint == "apt-get install gcc-77-aarch64-linux-gnu"


def test_a_boot_that_told_nothing_is_counted() -> None:
    seen = Seen()
    seen.take(None)
    assert (seen.blind, seen.boots, seen.counters) == (1, [None], {})
    seen.take([*SEEN, "module m", "lost"])
    seen.take(SEEN)
    assert list(seen.incomplete) == ["m"]
    assert seen.counters["m"][0].functions[0].counters == (10, 0, 0, 510)
    assert [boot is None for boot in seen.boots] == [True, False, False]


def test_counters_that_cannot_be_read_are_lost_and_end_nothing() -> None:
    seen = Seen()
    seen.take(["surprise"])
    [words] = seen.complaints("6.1")
    assert "the counters of a boot of 6.1 are lost: the guest told of counters what nobody can read: surprise" in words
    seen.take(SEEN)
    assert list(seen.counters) == ["m"]


def test_knows_the_version_of_gcc() -> None:
    assert gcc_version(int.from_bytes(b"B22*", "big")) == 12
    assert gcc_version(int.from_bytes(b"A93*", "big")) == 9
    assert gcc_version(0) == 0
    # (a superscript two is a digit to Python, and no number)
    assert gcc_version(int.from_bytes(b"A\xb2**", "big")) == 0


def test_notes_outside_of_the_build_are_not_read(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "secret.gcno").write_text("secret")
    build = InstrumentedBuild(out, tmp_path, "gcov", (), out / "guest.ko")
    for path in (f"{out}/../secret.gcda", f"{tmp_path}/secret.gcda", f"{out}/a"):
        with pytest.raises(KbuildError, match="not in"):
            measured([CountedObject(0, 0, 0, path, ())], build)
    with pytest.raises(KbuildError, match="No such file") as error:
        measured([CountedObject(0, 0, 0, f"{out}/a.gcda", ())], build)
    assert "build again" in error.value.hint


# --- Reports


FILE = FileCoverage(
    "/src/<b>.c",
    {1: 1, 2: 0, 4: 0, 5: 3, 7: 0},
    (FunctionCoverage("f", 1, 1), FunctionCoverage("g", 7, 0)),
    {1: (1, 0), 4: (0, 0)},
)


def test_counts_lines_functions_and_branches() -> None:
    assert (FILE.line_count, FILE.function_count, FILE.branch_count) == (Counted(5, 2), Counted(2, 1), Counted(4, 1))
    assert FILE.missed == [(2, 4), (7, 7)]
    assert as_text([FILE], "6.1", base="/src") == [
        "coverage (6.1): 2 of 5 lines (40.0 %), 1 of 2 functions, 1 of 4 branches",
        "  <b>.c: 2 of 5 lines; not reached: 2-4, 7",
    ]


def test_adds_what_several_objects_tell_of_a_file() -> None:
    more = (FunctionCoverage("f", 1, 4), FunctionCoverage("g", 7, 2))
    other = FileCoverage(FILE.path, {2: 1, 9: 1}, more, {1: (0, 4)})
    [both] = together([FILE, other])
    assert both.lines == {1: 1, 2: 1, 4: 0, 5: 3, 7: 0, 9: 1}
    assert [(item.name, item.count) for item in both.functions] == [("f", 5), ("g", 2)]
    assert both.branches == {1: (1, 4), 4: (0, 0)}


def test_a_tracefile_has_a_record_for_each_file() -> None:
    lines = as_lcov([FILE]).splitlines()
    assert lines[:2] == ["TN:", "SF:/src/<b>.c"]
    assert {"FN:7,g", "FNDA:0,g", "FNF:2", "FNH:1", "BRDA:1,0,1,0", "BRDA:4,0,0,-", "BRF:4", "BRH:1"} <= set(lines)
    assert {"DA:2,0", "DA:5,3", "LF:5", "LH:2"} <= set(lines)
    assert lines[-1] == "end_of_record"


def test_a_page_escapes_what_comes_from_sources(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text('int f;\n\t"<script>alert(1)</script>" \x1b[31m\n')
    page = as_page(
        [FileCoverage(str(source), {2: 0}, (), {2: (0, 3, 0)})], kernel="<6.1>", modules=["m"], base=str(tmp_path)
    )
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;6.1&gt;" in page
    assert "\x1b" not in page
    assert page.count('<tr class="missed"') == 1
    assert "<td>2</td><td>0</td><td>1/3</td>" in page
    assert page.count('<tr class="none"') == 1
    missing = as_page([FILE], kernel="6.1", modules=["m"], base="/")
    assert "No such file or directory" in missing


# --- Builds


def test_wraps_the_allocators_of_each_line_of_kernels() -> None:
    names = ["kmalloc_trace", "__kmalloc_cache_noprof", "devm_kmalloc", "memdup_user", "vfree", "__alloc_percpu"]
    names += ["kvfree_call_rcu", "__folio_put"]
    others = ["kmalloc_caches", "is_vmalloc_addr", "kmem_cache_alloc_bulk", "alloc_chrdev_region", "x;y", "kfree"]
    wrapped = wrapped_of([*names, *others])
    assert wrapped.names == sorted(names)
    assert allocators_header(wrapped).splitlines()[1:] == [
        "ALLOCATOR(__alloc_percpu, 0, 0)",
        "ALLOCATOR(__kmalloc_cache_noprof, 0, 1)",
        "ALLOCATOR(devm_kmalloc, 0, 0)",
        "ALLOCATOR(kmalloc_trace, 0, 1)",
        "ALLOCATOR(memdup_user, -ENOMEM, 1)",
        "FREE(__folio_put)",
        "FREE(vfree)",
        "FREE_LATER(kvfree_call_rcu)",
    ]


def test_instruments_the_objects_of_modules_and_links_each_module_once_more() -> None:
    compiled = BuildStep("cc_o_c", "", "gcc -O2 -c -o /m/a.o /m/a.c ; ./tools/objtool/objtool --orc /m/a.o")
    assembled = BuildStep("as_o_S", "", "gcc -c -o /m/s.o /m/s.S")
    objects = tuple(
        ObjectPlan(f"/m/{name}.o", f"/m/{name}", (step,))
        for name, step in (("a", compiled), ("b", compiled), ("s", assembled))
    )
    modules = (
        ModulePlan("/m/a.o", (), ()),
        ModulePlan("/m/c.o", ("/m/b.o", "/m/s.o"), (BuildStep("ld_multi_m", "", "ld -r -o /m/c.o"),)),
    )
    plan = Plan("/m", modules, objects, (), (), (), (), "", False, (), False)
    tools = Tools("ld", Path("/begin.o"), Path("/end.o"), ("kmalloc",), "arm64")
    found = instrumented(plan, tools)
    a, b, s = found.objects
    assert "-ftest-coverage" in a.steps[0].command
    assert "-mno-outline-atomics" in a.steps[0].command
    assert a.steps[0].command.endswith(" -c -o /m/a.o /m/a.c ; ./tools/objtool/objtool --no-unreachable --orc /m/a.o")
    link = "ld -r --wrap=kmalloc -o /m/.tmp_a.o /begin.o /m/a.o /end.o; mv /m/.tmp_a.o /m/a.o"
    assert [step.command for step in a.steps[1:]] == [link]
    assert len(b.steps) == 1
    assert s.steps == (assembled,)
    assert [step.command for step in found.modules[1].steps] == ["ld -r -o /m/c.o", link.replace("a.o", "c.o")]
    assert found.modules[0].steps == ()


def test_instrumented_modules_have_a_place_of_their_own() -> None:
    assert instrumented_place(Path("/m/build")) == Path("/m/build-coverage")


def test_a_compiler_that_cannot_instrument_is_refused() -> None:
    with pytest.raises(KbuildError, match="clang version 15"):
        check_compiler("Debian clang version 15.0.6", "6.1")
    with pytest.raises(KbuildError, match="needs gcc 11"):
        check_compiler("gcc-10 (Debian 10.2.1-6) 10.2.1 20210110", "5.10")
    check_compiler("gcc-12 (Debian 12.2.0-14) 12.2.0", "6.1")
    assert gcov_of("ccache aarch64-linux-gnu-gcc-12") == "aarch64-linux-gnu-gcov-12"
    assert gcov_of("/opt/bin/gcc") == "/opt/bin/gcov"


def test_a_record_is_found_beside_the_module(tmp_path: Path) -> None:
    build = InstrumentedBuild(tmp_path / "out", tmp_path, "gcov-12", (tmp_path / "tree",), tmp_path / "guest.ko")
    write_record(build)
    module = tmp_path / "out/sub/m.ko"
    module.parent.mkdir()
    module.touch()
    assert build_of(module) == build
    (tmp_path / "elsewhere.ko").touch()
    with pytest.raises(UsageError, match="build directory is not there"):
        build_of(tmp_path / "elsewhere.ko")
    for damage in ("[]", "[" * 100_000):
        (tmp_path / "out/.kbuildpy/instrumented.json").write_text(damage)
        with pytest.raises(KbuildError, match="damaged"):
            build_of(module)


def test_a_record_that_another_user_may_change_is_not_used(tmp_path: Path) -> None:
    build = InstrumentedBuild(tmp_path / "out", tmp_path, "gcov-12", (tmp_path / "tree",), tmp_path / "guest.ko")
    write_record(build)
    module = tmp_path / "out/m.ko"
    module.touch()
    (tmp_path / "out/.kbuildpy/instrumented.json").chmod(0o666)
    with pytest.raises(KbuildError, match="can be written by everybody"):
        build_of(module)
    write_record(replace(build, gcov="gcov-13"))
    assert build_of(module).gcov == "gcov-13"
    (tmp_path / "out").chmod(0o777)
    with pytest.raises(KbuildError, match="out can be written by everybody"):
        build_of(module)


def test_an_instrumented_module_is_refused_where_others_get_it() -> None:
    refuse_instrumented(b"license=GPL\0", doing="signed")
    with pytest.raises(KbuildError, match="not signed"):
        refuse_instrumented(b"license=GPL\0kbuildpy_instrumented=coverage\0", "a.ko", doing="signed")


# --- AllocatorCalls that fail


def observations(*places: str, held: tuple[int, ...] = (), failed: int = 0) -> Observations:
    calls = [AllocatorCall(number, "kmalloc", place) for number, place in enumerate(places, 1)]
    return Observations(made=len(calls), calls=calls, held=list(held), failed=calls[failed - 1] if failed else None)


def test_memory_that_is_held_without_a_failure_is_not_a_leak() -> None:
    baseline = observations("a", "b", "b", held=(1, 2))
    assert held_more(observations("a", "b", "b", held=(1, 3)), baseline) == []
    assert [item.number for item in held_more(observations("a", "b", "b", held=(1, 2, 3)), baseline)] == [3]
    assert [item.number for item in held_more(observations("c", held=(1,)), baseline)] == [1]


def test_all_calls_fail_or_two_of_each_place() -> None:
    assert chosen_calls(observations("a", "b", "a", "a")) == [1, 2, 3, 4]
    assert chosen_calls(observations(*["a"] * MOST, "b")) == [1, 2, MOST + 1]
    assert chosen_calls(observations()) == []


def result(*complaints: Complaint, errno: str | None = "ENOMEM", tests: tuple[TestResult, ...] = ()) -> Result:
    loaded = errno is None
    return Result("m.ko", "6.1", "m", loaded=loaded, removed=loaded, errno=errno, complaints=complaints, tests=tests)


CALLS = AllocatorCalls("6.1", lambda lines, module: NOT_EXPLAINED, (), observations("a", "b"))


def test_an_init_function_that_fails_is_expected() -> None:
    init = Complaint("init", "its init function returned ENOMEM")
    found = CALLS.judge(2, [result(init)], observations("a", "b", failed=2))
    assert found.passed
    assert found.as_text() == "call 2 of 2 (6.1): kmalloc at b failed: no defect; m was not loaded (ENOMEM)"


@pytest.mark.parametrize("kind", ["oops", "warning", "leak", "busy", "refused"])
def test_what_the_kernel_complains_about_is_a_defect(kind: str) -> None:
    found = CALLS.judge(1, [result(Complaint(kind, "words"))], observations("a", failed=1))
    assert not found.passed
    assert f"  {kind}: words" in found.as_text().splitlines()


def test_a_complaint_during_a_test_is_a_defect_and_its_failure_is_not() -> None:
    test = TestResult("t", "program", passed=False, status=1)
    seen = observations("a", failed=1)
    assert CALLS.judge(1, [result(errno=None, tests=(test,))], seen).passed
    complaining = TestResult("t", "program", passed=False, status=1, complaints=(Complaint("warning", "w"),))
    assert not CALLS.judge(1, [result(errno=None, tests=(complaining,))], seen).passed


def test_a_leak_is_a_defect_unless_the_module_is_still_there() -> None:
    seen = observations("a", "b", held=(1,), failed=2)
    found = CALLS.judge(2, [result()], seen)
    assert not found.passed
    assert "  leak: the memory of kmalloc at a was not freed" in found.as_text()
    stuck = Result("m.ko", "6.1", "m", loaded=True, complaints=(Complaint("busy", "w"),))
    assert CALLS.judge(2, [stuck], seen).leaks == ()


def test_a_call_that_did_not_fail_is_no_success() -> None:
    assert not CALLS.judge(2, [result(errno=None)], observations("a")).passed
    assert not CALLS.judge(2, [result(errno=None)], None).passed


def test_a_module_whose_counters_are_lost_has_no_coverage(tmp_path: Path) -> None:
    build = InstrumentedBuild(tmp_path, tmp_path, "gcov", (), tmp_path / "guest.ko")
    assert coverage_of(Seen(), {"m": build}) == {}


def test_all_modules_of_a_directory_are_run_but_the_one_that_watches(tmp_path: Path) -> None:
    for name in ("built/a.ko", "b.ko", "kbuildpy_guest.ko"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = instrumented_files([tmp_path], ["6.1"], quiet=True)
    assert sorted(file.name for file in found) == ["a.ko", "b.ko"]


def test_the_call_that_a_guest_died_of_is_known_from_the_run_without_a_failure() -> None:
    found = CALLS.judge(2, [result(Complaint("oops", "words"), errno=None)], None)
    assert not found.passed
    assert found.failed is not None and found.failed.call.number == 2
    unknown = CALLS.judge(2, [result(errno=None)], None)
    assert "it is not known what came of it" in unknown.as_text()
    assert CALLS.none(7).as_text() == "call 7 of 2 (6.1): it did not fail; there are no more calls"


def test_a_run_of_which_nothing_is_known_has_not_passed() -> None:
    found = InstrumentedResults([result(errno=None)], [], None, None, is_known=True)
    assert found.passed
    assert not replace(found, is_known=False).passed


def test_junit_has_a_case_for_each_call_that_failed() -> None:
    good = CALLS.judge(1, [result(errno=None)], observations("a", "b", failed=1))
    oops = Complaint("oops", "words", ("line of the log",))
    bad = CALLS.judge(2, [result(oops)], observations("a", "b", held=(1,), failed=2))
    document = ElementTree.fromstring(as_junit([result(errno=None)], {"6.1": [good.as_test(), bad.as_test()]}))
    [suite] = document
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    [case] = (case for case in suite if case.find("failure") is not None)
    assert (case.get("classname"), case.get("name")) == ("fail-nth", "call 2 of 2")
    assert case[0].get("message") == bad.as_text().splitlines()[0]
    assert case[0].text
    assert {"  leak: the memory of kmalloc at a was not freed", "line of the log"} <= set(case[0].text.splitlines())


# --- The command line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "a.ko", "--fail-nth", "0"], "neither a call"),
        (["run", "a.ko", "--fail-nth", "-1"], "neither a call"),
        (["run", "a.ko", "--fail-nth", "many"], "neither a call"),
        (["run", "a.ko", "--coverage-output", "x"], "--coverage-output is for --coverage"),
        (["run", ".", "--coverage"], "no modules below ., and no Kbuild file"),
        (["run", "missing", "--coverage"], "missing: no such file"),
        (["run", "a.ko", "--fail-nth", "1", "--gdb"], "leave out --keep and --gdb"),
        (["build", ".", "x.i", "--coverage"], "not single targets"),
        (["build", ".", "--compile-commands", "--coverage"], "--compile-commands"),
    ],
)
def test_a_wrong_call_is_an_error(words: list[str], said: str, tmp_path: Path) -> None:
    done = call(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.error_text
    assert done.error_text.startswith("kbuildpy: error:")
