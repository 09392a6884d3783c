# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run` tells of modules that go wrong, each in its own way, what a real kernel did with them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.vm.machine import machine_for
from tests.support.arm64 import LINES
from tests.support.bad_modules import SOURCES, build
from tests.support.guest_kernels import one_of, tree_called
from tests.support.guest_runs import Ran, kbuildpy_run
from tests.support.kernel_trees import swept

pytestmark = pytest.mark.vm

LIMIT = 4
# As they are named on the command line. Those that end a boot come last, those that harm it in their exit function
# first, for they are removed last.
USUAL = (
    *("oops_in_exit", "sleeps_in_exit", "good", "parameters", "imports", "exports", "crc_user", "no_exit"),
    *("holds_itself", "keeps_entry", "keeps_objects", "positive", "warns", "no_device", "not_supported"),
    *("oops_in_init", "sleeps", "busy"),
)
MODULES = {
    "6.1": (*USUAL, "busy_alone", "panics"),
    "6.12": (*USUAL, "panics"),
    next(iter(LINES)): ("good", "crc_user", "warns", "no_device", "oops_in_init"),
}
PARAMETERS = ("--params", 'parameters: count=7 text="x y"', "--params", "good: unheard_of=1")


@pytest.fixture(scope="module", params=[*one_of("6.1", "6.12"), *swept(next(iter(LINES)))])
def line(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(machine_for(architecture_of(tree_called(name))).qemu) is None:
        pytest.skip("QEMU is not installed")
    return name


@pytest.fixture(scope="module")
def ran(line: str, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """All modules of a kernel line in one run."""
    tree = tree_called(line)
    names = MODULES[line]
    files = build(tree, tmp_path_factory.mktemp("bad") / "modules", {name: SOURCES[name] for name in names})
    parameters = PARAMETERS if "parameters" in names else ("--params", "good: unheard_of=1")
    done = kbuildpy_run(
        *(files[name] for name in names), "--timeout", str(LIMIT), "--format", "json", "--dyndbg", *parameters
    )
    results = {item["name"]: item for item in map(json.loads, done.text.splitlines())}
    return Ran(results, done)


def source_line(result: dict[str, Any]) -> str:
    """The line of the source where the first complaint is."""
    place, *_ = result["complaints"][0]["where"]
    return str(Path(place["file"]).read_text().splitlines()[place["line"] - 1].strip())


def require(ran: Ran, line: str, *names: str) -> None:
    missing = set(names) - set(MODULES[line])
    if missing:
        pytest.skip(f"{', '.join(sorted(missing))} is not among this line's modules")


def test_each_module_has_one_result_and_the_run_fails(ran: Ran, line: str) -> None:
    assert len(ran.done.text.splitlines()) == len(MODULES[line])
    assert set(ran.results) == set(MODULES[line])
    assert ran.done.returncode == 1
    assert "Traceback" not in ran.done.error_text


def test_modules_without_fault_pass_whatever_the_others_do(ran: Ran, line: str) -> None:
    innocent = {"parameters", "imports", "exports", "crc_user"} & set(MODULES[line])
    assert {name for name, result in ran.results.items() if result["passed"]} == innocent
    for name in innocent:
        result = ran.results[name]
        assert (result["loaded"], result["removed"], result["errno"], result["reason"]) == (True, True, None, None)
        assert re.match(rf"{name} \d+ \d+ \S+ Live 0x[0-9a-f]+ \(OE\)", result["line"])
        assert result["taints"] == "OE"


def test_the_log_is_shown_while_it_comes_and_ours_is_not(ran: Ran) -> None:
    shown = ran.done.error_text
    assert "] good: here I am\n" in shown
    assert "  INSMOD  good\n" in shown
    assert "kbuildpy-" not in shown
    assert "errno 0\n" not in shown


def test_parameters_reach_the_module(ran: Ran, line: str) -> None:
    require(ran, line, "parameters")
    assert "parameters: count 7 text <x y>" in ran.results["parameters"]["log"]
    assert ran.results["parameters"]["parameters"] == 'count=7 text="x y"'


def test_a_parameter_that_the_module_does_not_have_is_a_complaint(ran: Ran) -> None:
    assert ran.kinds("good") == ["parameter"]
    assert "unknown parameter 'unheard_of' ignored" in ran.results["good"]["reason"]


def test_dynamic_debug_messages_are_listed_and_switched_on(ran: Ran) -> None:
    (message,) = ran.results["good"]["dyndbg"]
    assert re.search(r'good\.c:\d+ \[good\]test_init =p "in detail', message)
    assert "good: in detail" in ran.results["good"]["log"]


def test_what_a_module_needs_is_loaded_before_it_from_among_the_others(ran: Ran, line: str) -> None:
    require(ran, line, "imports")
    assert "imports: got 7" in ran.results["imports"]["log"]
    assert ran.results["imports"]["needs"] == ["exports"]


def test_what_a_module_needs_is_loaded_before_it_from_the_kernels_own(ran: Ran) -> None:
    # (CRC-32C of "123456789" is e3069283, and crc32c() does not invert the result. The hash itself is a soft dependency
    # of libcrc32c, without which that does not load)
    assert f"crc_user: crc {0xE3069283 ^ 0xFFFFFFFF:08x}" in ran.results["crc_user"]["log"]
    assert ran.results["crc_user"]["needs"] == ["libcrc32c"]


@pytest.mark.parametrize(("name", "errno"), [("no_device", "ENODEV"), ("not_supported", "ENOTSUPP")])
def test_an_init_function_that_fails_is_named_with_its_errno(ran: Ran, line: str, name: str, errno: str) -> None:
    require(ran, line, name)
    result = ran.results[name]
    assert (result["loaded"], result["errno"]) == (False, errno)
    assert result["reason"].startswith(f"its init function returned {errno} (")
    assert ran.kinds(name) == ["init"]


def test_a_failed_init_function_was_called_once(ran: Ran) -> None:
    # busybox's insmod would call it twice.
    assert ran.results["no_device"]["log"].count("no_device: trying") == 1


def test_a_warning_is_a_complaint_with_its_trace(ran: Ran) -> None:
    assert ran.kinds("warns") == ["warning"]
    assert ran.results["warns"]["reason"].startswith("the kernel warned: something is odd (WARNING: ")
    assert "something is odd" in "\n".join(ran.results["warns"]["log"])
    assert "test_init+0x" in ran.log("warns") and "do_one_initcall" in ran.log("warns")
    assert source_line(ran.results["warns"]).startswith('WARN(1, "something is odd')


def test_an_init_function_that_returns_a_positive_number_is_a_complaint(ran: Ran, line: str) -> None:
    require(ran, line, "positive")
    assert "suspiciously returned 1" in ran.results["positive"]["reason"]


@pytest.mark.parametrize(("name", "function"), [("oops_in_init", "init"), ("oops_in_exit", "exit")])
def test_an_oops_is_shown_with_its_trace(ran: Ran, line: str, name: str, function: str) -> None:
    require(ran, line, name)
    assert ran.kinds(name) == ["oops"]
    assert ran.results[name]["reason"].startswith("the kernel oopsed: ")
    assert f"test_{function}+0x" in ran.log(name) and f"[{name}]" in ran.log(name)
    assert ran.results[name]["loaded"] == (function == "exit")
    assert not ran.results[name]["removed"]
    assert ran.results[name]["complaints"][0]["where"][0]["function"] == f"test_{function}"
    assert source_line(ran.results[name]).startswith("*nowhere = 1;")


@pytest.mark.parametrize(
    ("name", "words", "place"),
    [
        ("sleeps", "its init function did not return within 4 s: it sleeps", "msleep"),
        ("sleeps_in_exit", "its exit function did not return within 4 s: it sleeps", "msleep"),
        ("busy", "its init function did not return within 4 s: it keeps a processor busy", "test_init"),
    ],
)
def test_a_function_that_does_not_return_is_named_with_the_place(
    ran: Ran, line: str, name: str, words: str, place: str
) -> None:
    require(ran, line, name)
    assert ran.results[name]["reason"].startswith(words)
    assert ran.kinds(name)[0] == "hang"
    assert place in ran.log(name) and f"[{name}]" in ran.log(name)


def test_a_module_that_stops_the_whole_kernel_is_found_out_from_outside(ran: Ran, line: str) -> None:
    require(ran, line, "busy_alone")
    assert "hang" in ran.kinds("busy_alone")
    assert any("init function" in item["words"] for item in ran.results["busy_alone"]["complaints"])


def test_a_panic_costs_nobody_else_the_result(ran: Ran, line: str) -> None:
    require(ran, line, "panics")
    assert ran.kinds("panics")[0] == "panic"
    assert "Kernel panic - not syncing: on purpose" in ran.results["panics"]["reason"]


def test_a_module_that_cannot_be_removed_is_named_with_the_reason(ran: Ran, line: str) -> None:
    require(ran, line, "holds_itself", "no_exit")
    held, permanent = ran.results["holds_itself"], ran.results["no_exit"]
    assert "EWOULDBLOCK" in held["reason"] and "in use (1 references)" in held["reason"]
    assert "EBUSY" in permanent["reason"] and "no exit function" in permanent["reason"]
    assert (held["loaded"], held["removed"], permanent["removed"]) == (True, False, False)


@pytest.mark.parametrize(("name", "rest"), [("keeps_entry", "leaking at least 'entry'"), ("keeps_objects", "Objects")])
def test_what_a_module_leaves_behind_is_a_complaint(ran: Ran, line: str, name: str, rest: str) -> None:
    require(ran, line, name)
    assert ran.results[name]["removed"] and not ran.results[name]["passed"]
    assert ran.kinds(name) == ["leak"]
    assert rest in ran.results[name]["reason"]


def test_a_boot_is_shared_by_all_that_do_not_harm_it(ran: Ran, line: str) -> None:
    boots = 1 + ran.done.error_text.count("kbuildpy: booting again for ")
    assert boots <= {"6.1": 5, "6.12": 4}.get(line, 2)
