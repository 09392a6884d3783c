# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy debug` over what a real kernel shows: the oracles are its own list of symbols, gdb over its memory, and its
answers to the commands."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.cli.debug import add_arguments, print_commands
from kbuildpy.run import run
from tests.support.bad_modules import build, source
from tests.support.builds import kbuildpy
from tests.support.guest_kernels import boots_x86_64, one_of, tree_called
from tests.support.packages import unpacked

pytestmark = [
    pytest.mark.vm,
    boots_x86_64,
]

# Code in .text, variables in .data and .bss, a message; functions that can be traced.
SOURCE = source(
    before="int counted(int by);\nstatic int count = 5;\nint untouched[4];\n"
    'noinline int counted(int by)\n{\n\tpr_debug("by %d\\n", by);\n\tcount += by;\n\treturn count + untouched[0];\n}\n'
    "EXPORT_SYMBOL_GPL(counted);\n"
    "static int ask(const char *text, const struct kernel_param *by)\n{\n\tcounted(2);\n\treturn 0;\n}\n"
    "static const struct kernel_param_ops operations = { .set = ask };\n"
    "module_param_cb(ask, &operations, NULL, 0200);\n",
)
SHOWN = (
    "proc/sys/kernel/osrelease",
    "proc/mounts",
    "proc/kallsyms",
    "proc/kcore",
    "proc/dynamic_debug/control",
    "sys/kernel/notes",
    "sys/kernel/security/lockdown",
    "sys/module/counter/initstate",
    "sys/module/counter/srcversion",
    "sys/module/counter/notes/.note.gnu.build-id",
    "sys/module/counter/sections/.*",
)
# (in hexadecimal, a line for each file; of the kernel's symbols those that are asked for, of its memory nothing)
COPY = f"""#!/bin/sh
cd /
for file in {" ".join(SHOWN)}; do
    [ -f "$file" ] || continue
    case $file in
    proc/kallsyms) grep -E ' _text$|\\[counter\\]' $file ;;
    proc/kcore | proc/dynamic_debug/control) : ;;
    *) cat "$file" ;;
    esac | hexdump -v -e '1/1 "%02x"' | sed "s|^|$file |;\\$s|\\$||"
    echo " $file"
done
"""
# Both boots are to load the module to the same address.
ALIKE = ("--append", "nokaslr", "--format", "json", "-q")


@dataclass(frozen=True)
class Guest:
    """A kernel that ran, what it showed of itself as files below `root`, and what is printed for it."""

    module: Path
    root: Path
    status: int
    printed: dict[str, Any]
    error: str

    def tool(self, name: str) -> list[str]:
        [found] = [each for each in self.printed["tools"] if each["tool"] == name]
        return [*found["commands"]]

    def inside(self, name: str) -> list[str]:
        [found] = [each for each in self.printed["tools"] if each["tool"] == name]
        return [*found["inside"]]


def output(module: Path, script: Path, *words: str | Path) -> list[str]:
    """What a test in the guest prints, which must pass."""
    done = kbuildpy("run", module, "--test", script, *ALIKE, *words)
    assert done.returncode == 0, done.text + done.error_text
    (test,) = json.loads(done.text)["tests"]
    lines: list[str] = test["output"]
    return lines


@pytest.fixture(scope="module", params=one_of("6.1", "6.12"))
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A module, built for a line of kernels, and a directory."""
    place = tmp_path_factory.mktemp("debug")
    return build(tree_called(request.param), place / "m", {"counter": SOURCE})["counter"], place


@pytest.fixture
def guest(place: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Guest:
    module, directory = place
    monkeypatch.chdir(directory)
    root = directory / "root"
    if not root.exists():
        (directory / "copy.sh").write_text(COPY)
        for line in output(module, directory / "copy.sh"):
            *content, name = line.split(" ")
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(bytes.fromhex(content[-1] if content else ""))
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    status = print_commands(parser.parse_args([str(module), "--format", "json"]), root)
    said = capsys.readouterr()
    return Guest(module, root, status, json.loads(said.out), said.err)


def prepare(guest: Guest) -> None:
    """Run the commands that come before gdb's."""
    for line in guest.tool("gdb")[:-1]:
        run(["sh", "-c", line])


