# SPDX-License-Identifier: GPL-2.0-only
"""Functions, files, lines and inlined calls are those of addr2line, for every kind of debug information."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from kbuildpy.debug.debug_info import DebugInfo
from kbuildpy.debug.find_debug_file import find_debug_file
from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import SHF_EXECINSTR
from kbuildpy.run import run
from tests.support.addr2line import Addr2line, Chain, addr2line
from tests.support.arm64 import CROSS, CROSS_COMPILE, arm64_tree
from tests.support.builds import kbuildpy
from tests.support.guest_kernels import one_of, tree_called

pytestmark = pytest.mark.parity

# Inlined calls in loops and in each other, two source files, a cold part, a section of its own, a constant clone.
HEADER = """extern int outside(int);
extern void noted(int) __attribute__((cold));
static inline int from_header(int n)
{
	int sum = 0;
	for (int i = 0; i < n; i++)
		sum += outside(i);
	return sum;
}
"""
FIRST = """#include "shared.h"
static inline __attribute__((always_inline)) int innermost(int *p, int n)
{
	if (__builtin_expect(n > 1000, 0))
		noted(n);
	return p[n] + outside(n);
}
static inline __attribute__((always_inline)) int middle(int *p, int n)
{
	for (int i = 0; i < 3; i++)
		n += innermost(p, i + n);
	return n;
}
static __attribute__((noinline)) int cloned(int *p, int n, int m)
{
	return m > 2 ? middle(p, n * m) : innermost(p, n);
}
int first(int *p, int n) { return cloned(p, n, 3) + cloned(p, n + 1, 3) + from_header(n); }
__attribute__((section(".init.text"))) int begin(int *p)
{
	int n = middle(p, 4);
	return from_header(n) + n;
}
"""
SECOND = """#include "shared.h"
static __attribute__((noinline)) int cloned(int n) { return from_header(n + 1) - 1; }
int second(int n) { return cloned(n) ? cloned(n + 2) : 7; }
"""


def compile_both(place: Path, *options: str, prefix: str = "") -> Path:
    """A relocatable file of both sources, as a module is."""
    place.mkdir()
    for name, text in (("shared.h", HEADER), ("first.c", FIRST), ("second.c", SECOND)):
        (place / name).write_text(text)
    for name in ("first", "second"):
        run([f"{prefix}gcc", "-O2", "-fno-pic", "-c", *options, place / f"{name}.c", "-o", place / f"{name}.o"])
    emulation = ("-m", "elf_i386") if "-m32" in options else ()
    run([f"{prefix}ld", *emulation, "-r", "-o", place / "all.ko", place / "first.o", place / "second.o"])
    return place / "all.ko"


def our_chain(debug: DebugInfo, image: ModuleImage, section: str, offset: int) -> Chain:
    found = image.section(section)
    assert found is not None
    return tuple((place.function, place.file, place.line) for place in debug.places(found, offset))


def compare(image: ModuleImage, debug: DebugInfo, oracle: Addr2line, step: int = 1) -> tuple[int, int, list[str]]:
    """How many addresses were compared, how many of them are in inlined functions, and what differs."""
    compared = inlined = 0
    different = []
    for section in image.sections:
        if not section.flags & SHF_EXECINSTR or not section.size:
            continue
        offsets = range(0, section.size, step)
        for offset, theirs in zip(offsets, oracle.chains(section.name, offsets), strict=True):
            ours = our_chain(debug, image, section.name, offset)
            if ours and not ours[0][0] and theirs:
                # (padding behind a function: addr2line takes the name from the symbol table)
                ours = ((theirs[0][0], *ours[0][1:]),)
            compared += 1
            inlined += len(ours) > 1
            if ours != theirs:
                different.append(f"{section.name}+{offset:#x}: {ours} {theirs}")
    return compared, inlined, different


KINDS = {
    "dwarf-5": ("-gdwarf-5",),
    "dwarf-4": ("-gdwarf-4",),
    "dwarf-4-64-bit-offsets": ("-gdwarf-4", "-gdwarf64"),
    "compressed": ("-g", "-gz=zlib"),
    "gnu-compressed": ("-gdwarf-4", "-gz=zlib-gnu"),
    "function-sections": ("-g", "-ffunction-sections"),
    "i386": ("-g", "-m32"),
    "i386-dwarf-4": ("-gdwarf-4", "-m32"),
    # (with DWARF 5, binutils 2.40 takes the wrong file for a line program that begins in a header)
    "unoptimized": ("-gdwarf-4", "-O0"),
    "size": ("-g", "-Os"),
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_every_address_is_addr2lines(options: Sequence[str], tmp_path: Path) -> None:
    file = compile_both(tmp_path / "c", *options)
    image = ModuleImage.from_path(file)
    compared, inlined, different = compare(image, DebugInfo(image), addr2line(file, tmp_path))
    assert different == []
    assert compared > 200
    assert inlined > (0 if "-O0" in options else 50)


def test_every_address_of_arm64_is_addr2lines(tmp_path: Path) -> None:
    if shutil.which(f"{CROSS_COMPILE}gcc") is None:
        pytest.skip("the cross compiler is not installed")
    file = compile_both(tmp_path / "c", "-g", prefix=CROSS_COMPILE)
    image = ModuleImage.from_path(file)
    _, inlined, different = compare(image, DebugInfo(image), addr2line(file, tmp_path, prefix=CROSS_COMPILE))
    assert different == []
    assert inlined > 50


@pytest.mark.parametrize("options", [("-gdwarf-5",), ("-gdwarf-4",)])
def test_every_address_of_a_linked_file_is_addr2lines(options: Sequence[str], tmp_path: Path) -> None:
    """As a kernel's vmlinux is."""
    file = compile_both(tmp_path / "c", *options)
    linked = tmp_path / "linked"
    run(["ld", "-e", "0", "--unresolved-symbols=ignore-all", "-Ttext=0xffffffff81000000", "-o", linked, file])
    image = ModuleImage.from_path(linked)
    debug = DebugInfo(image)
    compared = 0
    for section in image.sections:
        if section.flags & SHF_EXECINSTR and section.size:
            addresses = range(section.size)
            words = "".join(f"{section.address + offset:#x}\n" for offset in addresses)
            shown = run(["addr2line", "-i", "-f", "-a", "-e", linked], input=words.encode()).text
            blocks = shown.split("0xffffffff")[1:]
            for offset, block in zip(addresses, blocks, strict=True):
                places = debug.places(section, offset)
                if places and places[0].function:
                    lines = [line.partition(" (discriminator")[0] for line in block.splitlines()[1:]]
                    ours = [text for place in places for text in (place.function, f"{place.file}:{place.line or '?'}")]
                    assert ours == lines
                    compared += 1
    assert compared > 200


