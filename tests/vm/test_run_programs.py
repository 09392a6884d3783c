# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run --test`: programs that run in the guest with the modules loaded, and what comes of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kbuildpy.execute import Completed
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from kbuildpy.vm.describe import as_text, describe_test
from kbuildpy.vm.junit import as_junit
from kbuildpy.vm.kernels import kernel_of_tree
from kbuildpy.vm.programs import read_command, read_test
from kbuildpy.vm.result import Result, TestResult
from kbuildpy.vm.session import run_modules
from kbuildpy.vm.settings import Settings
from kbuildpy.vm.trial import read_trial
from tests.support.bad_modules import build, source
from tests.support.guest_kernels import image_of, one_of, tree_called
from tests.support.packages import NEWEST, other_compiler

pytestmark = pytest.mark.vm

# A parameter that makes trouble when it is written, as a driver does that a program calls.
TROUBLE = source(
    before="""static int trouble_set(const char *text, const struct kernel_param *param)
{
	if (sysfs_streq(text, "warn"))
		WARN(1, "asked to warn\\n");
	else if (sysfs_streq(text, "hang"))
		for (;;)
			schedule_timeout_uninterruptible(HZ);
	else if (sysfs_streq(text, "entry"))
		proc_mkdir("made_by_a_test", NULL);
	else if (sysfs_streq(text, "oops"))
		*(volatile int *)8 = 1;
	else
		pr_info("told %s\\n", text);
	return 0;
}
static const struct kernel_param_ops trouble_ops = { .set = trouble_set };
module_param_cb(make, &trouble_ops, NULL, 0200);
"""
)
# What KUnit logs when it has run the suites of a module.
_SUITE = (
    "    KTAP version 1\n    # Subtest: sums\n    1..3\n    ok 1 adds\n    # subtracts: EXPECTATION FAILED at x.c:7\n"
    "    not ok 2 subtracts\n    ok 3 divides # SKIP no numbers\n# sums: pass:1 fail:1 skip:1 total:3\nnot ok 1 sums\n"
)
SUITE = source(
    init="".join(f'printk(KERN_INFO "{line}\\n");\n\t' for line in ["KTAP version 1", "1..1", *_SUITE.splitlines()])
    + "return 0;"
)
SOURCES = {"trouble": TROUBLE, "suite": SUITE, "refuses": source(init="return -ENODEV;")}

WRITE = "/sys/module/trouble/parameters/make"
SCRIPTS = {
    "plain.sh": "echo out; echo err >&2\n",
    "status.sh": "echo before; exit 3\n",
    "signal.sh": "kill -SEGV $$\n",
    "skips.sh": "echo nothing of this here; exit 4\n",
    "points.sh": "echo 'TAP version 14'; echo '1..3'; echo 'ok 1 - one'; echo '# why'; echo 'not ok 2 - two'\n"
    "echo 'ok 3 - three # SKIP not here'; exit 1\n",
    "nested.sh": "printf '%s\\n' 'KTAP version 1' '1..1' '  KTAP version 1' '  # Subtest: inner' '  1..2' '  ok 1 a'"
    " '  ok 2 b' 'ok 1 inner'\n",
    "content.sh": "echo 1..2; echo 'ok 1 a'; echo 'not ok 2 b'\n",
    "short.sh": "echo 1..3; echo 'ok 1 a'\n",
    "no_plan.sh": "echo 'KTAP version 1'; echo 'ok 1 a'\n",
    "nothing.sh": "echo '1..0 # SKIP no such bus'\n",
    "no_skip.sh": "echo 1..1; echo 'not ok 1 a'; exit 4\n",
    "taints.sh": "echo 512 >/proc/sys/kernel/tainted\n",
    "odd.sh": "printf 'tab\\there \\033[31mred\\377 end\\n';"
    " awk 'BEGIN { for (i = 0; i < 700; i++) printf \"%04d,\", i }';"
    " printf '\\n\\nlast'\n",
    "long.sh": "awk 'BEGIN { for (i = 0; i < 300; i++) printf \"a\\303\\244\\342\\202\\254\" }'; seq 10000\n",
    "place.sh": "pwd; cat beside.txt; ./helper one; echo $PATH;"
    " command -v dd >/dev/null && echo dd; ls -d /dev/pts /dev/shm"
    " /sys/kernel/debug/tracing /sys/kernel/tracing/events /proc/self/fd; ping -c 1 127.0.0.1 >/dev/null && echo lo;"
    " su nobody -s /bin/sh -c 'id -un; touch /tmp/mine && echo writes'; [ -w /tmp/mine ] && rm /tmp/mine;"
    " cat </dev/null; echo x | cat /dev/stdin; head -n 1 compiled.c\n",
    "devices.sh": "grep -l 0x11e8 /sys/bus/pci/devices/*/device | wc -l;"
    " cat /sys/bus/usb/devices/*/idVendor | grep 0627;"
    " ls -d /sys/class/net/dummy1\n",
    "warns.sh": f"echo warn >{WRITE}; echo 1..1; echo 'ok 1 a'\n",
    "late.sh": "echo begun; sleep 1000\n",
    "daemon.sh": "sleep 1000 & setsid sleep 1000 & echo left it\n",
    "flood.sh": "yes 'again and again'\n",
    "arguments.sh": 'for word; do echo "<$word>"; done\n',
}


