# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run --gdb-at init`: the guest is stopped where the kernel is about to call a module's init function.

The oracle is gdb's own look at the guest, and what the kernel reports afterwards.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kbuildpy.run import run
from kbuildpy.vm.gdb_stub import GdbStub
from kbuildpy.vm.machine import ARM64
from kbuildpy.vm.trial import read_trial
from tests.support.bad_modules import build, source
from tests.support.free_port import free_port
from tests.support.guest_kernels import kernel_to_run, one_of, tree_called
from tests.support.samples import built_samples

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="boots x86-64 kernels in QEMU"),
]

SOURCES = {
    "counter": source(
        before="static int count __initdata = 5;\nstatic int steps = 7;\n",
        init='steps += count;\npr_info("counted %d\\n", steps);\nreturn 0;',
    ),
    # (it exports a function, and has nothing else)
    "library": (
        "#include <linux/module.h>\nint shared(void);\nint shared(void) { return 1; }\n"
        'EXPORT_SYMBOL_GPL(shared);\nMODULE_LICENSE("GPL");\n'
    ),
}


@pytest.fixture(scope="module", params=one_of("6.12", "6.1"))
def modules(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(tree_called(request.param), tmp_path_factory.mktemp("stopped") / "m", SOURCES)


@contextmanager
def stopped(*words: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], int, list[str]]]:
    """A run whose guest waits for a debugger: the process, the port, and what it has printed."""
    port = free_port()
    argv = [sys.executable, "-m", "kbuildpy", "run", "--gdb", port, "--gdb-at", "init", "--format", "json", *words]
    process = subprocess.Popen([*map(str, argv)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stderr
        said: list[str] = []
        for line in process.stderr:
            said.append(line.decode().rstrip("\n"))
            if said[-1] == "continue":
                break
            if said[-1].startswith("add-symbol-file") and any("called no init function" in text for text in said):
                break
        yield process, port, said
    finally:
        process.kill()
        process.communicate()


def result_of(process: subprocess.Popen[bytes]) -> dict[str, object]:
    output, rest = process.communicate(timeout=120)
    assert process.returncode == 0, rest.decode()
    found: dict[str, object] = json.loads(output)
    return found


def test_gdb_is_at_the_first_line_of_the_init_function_and_sees_data_that_is_freed_later(
    modules: dict[str, Path],
) -> None:
    if shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    with stopped(modules["counter"]) as (process, _port, said):
        # (the printed commands, as one would paste them)
        commands = [line for line in said if re.match("add-symbol-file|tbreak|continue", line)]
        attach = next(line for line in said if line.startswith("gdb -ex"))
        target = re.search("'(target remote .*)'", attach)
        assert target
        asked = ["print count", "print steps", "finish", "print steps", "detach"]
        words = [word for line in [target[1], *commands, *asked] for word in ("-ex", line)]
        seen = run(["gdb", "-nx", "-batch", "-ex", "set confirm off", *words], timeout=120, check=False).text
        assert re.search(r"hit Temporary breakpoint 1, test_init \(\) at .*counter\.c:\d+", seen), seen
        # count is in .init.data; `finish` returns to the kernel after steps was counted up.
        assert re.findall(r"^\$\d = (\d+)", seen, re.MULTILINE)[:2] == ["5", "7"], seen
        assert re.findall(r"^\$\d = (\d+)", seen, re.MULTILINE)[-1] == "12", seen
        assert not any("counter: counted" in line for line in said)
        found = result_of(process)
        assert found["loaded"] and found["removed"] and not found["complaints"]
        assert "counter: counted 12" in "\n".join(map(str, found["log"])), found  # type: ignore[call-overload]


@pytest.mark.sweep
def test_a_module_without_an_init_function_stops_the_guest_after_loading(modules: dict[str, Path]) -> None:
    with stopped(modules["library"]) as (process, port, said):
        assert (
            "kbuildpy: the kernel called no init function of a module that was given; it is stopped after loading"
            in said
        )
        stub = GdbStub(port)
        stub.detach()
        assert result_of(process)["removed"]


@pytest.mark.sweep
def test_a_kernel_for_arm64_is_stopped_before_the_init_function(tmp_path_factory: pytest.TempPathFactory) -> None:
    tree = tree_called("6.12-arm64")
    file = next(file for file in built_samples(tree, tmp_path_factory) if file.name == "hello.ko")
    with stopped("-k", kernel_to_run(tree), file) as (process, port, said):
        registers = ARM64.call_registers
        assert registers
        init_function = next(int(line.removeprefix("tbreak *"), 16) for line in said if line.startswith("tbreak *"))
        stub = GdbStub(port)
        arguments = []
        for processor in ("1", "2"):
            stub.select_processor(processor)
            arguments.append(stub.read_register(registers.argument))
        assert init_function in arguments
        # The debugger's commands have the address of .init.text, the file has the function's place in it.
        command = next(line for line in said if line.startswith("add-symbol-file"))
        start = re.search(r"-s \.init\.text (0x[0-9a-f]+)", command)
        assert start
        place = next(symbol.value for symbol in read_trial(file).image.symbols if symbol.name == "init_module")
        assert init_function == int(start[1], 16) + place
        stub.insert_breakpoint(init_function)
        stub.resume()
        assert stub.wait()
        assert stub.read_register(registers.counter) == init_function
        stub.detach()
        assert result_of(process)["loaded"]