def test_gdb_has_the_symbols_where_the_kernel_has_them(guest: Guest) -> None:
    if shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    assert (guest.status, guest.error) == (0, "")
    assert (guest.printed["loaded"], guest.printed["same_build"]) == (True, True)
    kernels = {
        words[2]: int(words[0], 16)
        for line in (guest.root / "proc/kallsyms").read_text().splitlines()
        if (words := line.split())[-1] == "[counter]"
    }
    assert kernels["counted"] and kernels["count"]
    # (the copy has no memory)
    commands = [line for line in guest.printed["gdb_script"] if not line.startswith("core-file")]
    shown = ("counted", "count", "untouched", "test_exit")
    words = [word for line in (*commands, *(f"print &{name}" for name in shown)) for word in ("-ex", line)]
    prepare(guest)
    said = run(["gdb", "-nx", "-batch", *words]).text
    found = dict(re.findall(r"0x([0-9a-f]+) <(\w+)>", said))
    assert {name: int(address, 16) for address, name in found.items()} == {name: kernels[name] for name in shown}


def test_gdb_shows_a_variable_in_the_memory_of_the_running_kernel(guest: Guest, tmp_path: Path) -> None:
    gdb = unpacked("gdb-minimal") / "usr/bin/gdb"
    libraries = run(["ldd", gdb]).text
    if "not found" in libraries:
        pytest.skip("libraries of gdb-minimal are not installed")
    loader = Path(re.findall(r"(/\S*ld-linux\S*)", libraries)[0])
    files = [gdb, loader, *map(Path, re.findall(r"=> (/\S+)", libraries))]
    prepare(guest)
    [adding] = [line for line in guest.printed["gdb_script"] if line.startswith("add-symbol-file")]
    file = Path(shlex.split(adding)[1])
    # (the guest has the files of a test in one directory)
    script = [line.replace(str(file), f"/tests/{file.name}") for line in guest.printed["gdb_script"]]
    (tmp_path / "script.gdb").write_text("\n".join([*script, guest.inside("gdb")[-1], ""]))
    call = f"./{loader.name} --library-path /tests ./gdb -nx -batch -x script.gdb 2>/dev/null | tail -n 1"
    asked = f"cd /tests\n{call}\necho 1 > /sys/module/counter/parameters/ask\n{call}\n"
    (tmp_path / "ask.sh").write_text(f"#!/bin/sh -e\n{asked}")
    given = [word for each in (*files, file, tmp_path / "script.gdb") for word in ("--file", each)]
    assert output(guest.module, tmp_path / "ask.sh", "--memory", "1024", *given) == ["$1 = 5", "$1 = 7"]


def test_the_kernel_takes_the_commands_of_dynamic_debug_and_of_tracing(guest: Guest, tmp_path: Path) -> None:
    tracing = [line for line in guest.tool("trace") if not line.startswith("perf ")]
    [pipe] = [number for number, line in enumerate(tracing) if line.endswith("/trace_pipe")]
    assert tracing[0].startswith("echo ':mod:counter' > /sys/kernel/")
    messages = [line for line in guest.tool("dyndbg") if line.startswith("echo ")]
    assert len(messages) == 3
    off = [line.replace("+p", "-p") for line in messages]
    ask = "echo 1 > /sys/module/counter/parameters/ask"
    listed = "grep -F '[counter]' /proc/dynamic_debug/control"
    switched = [line for on, back in zip(messages, off, strict=True) for line in (on, listed, back)]
    lines = [
        "#!/bin/sh -e",
        *switched,
        *tracing[:pipe],
        ask,
        f"cat {shlex.split(tracing[pipe])[1]}".replace("_pipe", ""),
    ]
    lines += tracing[pipe + 1 :]
    (tmp_path / "try.sh").write_text("\n".join([*lines, "echo all"]))
    said = output(guest.module, tmp_path / "try.sh")
    assert said[-1] == "all"
    # (each query finds the one message that there is)
    assert len([line for line in said if re.search(r"counter\.c:\d+ \[counter\]counted =p ", line)]) == 3, said
    assert any("counter_counted: (counted+0x" in line for line in said), said
    assert any(re.search(r": counted <-(ask|param_attr_store)", line) for line in said), said
