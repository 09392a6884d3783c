# SPDX-License-Identifier: GPL-2.0-only
"""A guest that is kept: a shell in it on a terminal, a debugger at its modules; and what is missing to have one."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kbuildpy.debug.gdb_commands import add_symbol_file
from kbuildpy.run import run
from kbuildpy.vm.image import fetch_kernel_image
from kbuildpy.vm.kernels import find_kernels
from kbuildpy.vm.trial import read_trial
from tests.support.bad_modules import build, source
from tests.support.free_port import free_port
from tests.support.guest_kernels import boots_x86_64, one_of, tree_called
from tests.support.interrupts import can_be_interrupted

pytestmark = [
    pytest.mark.vm,
    boots_x86_64,
]

# Code in .text and in .exit.text, and something in .data.
SOURCE = source(
    before="noinline int counted(int by);\nstatic int count = 5;\n"
    "noinline int counted(int by) { count += by; return count; }\nEXPORT_SYMBOL_GPL(counted);\n",
    exit='pr_info("counted %d\\n", counted(2));',
)


LINES = one_of("6.1", "6.12")


@pytest.fixture(scope="module", params=LINES)
def module(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module, built for a line of kernels."""
    return build(tree_called(request.param), tmp_path_factory.mktemp("kept") / "m", {"counter": SOURCE})["counter"]


def once(module: Path) -> None:
    """Skip the test for other kernels than the first."""
    if not module.parent.name.startswith(f"{LINES[0]}."):
        pytest.skip("one kernel is enough")


