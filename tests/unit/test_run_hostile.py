# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run` and a module whose author means harm: what it calls itself becomes no path and no command."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from kbuildpy.debug.gdb_commands import add_symbol_file
from kbuildpy.debug.script_file import write_script
from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve_release
from kbuildpy.loader.check import built_for
from kbuildpy.run import run
from kbuildpy.vm import cpio, session
from kbuildpy.vm.boot_report import BootReport
from kbuildpy.vm.complaints import find_complaints
from kbuildpy.vm.debugger import attached, how_to_attach, symbol_commands
from kbuildpy.vm.guest import Guest
from kbuildpy.vm.judge import judge
from kbuildpy.vm.kernels import Kernel, kernels_of_releases
from kbuildpy.vm.left_behind import MemoryOwners, leaked_memory
from kbuildpy.vm.machine import X86_64
from kbuildpy.vm.report import FORGED
from kbuildpy.vm.settings import Settings
from kbuildpy.vm.trial import Trial, read_trial
from kbuildpy.vm.vouching import VOUCHED, new_vouchers
from tests.support.elf_objects import Sec, elf_object

NAMES = (b"../../x", b"/etc/x", b"..", b"", b"a b", b"a\n1 b - /modules/list", b"a\tb", b"\x1b[2J", b"\xff", b"a" * 56)


def module(directory: Path, modinfo: bytes, file: str = "a.ko") -> Path:
    path = directory / file
    path.write_bytes(elf_object([Sec(".text"), Sec("x\nshell touch y")], [], modinfo=modinfo))
    return path


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_name_that_leads_elsewhere_or_is_no_word_is_refused(name: bytes, tmp_path: Path) -> None:
    with pytest.raises(KbuildError, match="no module can be called") as refused:
        read_trial(module(tmp_path, b"name=" + name + b"\0license=GPL\0"))
    # (the file is at fault, not the call: other modules go on)
    assert not isinstance(refused.value, UsageError)


@pytest.mark.parametrize("name", ["a b.ko", "\udcff.ko", "a\n1 b.ko"], ids=repr)
def test_the_name_of_a_file_is_looked_at_like_one_inside_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(KbuildError, match="no module can be called"):
        read_trial(module(tmp_path, b"license=GPL\0", name))


@pytest.mark.parametrize("name", ["a", "snd_hda_codec", "a.b", "a,b+c", "st*r", "\u00fcber", "x" * 55])
def test_a_name_that_a_module_can_have_is_taken(name: str, tmp_path: Path) -> None:
    assert read_trial(module(tmp_path, b"name=" + name.encode() + b"\0")).name == name


@pytest.mark.parametrize(
    ("stated", "release"),
    [
        ("6.1.0-56-amd64 SMP mod_unload", "6.1.0-56-amd64"),
        ("6.12.117+deb12-amd64 SMP", "6.12.117+deb12-amd64"),
        ("../../tmp/tree SMP", ""),
        ("6.1/../../tmp/tree SMP", ""),
        ("/tmp/tree SMP", ""),
        ("all SMP", ""),
        ("running SMP", ""),
        (". SMP", ""),
        ("-oDir::Etc=x SMP", ""),
        ("6" * 65, ""),
    ],
)
def test_a_vermagic_names_a_release_or_nothing(stated: str, release: str, tmp_path: Path) -> None:
    assert read_trial(module(tmp_path, b"vermagic=" + stated.encode() + b"\0")).release == release


def test_a_release_is_no_file_of_the_directory_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "6.66.6-evil").write_bytes(b"an image")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # (no apt that looks for a package)
    with pytest.raises(UsageError, match=r"6\.66\.6-evil"):
        kernels_of_releases(["6.66.6-evil"])


def test_what_a_guest_reports_becomes_no_command_of_the_debugger(tmp_path: Path) -> None:
    found = read_trial(module(tmp_path, b"name=a\0"))
    sections = {
        ".text": "0x1000",
        "x\nshell touch y": "0x2000",
        ".data": "0x3000; shell touch y",
        ".other\nshell touch y": "0x4000",
        "": "",
    }
    (line,) = symbols = symbol_commands([found], {0: sections}, tmp_path)
    assert how_to_attach(symbols, 1234, None).splitlines()[2:] == ["gdb -ex 'target remote 127.0.0.1:1234'", line, ""]
    write_script(tmp_path / "script", attached(symbols, 1234), option="--gdb-script")
    assert (tmp_path / "script").read_text().splitlines() == [
        "set confirm off",
        "target remote 127.0.0.1:1234",
        line,
    ]
    assert line.endswith(" 0x1000 -s 'x\\nshell touch y' 0x2000")
    (image,) = [ModuleImage.from_path(found.file)]
    assert add_symbol_file(found.file, image, {"": "", ".text": "nonsense"}) == f"add-symbol-file {found.file}"


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a//b", "a/./b", "", "a\0b"])
def test_no_archive_has_a_path_that_leads_out(path: str) -> None:
    with pytest.raises(ValueError, match="no path of a file in an archive"):
        cpio.archive([cpio.file(path, b"")])


@pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")
def test_the_guests_script_takes_a_name_for_no_pattern(tmp_path: Path) -> None:
    """Its own lines, run by the shell that runs them in a guest."""
    script = (Path(__file__).parents[2] / "kbuildpy/vm/guest_run.sh").read_text()
    start = script.index("line_of() {")
    function = script[start : script.index("}\n", start) + 2].replace("/proc/modules", str(tmp_path / "modules"))
    start = script.index("set -f")
    loop = script[start : script.index("for module; do")]
    (tmp_path / "modules").write_text("axb 1 0 - Live 0x1\na.b 2 0 - Live 0x2\nst*r 3 0 - Live 0x3\n")
    (tmp_path / "0:star").touch()
    text = f"{function}\nname=a.b; line_of; name='st*r'; line_of; loaded='0:st*r 1:a.b'\n{loop}\necho $# \"$1\"\n"
    said = run(["busybox", "sh", "-c", text], cwd=tmp_path).text
    assert said == "a.b 2 0 - Live 0x2\nst*r 3 0 - Live 0x3\n2 0:st*r\n"


def test_a_check_by_the_own_kernel_opens_no_tree_that_the_module_names(tmp_path: Path) -> None:
    (tmp_path / "6.66.6-evil").mkdir()
    named = [
        module(tmp_path, b"\0vermagic=../tree SMP\0", "a.ko"),
        module(tmp_path, b"\0vermagic=all SMP\0", "b.ko"),
        module(tmp_path, b"\0vermagic=6.66.6-evil SMP\0", "c.ko"),
    ]
    groups, silent = built_for(named)
    assert [path.name for path, _ in silent] == ["a.ko", "b.ko"]
    assert list(groups) == ["6.66.6-evil"]


def test_a_release_that_a_module_names_is_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("kbuildpy.kernel.find.open_tree", opened.append)
    monkeypatch.setattr("kbuildpy.kernel.words.open_tree", opened.append)
    (tmp_path / "6.66.6-evil").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"6\.66\.6-evil"):
        resolve_release("6.66.6-evil", Need.EITHER, root=tmp_path / "system")
    assert opened == []


SCRIPTS = ("guest_run.sh", "guest_tests.sh")
WORDS = [f"{number:012x}" for number in range(40)]


def heard(lines: list[str], **options: Any) -> BootReport:
    """What a guest with two modules has reported, by these lines of its console."""
    guest = Guest(["a", "b"], marker="m", vouchers=WORDS, limit=4, show=lambda chunk: None, **options)
    guest.watch("".join(f"{line}\n" for line in lines).encode())
    return guest.report()


def test_a_report_without_its_word_is_a_line_of_the_log_and_a_complaint() -> None:
    forged = ["m: errno 0", "m: tainted 0", "m: loaded", f"m: done {'0' * 12}", f"m: errno 0 {WORDS[0]}"]
    lines = [f"m: ready 6.1 {WORDS[0]}", f"m: insmod 0 {WORDS[1]}", *forged, f"m: errno 19 {WORDS[2]}"]
    boot = heard([*lines, f"m: tainted 12 {WORDS[3]}"])
    step = boot.modules[0].load
    assert step is not None and (step.errno, step.tainted) == (19, 12)
    assert not boot.done
    assert {complaint.kind for complaint in find_complaints(step.log, modules=["a", "b"])} == {"forged"}
    assert step.log == [f"{FORGED}{line.removeprefix('m: ')}" for line in forged]


def test_a_word_is_good_once_and_a_lost_line_spoils_no_later_one() -> None:
    lines = [f"m: ready 6.1 {WORDS[0]}", f"m: insmod 0 {WORDS[1]}", f"m: errno 1 {WORDS[2]}"]
    again = [f"m: errno 0 {WORDS[2]}", f"m: insmod 1 {WORDS[1]}"]
    # (the line with word 3 was lost)
    boot = heard([*lines, *again, f"m: insmod 1 {WORDS[4]}", f"m: errno 0 {WORDS[5]}"])
    first, second = boot.modules[0].load, boot.modules[1].load
    assert first is not None and second is not None
    assert (first.errno, second.errno, list(boot.modules)) == (1, 0, [0, 1])


@pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")
def test_the_guests_script_vouches_for_what_it_is_told_to(tmp_path: Path) -> None:
    """Its own function, run by the shell that runs it in a guest."""
    script = (Path(__file__).parents[2] / "kbuildpy/vm/guest_run.sh").read_text()
    start = script.index("report() {")
    function = script[start : script.index("\n}\n", start) + 3]
    function = function.replace(">/dev/kmsg", f">>{tmp_path}/kmsg").replace("/run/reports", f"{tmp_path}/reports")
    settings = f"marker=m vouched='{' '.join(sorted(VOUCHED))}' vouchers='w1 w2 w3 '"
    run(["busybox", "sh", "-c", f"{settings}\n{function}\nreport ready 6.1; report pid 7; report done; report errno"])
    assert (tmp_path / "kmsg").read_text() == "m: ready 6.1 w1\nm: pid 7\nm: done w2\nm: errno w3\n"


def test_there_is_a_word_for_every_report_that_takes_one() -> None:
    scripts = [(Path(__file__).parents[2] / "kbuildpy/vm" / name).read_text() for name in SCRIPTS]
    reported = {word for script in scripts for word in re.findall(r'\breport "?([a-z]+)', script)}
    assert reported >= VOUCHED
    assert len(set(new_vouchers(3, 2))) == 16 + 24 + 6


@pytest.mark.parametrize(
    "line",
    [
        "remains " + "9" * 5000 + " x",
        "section .text zz",
        "line a b c",
        "late",
        "leak",
        "stack",
        "taints",
        "kunit",
        "out",
    ],
)
def test_what_is_reported_without_a_word_may_be_anything(line: str) -> None:
    lines = [f"m: ready 6.1 {WORDS[0]}", f"m: insmod 0 {WORDS[1]}", f"m: errno 0 {WORDS[2]}", f"m: {line}"]
    oops = ["BUG: unable to handle page fault for address: ffffffffc0000010", "RIP: 0010:0xffffffffc0000010"]
    boot = heard([*lines, f"m: tainted 0 {WORDS[3]}", *oops])
    trials = [Trial(name, Path(f"{name}.ko"), ModuleImage(elf_object([], []), "x")) for name in ("a", "b")]
    judge(trials, boot, limit=4)


def test_a_long_log_is_searched_for_complaints_in_one_go() -> None:
    log = [f"hello: message {number}" for number in range(100_000)]
    began = process_time()
    assert find_complaints(log) == []
    # (with a copy of the rest for each line it takes 10 s)
    assert process_time() - began < 3


def test_a_process_number_of_any_length_in_a_list_of_lost_memory_names_no_process() -> None:
    lines = ["unreferenced object 0xffff888003a1c000 (size 64):", f'  comm "insmod", pid {"9" * 5000}, jiffies 1']
    assert leaked_memory(lines, {9: "a"}, MemoryOwners({})) == {"": tuple(lines)}


@pytest.mark.parametrize("shell", [False, True])
def test_only_a_shell_that_was_asked_for_writes_to_the_terminal_as_it_likes(shell: bool) -> None:
    """A module may get to know how reports begin, and report that there is a shell."""
    shown: list[bytes] = []
    guest = Guest(["a"], marker="m", limit=4, show=shown.append, verbose=True, shell=shell)
    for chunk in (b"m: ready 6.1\n", b"m: shell\n", b"\x1b[2J\x9b\xff\n", b"half a line \x1b[1m", b"\n"):
        guest.watch(chunk)
    assert (b"\x1b" in b"".join(shown)) is shell
    if not shell:
        assert shown == [b"\\x1b[2J\\x9b\\xff\n", b"half a line \\x1b[1m\n"]


@pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")
def test_names_and_parameters_that_are_no_utf_8_get_into_the_guest_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[bytes] = []
    monkeypatch.setattr(session, "boot_live", lambda image, initramfs, **_: packed.append(initramfs))
    monkeypatch.setattr(session, "require_programs", lambda machines: None)
    found = read_trial(module(tmp_path, b"name=a\0", "\udcfe.ko"), "text=\udcfd")
    # (a damaged file, whose own name is all that is known of it)
    boots = session.run_modules(
        Kernel("6.1", tmp_path, X86_64), [found], Settings(), show=lambda chunk: None, missing=["\udcff"]
    )
    with pytest.raises(KbuildError, match="did not start in QEMU"):
        list(boots)
    [initramfs] = packed
    assert b"/modules/a.ko text=\xfd\n" in initramfs
    assert b" refused=' \xff'" in initramfs