WAYS = (
    *("build-id", "build-id in a folder", "link beside", "link in .debug", "link below the root", "same name"),
    *("debuginfod", "debuginfod of XDG", "debuginfod at home", "zlib sections", "file of xz"),
)


@pytest.mark.parametrize("way", WAYS)
def test_debug_information_in_a_file_of_its_own_is_found(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = compile_both(tmp_path / "c", "-g")
    identified = tmp_path / "c/identified.ko"
    run(["ld", "-r", "--build-id", "-o", identified, file])
    whole = ModuleImage.from_path(identified)
    root, place = tmp_path / "root", tmp_path / "m"
    place.mkdir()
    separate, stripped = place / "all.debug", place / "all.ko"
    compress = ["--compress-debug-sections=zlib"] if way == "zlib sections" else []
    run(["objcopy", "--only-keep-debug", *compress, identified, separate])
    run(["objcopy", "--strip-debug", f"--add-gnu-debuglink={separate}", identified, stripped])
    if not way.startswith("link"):
        run(["objcopy", "--remove-section=.gnu_debuglink", stripped])
    note = run(["readelf", "-n", stripped]).text
    build_id = note.partition("Build ID: ")[2].split()[0]
    if way == "file of xz":
        run(["xz", "--check=crc32", separate])
        separate = separate.with_name(f"{separate.name}.xz")
    below = root / "usr/lib/debug" / place.relative_to("/")
    folder, cache = tmp_path / "folder", tmp_path / "cache"
    for name in ("DEBUGINFOD_CACHE_PATH", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(cache))
    if way == "debuginfod":
        monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(cache / "chosen"))
    if way == "debuginfod of XDG":
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "xdg"))
    identified_file = Path(".build-id", build_id[:2], f"{build_id[2:]}.debug")
    target = {
        "build-id": root / "usr/lib/debug" / identified_file,
        "build-id in a folder": folder / identified_file,
        "zlib sections": root / "usr/lib/debug" / identified_file,
        "file of xz": root / "usr/lib/debug" / identified_file,
        "debuginfod": cache / "chosen" / build_id / "debuginfo",
        "debuginfod of XDG": cache / "xdg/debuginfod_client" / build_id / "debuginfo",
        "debuginfod at home": cache / ".cache/debuginfod_client" / build_id / "debuginfo",
        "link beside": separate,
        "link in .debug": place / ".debug/all.debug",
        "link below the root": below / "all.debug",
        "same name": below / "all.ko",
    }[way]
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(separate, target)
    image = ModuleImage.from_path(stripped)
    assert not DebugInfo(image).is_there
    found = find_debug_file(image, stripped, root=root, folders=[folder])
    assert found is not None and found.filename == str(target)
    debug = DebugInfo(found)
    for section in (".text", ".init.text"):
        for offset in range(0, 60, 3):
            ours = our_chain(debug, found, section, offset)
            assert ours == our_chain(DebugInfo(whole), whole, section, offset) != ()


def test_debug_information_of_another_build_is_not_taken(tmp_path: Path) -> None:
    file = compile_both(tmp_path / "c", "-g")
    other = compile_both(tmp_path / "d", "-g", "-Os")
    separate, stripped = tmp_path / "c/all.debug", tmp_path / "c/stripped.ko"
    run(["objcopy", "--only-keep-debug", file, separate])
    run(["objcopy", "--strip-debug", f"--add-gnu-debuglink={separate}", file, stripped])
    run(["objcopy", "--only-keep-debug", other, separate])
    assert find_debug_file(ModuleImage.from_path(stripped), stripped, root=tmp_path) is None


@pytest.mark.parametrize("line", [*one_of("6.1", "6.12"), pytest.param("arm64", marks=pytest.mark.sweep)])
def test_every_address_of_modules_is_addr2lines(line: str, tmp_path: Path) -> None:
    arm64 = line == "arm64"
    tree = arm64_tree() if arm64 else tree_called(line)
    samples = Path(__file__).parents[2] / "sample_modules"
    prefix = CROSS_COMPILE if arm64 else ""
    shutil.copytree(samples, tmp_path / "m", ignore=shutil.ignore_patterns("build", ".*"))
    done = kbuildpy("build", tmp_path / "m", "-k", tree.objects, *(CROSS if arm64 else ()))
    assert done.returncode == 0, done.error_text
    compared = inlined = 0
    for file in (tmp_path / "m/build" / tree.release).rglob("*.ko"):
        image = ModuleImage.from_path(file)
        some, more, different = compare(image, DebugInfo(image), addr2line(file, tmp_path, prefix=prefix))
        assert different == []
        compared, inlined = compared + some, inlined + more
    assert compared > 500 and inlined > 50