def command(*words: str | int | Path) -> list[str]:
    return [sys.executable, "-m", "kbuildpy", "run", *map(str, words)]


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        (["busybox"], ("qemu-system-x86_64: program not found", "apt-get install qemu-system-x86")),
        (
            [],
            (
                "busybox and qemu-system-x86_64: programs not found",
                "apt-get install busybox-static qemu-system-x86",
            ),
        ),
        (["qemu-system-x86_64"], ("busybox: program not found", "apt-get install busybox-static")),
    ],
)
def test_a_missing_program_is_named_with_its_package(
    module: Path, programs: list[str], said: tuple[str, str], tmp_path: Path
) -> None:
    for name in programs:
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    done = run(command(module), check=False, env={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 1
    assert all(words in done.error_text for words in said)
    assert not done.stdout and "Traceback" not in done.error_text


def test_an_image_tells_its_release(module: Path) -> None:
    image = fetch_kernel_image(module.parent.name)
    assert [kernel.release for kernel in find_kernels([str(image), module.parent.name], {})] == [module.parent.name]


def test_a_module_for_another_kernel_is_refused_in_words(module: Path) -> None:
    if not module.parent.name.startswith("6.1."):
        pytest.skip("one way is enough")
    done = run(command(module, "-k", tree_called("6.12").release, "--format", "json", "-q"), check=False)
    assert (done.returncode, done.error_text) == (1, "")
    result = json.loads(done.text)
    assert (result["kernel"], result["errno"]) == (tree_called("6.12").release, "ENOEXEC")
    # kernel/module/main.c of 6.12: elf_validity_cache_copy
    assert "section size must match the kernel's built struct module size at run time" in result["reason"]


def test_a_damaged_file_does_not_keep_the_others_from_being_tried(module: Path, tmp_path: Path) -> None:
    once(module)
    cut = tmp_path / "cut.ko"
    cut.write_bytes(module.read_bytes()[:-5000])
    done = run(command(cut, module, "--format", "json"), check=False)
    assert done.returncode == 1
    first, second = map(json.loads, done.text.splitlines())
    assert (first["name"], first["kernel"], first["complaints"][0]["kind"]) == ("cut", None, "damaged")
    assert (second["name"], second["passed"]) == ("counter", True)


def booting(module: Path, scratch: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A run whose kernel has begun to start, with its temporary files in `scratch`; it, and the process of QEMU."""
    process = subprocess.Popen(
        command(module, "-v"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(scratch)},
        preexec_fn=can_be_interrupted,
    )
    assert process.stderr
    while b"Linux version" not in process.stderr.readline():
        pass
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (child,) = [child for child in children if "qemu" in Path(f"/proc/{child}/comm").read_text()]
    return process, int(child)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_the_kernel_too(module: Path, number: signal.Signals, tmp_path: Path) -> None:
    once(module)
    process, qemu = booting(module, tmp_path)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    end = time.monotonic() + 5
    while Path(f"/proc/{qemu}").exists():
        assert time.monotonic() < end, "QEMU goes on"
        time.sleep(0.05)
    # (who is killed leaves its files)
    assert number == signal.SIGKILL or not list(tmp_path.iterdir())


def test_a_signal_to_qemu_is_no_want_of_memory(module: Path, tmp_path: Path) -> None:
    once(module)
    process, qemu = booting(module, tmp_path)
    os.kill(qemu, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.endswith(b"kbuildpy: error: qemu-system-x86_64 was ended by signal 2\n")
    assert b"memory than" not in said


def test_a_kernel_that_panics_before_its_first_program_is_booted_once_more(module: Path) -> None:
    once(module)
    done = run(command(module, "--append", "rdinit=/nowhere"), check=False, timeout=120)
    assert done.returncode == 1
    assert done.error_text.count("before it ran the guest's first program; booting it once more\n") == 1
    assert "did not start in QEMU" in done.error_text and "Unable to mount root fs" in done.error_text


def test_a_port_that_is_taken_is_named(module: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = run(command(module, "--gdb", port), check=False, timeout=60)
    assert done.returncode == 1
    assert f"port {port} is in use" in done.error_text


# --- A debugger.


@pytest.fixture(scope="module")
def debugged(
    module: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """A run that waits for a debugger; its port, and the script for gdb."""
    port, script = free_port(), tmp_path_factory.mktemp("gdb") / "counter.gdb"
    words = command("--gdb", port, "--gdb-script", script, "--format", "json", module)
    process = subprocess.Popen(
        [*words, "--", "cat", "/sys/module/counter/taint"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr
    for line in process.stderr:
        if line.decode() == f"gdb -x {script}\n":
            break
    yield process, port, script
    process.kill()
    process.communicate()


def test_a_debugger_stops_in_the_module_and_shows_its_source_and_data(
    debugged: tuple[subprocess.Popen[bytes], int, Path], module: Path
) -> None:
    if shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    process, port, script = debugged
    assert f"target remote 127.0.0.1:{port}\n" in script.read_text()
    commands = [
        "break counted",
        "continue",
        "print by",
        "print count",
        "up",
        "delete",
        "detach",
    ]
    words = [word for line in commands for word in ("-ex", line)]
    said = run(["gdb", "-nx", "-batch", "-ex", "set pagination off", "-x", script, *words], timeout=120).text
    # counted() is in .text, its caller in .exit.text, the variable in .data.
    assert re.search(r"Breakpoint 1, counted \(by=(2|<optimized out>|by@entry=2)\).*counter\.c:\d+", said)
    assert "= 2" in said and "= 5" in said
    assert re.search(r"#1 +0x[0-9a-f]+ in test_exit \(\) at .*counter\.c:\d+", said)
    output, rest = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert b"counter: counted 7" in output
    # (a test runs when the debugger lets the guest go on)
    (test,) = json.loads(output)["tests"]
    assert test["output"] == ["OE"]


def test_sections_that_are_gone_or_not_in_memory_are_left_out(module: Path) -> None:
    found = read_trial(module)
    sections = {".text": "0x1000", ".init.text": "0x2000", ".exit.text": "0x3000", ".symtab": "0x4000"}
    assert add_symbol_file(module, found.image, sections) == f"add-symbol-file {module} 0x1000 -s .exit.text 0x3000"


# --- A shell.


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv: list[str]) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execv(argv[0], argv)
        self.unread = b""

    def expect(self, words: bytes, seconds: float = 120) -> bytes:
        """Wait for `words`; what came before."""
        end = time.monotonic() + seconds
        while words not in self.unread:
            readable, _, _ = select.select([self.descriptor], [], [], max(end - time.monotonic(), 0))
            assert readable, f"no {words!r} in {self.unread!r}"
            self.unread += os.read(self.descriptor, 4096)
        before, _, self.unread = self.unread.partition(words)
        return before

    def type(self, words: bytes) -> None:
        os.write(self.descriptor, words)

    def end(self) -> tuple[int, str]:
        """Wait for the program's end; its exit status, and what it printed until then."""
        # (a terminal whose other end is closed gives EIO)
        with suppress(OSError):
            while more := os.read(self.descriptor, 4096):
                self.unread += more
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), self.unread.decode(errors="replace")


@pytest.fixture
def terminal(module: Path, tmp_path: Path) -> Iterator[Terminal]:
    """A run that was started with --keep and a test, and has got to its shell."""
    (tmp_path / "kept.sh").write_text("echo it-is-$((7*7)); exit 1\n")
    found = Terminal(command("--keep", module, "--test", tmp_path / "kept.sh"))
    before = termios.tcgetattr(found.descriptor)
    guide = found.expect(b"guest# ")
    assert b"`exit` removes the modules and ends the guest" in guide
    assert b"it-is-49" not in guide
    assert b"counter: loading out-of-tree module" in guide
    yield found
    assert termios.tcgetattr(found.descriptor) == before
    os.close(found.descriptor)


def test_a_shell_sees_the_module_and_leaving_it_removes_that(terminal: Terminal, module: Path) -> None:
    terminal.type(b"cat /sys/module/counter/taint; uname -r; echo is-$((6*7))\r")
    said = terminal.expect(b"is-42\r")
    assert b"\nOE\r" in said and module.parent.name.encode() in said
    # A test is run by the one who has the shell, and what comes of it is no result.
    terminal.type(b"/tests/kept.sh\r")
    terminal.expect(b"it-is-49\r")
    # An interrupt ends what runs in the guest, not the guest.
    terminal.type(b"sleep 1000\r")
    time.sleep(1)
    terminal.type(b"\x03")
    terminal.expect(b"guest# ", 20)
    terminal.type(b"exit\r")
    terminal.expect(b"counter: counted 7")
    terminal.expect(b": loaded and removed")
    status, rest = terminal.end()
    assert status == 0, rest


def test_a_guest_that_is_ended_from_its_shell_is_a_complaint(terminal: Terminal) -> None:
    terminal.type(b"\x01x")
    terminal.expect(b"it was not removed: the kernel was stopped while it was loaded")
    assert terminal.end()[0] == 1