@dataclass(frozen=True)
class Ran:
    """What came of one boot: the results of modules and tests by name, and what was shown meanwhile."""

    modules: dict[str, Result]
    tests: dict[str, TestResult]
    shown: str


@pytest.fixture(scope="module", params=one_of("6.12", "6.1"))
def tree(request: pytest.FixtureRequest) -> KernelTree:
    return tree_called(request.param)


@pytest.fixture(scope="module")
def built(tree: KernelTree, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(tree, tmp_path_factory.mktemp("modules") / "m", SOURCES)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of tests."""
    found = tmp_path_factory.mktemp("tests")
    for name, text in SCRIPTS.items():
        # (what is called .sh needs no such line)
        (found / name).write_text(text if name == "plain.sh" else f"#!/bin/sh\n{text}")
    (found / "beside.txt").write_text("beside\n")
    (found / "helper").write_text('#!/bin/sh\necho "helped $1"\n')
    (found / "helper").chmod(0o755)
    (found / "told.h").write_text('#define TOLD "by its header"\n')
    (found / "compiled.c").write_text(
        '/* a test */\n#include <pthread.h>\n#include <stdio.h>\n#include "told.h"\n'
        "int main(int count, char **words) { puts(TOLD); return puts(words[count - 1]) < 0; }\n"
    )
    run(["gcc", "-static", "-o", found / "static", found / "compiled.c"])
    return found


@pytest.fixture(scope="module")
def ran(tree: KernelTree, built: dict[str, Path], place: Path) -> Ran:
    shown: list[bytes] = []
    words = [str(place / name) for name in SCRIPTS if name != "arguments.sh"]
    words += [f"{place}/arguments.sh 'a b' '$HOME' '*'", f"{place}/compiled.c", f"{place}/static last"]
    settings = Settings(
        tests=(*map(read_test, words), read_command(["sh", "-c", "echo a command; cat /proc/modules"])),
        files=(place / "beside.txt", place / "helper", place / "compiled.c"),
        test_limit=8,
        devices=("edu", "usb-tablet"),
        modules=("dummy numdummies=2",),
    )
    trials = [read_trial(built[name]) for name in ("trouble", "suite")]
    results = list(run_modules(kernel_of_tree(tree), trials, settings, show=shown.append))
    tests = {Path(test.name.split(" ")[0]).name: test for test in results[0].tests}
    assert all(result.tests == results[0].tests for result in results)
    return Ran({result.name: result for result in results}, tests, b"".join(shown).decode(errors="replace"))


def test_a_program_passes_by_its_exit_status(ran: Ran) -> None:
    plain = ran.tests["plain.sh"]
    assert (plain.passed, plain.status, plain.output, plain.points) == (True, 0, ("out", "err"), ())
    failed = ran.tests["status.sh"]
    assert (failed.passed, failed.status, failed.reason) == (False, 3, "exit status 3")
    assert ran.tests["signal.sh"].reason == "exit status 139 (signal 11)"


def test_exit_status_4_is_skipped(ran: Ran) -> None:
    skipped = ran.tests["skips.sh"]
    assert (skipped.passed, skipped.skipped, skipped.reason) == (True, True, "nothing of this here")
    assert ran.tests["no_skip.sh"].reason == "1 of 1 failed: a; exit status 4"
    assert ran.tests["nothing.sh"].skipped and ran.tests["nothing.sh"].reason == "no such bus"


def test_each_point_is_a_result(ran: Ran) -> None:
    found = ran.tests["points.sh"]
    assert [(point.number, point.name, point.result) for point in found.points] == [
        (1, "one", "ok"),
        (2, "two", "not ok"),
        (3, "three", "skip"),
    ]
    assert found.points[1].diagnostics == ("why",) and found.points[2].reason == "not here"
    assert found.reason == "1 of 3 failed: two; exit status 1"
    (inner,) = ran.tests["nested.sh"].points
    assert ran.tests["nested.sh"].passed and [point.name for point in inner.points] == ["a", "b"]


def test_a_program_that_is_content_can_fail(ran: Ran) -> None:
    assert ran.tests["content.sh"].reason == "1 of 2 failed: b"
    assert ran.tests["short.sh"].reason == "it announced 3 points, and 1 came"
    assert ran.tests["no_plan.sh"].reason.startswith("it announced no number of points")
    assert not any(ran.tests[name].passed for name in ("content.sh", "short.sh", "no_plan.sh"))
    assert all(ran.tests[name].status == 0 for name in ("content.sh", "short.sh", "no_plan.sh"))


def test_a_taint_of_the_kernel_fails_a_test_that_is_content(ran: Ran) -> None:
    assert ran.tests["taints.sh"].reason == "taint: it gave the kernel the taint flag W (warning)"


def test_output_comes_as_it_was_printed(ran: Ran) -> None:
    first, *rest = ran.tests["odd.sh"].output
    assert first == "tab\there \x1b[31mred\ufffd end"
    assert rest == ["".join(f"{number:04d}," for number in range(700)), "", "last"]
    # ... and does nothing to the terminal where it is shown.
    assert "\x1b" not in ran.shown and "\\x1b[31mred\\xff end" in ran.shown


def test_no_character_and_no_line_is_lost(ran: Ran) -> None:
    first, *lines = ran.tests["long.sh"].output
    assert first + "\n" == "a\u00e4\u20ac" * 300 + "1\n" and first in ran.shown
    # A pipe holds more than is reported by the time that the program ends.
    assert lines == [str(number) for number in range(2, 10001)]


def test_the_guest_is_furnished(ran: Ran) -> None:
    assert ran.tests["place.sh"].output == (
        *("/tests", "beside", "helped one", "/bin:/tests", "dd", "/dev/pts", "/dev/shm"),
        *("/proc/self/fd", "/sys/kernel/debug/tracing", "/sys/kernel/tracing/events", "lo", "nobody", "writes", "x"),
        "/* a test */",
    )


def test_arguments_stay_what_they_are(ran: Ran) -> None:
    assert ran.tests["arguments.sh"].output == ("<a b>", "<$HOME>", "<*>")


def test_a_source_is_compiled_and_a_static_program_runs(ran: Ran) -> None:
    assert ran.tests["compiled.c"].output == ("by its header", "./compiled")
    # (its source is among the files)
    assert "/* a test */" in ran.tests["place.sh"].output
    assert ran.tests["static"].output == ("by its header", "last")


def test_a_command_of_the_guests_is_the_last_test(ran: Ran) -> None:
    *_, last = ran.modules["trouble"].tests
    assert last.kind == "command" and last.output[0] == "a command"
    loaded = [line.split()[0] for line in last.output[1:]]
    assert {"trouble", "suite", "dummy"} <= set(loaded)


def test_devices_and_modules_are_there(ran: Ran) -> None:
    assert ran.tests["devices.sh"].output == ("1", "0627", "/sys/class/net/dummy1")


def test_a_complaint_of_the_kernel_fails_a_test_that_is_content(ran: Ran) -> None:
    warned = ran.tests["warns.sh"]
    assert warned.status == 0 and all(point.result == "ok" for point in warned.points)
    assert not warned.passed and warned.reason.startswith("warning: the kernel warned: asked to warn (WARNING: ")
    assert [complaint.kind for complaint in warned.complaints] == ["warning"]
    # It is the module's fault, which the trace goes through.
    trouble = ran.modules["trouble"]
    assert [complaint.kind for complaint in trouble.complaints] == ["warning"]
    assert any("asked to warn" in line for line in trouble.complaints[0].log)
    assert (trouble.loaded, trouble.removed, trouble.content) == (True, True, False)
    assert ran.modules["suite"].content


def test_a_program_that_does_not_end_is_ended(ran: Ran) -> None:
    late = ran.tests["late.sh"]
    assert (late.passed, late.reason, late.output) == (False, "it did not end within 8 s", ("begun",))
    assert late.seconds >= 8
    left = ran.tests["daemon.sh"]
    assert left.passed and left.output == ("left it",)
    # (nor is anything of it there that a module would be asked for)
    assert "booting again" not in ran.shown


def test_a_flood_is_ended(ran: Ran) -> None:
    flood = ran.tests["flood.sh"]
    assert not flood.passed and flood.reason == "stopped: it printed more than 20000 lines or 1 MiB"
    assert len(flood.output) == 20000


def test_suites_of_kunit_are_read_from_the_log(ran: Ran) -> None:
    suite = ran.tests["sums"]
    assert (suite.kind, suite.passed, suite.reason) == ("kunit", False, "1 of 3 failed: subtracts")
    assert [(point.name, point.result) for point in suite.points] == [
        ("adds", "ok"),
        ("subtracts", "not ok"),
        ("divides", "skip"),
    ]
    assert suite.points[1].diagnostics == ("subtracts: EXPECTATION FAILED at x.c:7",)


def test_the_results_are_in_each_modules_object(ran: Ran) -> None:
    value = json.loads(json.dumps(ran.modules["suite"].to_json()))
    assert value["passed"] is False and value["complaints"] == []
    assert value["reason"] == "test sums: 1 of 3 failed: subtracts"
    points = next(test for test in value["tests"] if test["name"].endswith("points.sh"))
    assert points.keys() == {
        *("name", "kind", "passed", "skipped", "status", "seconds", "reason", "complaints", "points", "output")
    }
    assert points["points"][2] == {
        "number": 3,
        "name": "three",
        "result": "skip",
        "reason": "not here",
        "diagnostics": [],
        "points": [],
    }


def test_the_results_are_a_junit_document(ran: Ran) -> None:
    (suite,) = ElementTree.fromstring(as_junit(list(ran.modules.values())))
    cases = {(case.get("classname"), case.get("name")): case for case in suite}
    points = next(name for _, name in cases if name and name.endswith("points.sh"))
    assert cases["program", points].find("failure") is not None
    assert cases[points, "one"].find("failure") is None
    failure = cases[points, "two"].find("failure")
    assert failure is not None and failure.text == "why"
    skipped = cases[points, "three"].find("skipped")
    assert skipped is not None and skipped.get("message") == "not here"
    assert cases["kunit", "sums"].find("failure") is not None
    late = next(case for (_, name), case in cases.items() if name and name.endswith("late.sh"))
    assert float(late.get("time", "0")) >= 8
    for name in ("failure", "skipped"):
        counted = suite.get(f"{name}s" if name == "failure" else name)
        assert counted == str(sum(case.find(name) is not None for case in suite)) != "0"


def test_the_results_are_told_in_words(ran: Ran) -> None:
    said = describe_test(ran.tests["points.sh"], "6.1")
    assert "points.sh (6.1): failed: 1 of 3 failed: two; exit status 1\n  not ok: two\n    # why" in said
    assert describe_test(ran.tests["nested.sh"], "6.1").endswith("passed, 2 of 2")
    # Of one that has no points, its last words are shown.
    assert describe_test(ran.tests["status.sh"], "6.1").endswith("failed: exit status 3\n  > before")
    assert as_text(ran.modules["suite"]).split("\n")[0].endswith(": loaded and removed")
    assert re.search(r"^  TEST    .*points\.sh\nTAP version 14$", ran.shown, re.MULTILINE)


# --- Guests that do not come to their end.

Run = Callable[..., Completed]


@pytest.fixture
def command(tree: KernelTree, built: dict[str, Path], tmp_path: Path) -> Run:
    """`kbuildpy run` over modules by name, with scripts for tests."""

    def call(names: str, *words: str | Path, **scripts: str) -> Completed:
        tests: list[str | Path] = []
        for name, text in scripts.items():
            (tmp_path / f"{name}.sh").write_text(f"#!/bin/sh\n{text}\n")
            tests += ["--test", tmp_path / f"{name}.sh"]
        files = [built.get(name, Path(name)) for name in names.split()]
        argv = [sys.executable, "-m", "kbuildpy", "run", *files, "-k", tree.objects, *tests, *words]
        return run(argv, check=False, timeout=240)

    return call


def test_a_test_that_ends_the_guest_fails_and_all_else_gets_its_result(command: Run) -> None:
    dies = "echo c >/proc/sysrq-trigger"
    done = command(
        "suite", "--format", "json", first="echo 1..1; echo ok 1 a", ends="poweroff -f", dies=dies, after=":"
    )
    assert done.returncode == 1
    (result,) = map(json.loads, done.text.splitlines())
    reasons = {Path(test["name"]).stem: test["reason"] for test in result["tests"] if test["kind"] == "program"}
    assert reasons == {
        "first": None,
        "ends": "it ended the guest (poweroff, reboot)",
        "dies": "the kernel died while it ran",
        "after": None,
    }
    # Each test ran once, each boot began where the one before ended.
    assert [line for line in done.error_text.split("\n") if line.startswith(("  TEST", "  INSMOD"))] == [
        "  INSMOD  suite",
        *(f"  TEST    {test['name']}" for test in result["tests"][1:3]),
        "  INSMOD  suite",
        f"  TEST    {result['tests'][3]['name']}",
        "  INSMOD  suite",
        f"  TEST    {result['tests'][4]['name']}",
    ]
    assert (result["loaded"], result["removed"], result["complaints"]) == (True, True, [])


@pytest.mark.sweep
def test_a_process_that_hangs_in_the_kernel_is_its_modules_fault(command: Run) -> None:
    done = command("trouble", "--test-timeout", "3", "--timeout", "5", "--format", "junit", hangs=f"echo hang >{WRITE}")
    assert done.returncode == 1, done.error_text
    (suite,) = ElementTree.fromstring(done.text)
    failures = {case.get("name", "").rpartition("/")[2]: case.find("failure") for case in suite}
    hangs = failures["hangs.sh"]
    assert hangs is not None and hangs.get("message") == "it did not end within 3 s"
    trouble = failures["trouble.ko"]
    assert trouble is not None and trouble.get("type") == "hang"
    assert "trouble_set+" in (trouble.text or "")


def test_tests_are_not_run_without_all_modules(command: Run) -> None:
    done = command("suite refuses", plain="echo hello")
    assert done.returncode == 1
    # (after what is said of the modules)
    assert re.search(r"refuses\.ko .*\n(.*\n)*.*plain\.sh \(.*\): failed: not run: refuses was not loaded", done.text)
    assert "hello" not in done.text + done.error_text


@pytest.mark.sweep
def test_tests_are_not_run_without_a_module_that_was_to_come_first_or_cannot_be_read(
    command: Run, built: dict[str, Path], tmp_path: Path
) -> None:
    cut = tmp_path / "cut.ko"
    cut.write_bytes(built["suite"].read_bytes()[:-5000])
    done = command(f"suite {cut}", "--module", "dummy numdummies=many", "--format", "json", "--", "echo", "hello")
    damaged, result = map(json.loads, done.text.splitlines())
    assert damaged["complaints"][0]["kind"] == "damaged"
    assert result["loaded"] and result["reason"].startswith(
        "dummy, which --module names, was not loaded: the kernel refused it with EINVAL"
    )
    assert result["tests"][-1]["reason"] == "not run: cut and dummy were not loaded"


@pytest.mark.sweep
def test_a_test_after_which_something_is_left_behind_fails(command: Run) -> None:
    # (what ended the guest is not run once more when it is looked for the one to blame)
    makes_entry = f"echo entry >{WRITE}"
    done = command("trouble suite", "--format", "json", plain="echo hello", ends="poweroff -f", makes=makes_entry)
    results = list(map(json.loads, done.text.splitlines()))
    assert done.error_text.count("booting again") == 2
    _, plain, ends, makes = results[0]["tests"]
    assert plain["passed"] and not makes["passed"] and ends["reason"].startswith("it ended the guest")
    # (of two modules, it is not known which)
    assert makes["reason"] == "leak: the module left something behind: /proc/made_by_a_test"
    assert [result["complaints"] for result in results] == [[], []] and done.returncode == 1


def test_an_oops_in_a_test_is_its_modules_fault(command: Run) -> None:
    done = command("trouble", "--timeout", "3", "--", "sh", "-c", f"echo oops >{WRITE}")
    assert done.returncode == 1
    assert re.search(r"^sh -c .*: failed: oops: the kernel oopsed: ", done.text, re.MULTILINE)
    # (the place in the source stands before it)
    assert re.search(r"trouble\.ko .*\n(.*\n)*  oops: \w+ \(trouble\.c:\d+\)", done.text)
    assert re.search(r"trouble\.ko .*\n(.*\n)*.*the kernel oopsed", done.text)


def test_a_guest_goes_on_for_a_while_with_what_is_built_in(command: Run) -> None:
    done = command("suite", "--wait", "3", "--module", "8250", "-q", "--format", "json", "--append", "quiet")
    (result,) = map(json.loads, done.text.splitlines())
    assert [test["kind"] for test in result["tests"]] == ["kunit"]
    assert done.returncode == 1 and result["removed"]


@pytest.mark.sweep
def test_no_line_is_lost_where_a_thread_prints_the_log(place: Path, tmp_path: Path) -> None:
    tree = tree_called(NEWEST)
    module = build(tree, tmp_path / "m", {"plain": source()}, *other_compiler(tree))["plain"]
    words = [word for name in ("flood.sh", "long.sh") for word in ("--test", place / name)]
    done = run(
        [sys.executable, "-m", "kbuildpy", "run", module, "-k", image_of(tree), "--format", "json", *words], check=False
    )
    flood, long = json.loads(done.text)["tests"]
    assert "it printed more than" in flood["reason"] and len(flood["output"]) == 20000
    assert len(long["output"]) == 10000 and long["passed"]


# --- Wrong calls.


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--device", "no-such-thing"], "'no-such-thing' is not a valid device model name"),
        (["--device", "edu,colour=red"], "colour"),
        (["--module", "no_such_module"], "has no such module"),
        (["--module", "dumy"], "did you mean dummy"),
    ],
)
def test_what_there_is_not_is_one_error(words: list[str], why: str, command: Run) -> None:
    done = command("suite", *words, "-q")
    assert done.returncode == 2 and why in done.error_text, done.error_text
    assert done.error_text.count("error:") == 1 and "Traceback" not in done.error_text
    assert done.text == ""


def test_a_test_that_the_guest_cannot_run_is_refused(built: dict[str, Path], tree: KernelTree, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("just words\n")
    (tmp_path / "bash.sh").write_text("#!/bin/bash\n")
    (tmp_path / "python").write_text("#!/usr/bin/env python3\n")
    (tmp_path / "dos.sh").write_text("#!/bin/sh\r\necho hello\r\n")
    (tmp_path / "bad.c").write_text("int main(void) { return oops; }\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "same.sh").write_text("#!/bin/sh\n")
    (tmp_path / "same.sh").write_text("#!/bin/sh\n")
    subprocess.run(["gcc", "-x", "c", "-o", tmp_path / "dynamic", "-"], input=b"int main(void){return 0;}", check=True)
    (tmp_path / "other").write_bytes((tmp_path / "dynamic").read_bytes()[:18] + b"\xb7" + b"\0" * 200)
    (tmp_path / "cut").write_bytes((tmp_path / "dynamic").read_bytes()[:18])
    (tmp_path / "object").write_bytes((tmp_path / "dynamic").read_bytes()[:16] + b"\1\0>\0" + b"\0" * 200)
    for words, why, status in (
        (["--test", "nowhere"], "nowhere: No such file", 2),
        (["--test", "a"], "a: Is a directory", 2),
        (["--test", "empty"], "empty: an empty file", 2),
        (["--test", "text"], "neither a script", 2),
        (["--test", "bash.sh"], "the guest has no /bin/bash", 2),
        (["--test", "python"], "the guest has no python3", 2),
        (["--test", "dos.sh"], "end with CR LF", 2),
        (["--test", "dynamic"], "linked dynamically", 2),
        (["--test", "other"], "for another machine", 2),
        (["--test", "object"], "not linked", 2),
        (["--test", "cut"], "cut: damaged", 2),
        (["--device", "edu,help"], "asks QEMU for help", 2),
        (["--test", "bad.c"], "gcc cannot compile it", 1),
        (["--test", "same.sh", "--test", "a/same.sh"], "would both be /tests/same.sh", 2),
        (["--file", "a"], "a: Is a directory", 2),
        (["--file", "nowhere"], "nowhere: No such file", 2),
        (["--test", ""], "an empty name", 2),
        (["--test-timeout", "0"], "at least one second", 2),
        (["--wait", "-1"], "not a number of seconds, 0 or more", 2),
        (["--device", " "], "an empty name", 2),
        (["--"], "no command follows", 2),
    ):
        argv: list[str | Path] = [sys.executable, "-m", "kbuildpy", "run", built["suite"], "-k", tree.objects, *words]
        done = run(argv, check=False, cwd=tmp_path, timeout=60)
        assert (done.returncode, done.text) == (status, ""), (words, done.error_text)
        assert why in done.error_text, (words, done.error_text)
        assert done.error_text.count("kbuildpy: error:") == 1 and "Traceback" not in done.error_text
