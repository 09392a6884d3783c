# SPDX-License-Identifier: GPL-2.0-only
"""Systems that are drawn at random: modules, copies of them, depmod.d, modprobe.d, a kernel command line; and kmod's
programs in a chroot there."""

from __future__ import annotations

import lzma
import os
import random
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.run import run
from tests.support.elf_objects import RODATA, Sec, Sym, elf_object
from tests.support.packages import NEWEST, unpacked_together

RELEASE = "9.9.0-drawn"
DIRECTORY = f"/lib/modules/{RELEASE}"
NAMES = ("ab", "a-b-c", "dev_x", "x-dev", "net0", "snd-one", "snd_two", "usb-a", "zz", "crypto-z", "m1", "m-2")
BUILT_IN = ("core-one", "core_two", "m1")
FOLDERS = ("kernel/a", "kernel/b/c", "updates", "updates/dkms", "extra", "weak-updates", "kernel/dropped")
PATTERNS = (
    "pci:v00001AF4d0000100*sv*",
    "pci:v*d*sv*sd*bc02sc00i*",
    "pci:v0000[18]086d*",
    "acme:[!0-9]*x",
    "acme:[a-c]?x*",
    "fs-drawn",
    "net-pf-9",
    "of:N*T*Cacme,drawn*",
    "odd\\*name",
    "usb:v1234p*d*",
)
ALIASES = (
    "pci:v00001AF4d00001001sv00001AF4sd00000002bc02sc00i00",
    "pci:v00008086d00001001sv0sd0bc02sc00i00",
    "acme:bqx1",
    "acme:7qx",
    "acme:qqx",
    "fs-drawn",
    "net-pf-9",
    "of:NnetTethCacme,drawn1",
    "odd*name",
    "odd\\*name",
    "usb:v1234p5678d1",
    "symbol:drawn_ab",
    "symbol:drawn_none",
    "mine",
    "mine-too",
    "off-x",
    "nothing-at-all",
    "fs-[x",
)
_CONFIG_FOLDERS = ("etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "lib/modprobe.d")
_DEPMOD_FOLDERS = ("etc/depmod.d", "run/depmod.d", "lib/depmod.d")
_PROGRAMS = ("modprobe", "depmod")


@dataclass(frozen=True)
class KmodPrograms:
    """kmod and the libraries that it needs, to be linked into a root."""

    folder: Path
    files: tuple[str, ...]
    suffixes: tuple[str, ...]
    """The endings of modules that it can decompress."""

    def install(self, root: Path) -> None:
        """Put them into `root`."""
        for name in self.files:
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(self.folder / name, target)

    def call(self, root: Path, program: str, *words: str) -> str | None:
        """What a program prints in a chroot to `root`; None if it fails."""
        enter = ["chroot"] if os.geteuid() == 0 else ["unshare", "-r", "chroot"]
        done = run(
            [*enter, root, f"/sbin/{program}", *words], check=False, env={"PATH": "/sbin:/usr/sbin:/bin:/usr/bin"}
        )
        return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None


def kmod_programs(folder: Path) -> KmodPrograms:
    """Copy kmod with its libraries into `folder`; the test is skipped where that cannot be done."""
    program = shutil.which("kmod", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if program is None:
        pytest.skip("kmod is not installed")
    libraries = re.findall(r"(/\S+) \(0x", run(["ldd", program]).text)
    names = []
    for source in (program, *libraries):
        name = source.lstrip("/")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, folder / name)
        names.append(name)
    return _programs(folder, Path(program), names)


def newer_kmod_programs(folder: Path) -> KmodPrograms:
    """The same of a newer Debian's kmod, with that one's C library; the test is skipped where it is not to be had."""
    packages = ("kmod", "libkmod2", "libc6", "libzstd1", "liblzma5", "libssl3t64", "zlib1g")
    try:
        place = unpacked_together("kmod-newer", packages, line=NEWEST)
    except KbuildError as error:
        pytest.skip(f"no newer kmod to be had: {error.message}")
    names = []
    for source in place.glob("usr/lib/x86_64-linux-gnu/lib*.so.*"):
        name = f"lib/x86_64-linux-gnu/{source.name}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, folder / name)
        names.append(name)
    (folder / "lib64").mkdir(exist_ok=True)
    shutil.copy2(place / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", folder / "lib64")
    return _programs(folder, place / "usr/bin/kmod", [*names, "lib64/ld-linux-x86-64.so.2"])


def _programs(folder: Path, kmod: Path, names: list[str]) -> KmodPrograms:
    for called in _PROGRAMS:
        target = folder / "sbin" / called
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(kmod, target)
        names.append(f"sbin/{called}")
    programs = KmodPrograms(folder, tuple(names), ())
    try:
        said = programs.call(folder, "modprobe", "--version")
    except CommandError as error:
        pytest.skip(f"no chroot here: {error.message}")
    if said is None:
        pytest.skip("kmod does not run in a chroot here")
    words = said.split()
    suffixes = tuple(end for end, word in ((".xz", "+XZ"), (".zst", "+ZSTD"), (".gz", "+ZLIB")) if word in words)
    return replace(programs, suffixes=suffixes)


def module(name: str, *, needs: Sequence[str] = (), fields: Sequence[str] = (), exports: bool = True) -> bytes:
    """A module that exports `drawn_NAME` and needs what the modules `needs` export; `fields` are of its .modinfo."""
    plain = name.replace("-", "_")
    absolute = 0xFFF1
    symbols = [Sym(f"__crc_drawn_{plain}", absolute, 7), Sym(f"drawn_{plain}", 1)] if exports else []
    symbols += [Sym(f"drawn_{each.replace('-', '_')}", 0) for each in needs]
    depends = ",".join(each.replace("-", "_") for each in needs)
    stated = ["license=GPL", *fields, f"depends={depends}", f"name={plain}", f"vermagic={RELEASE} SMP "]
    modinfo = b"".join(f"{field}\0".encode() for field in stated)
    return elf_object([Sec("__ksymtab_strings", RODATA, f"drawn_{plain}\0".encode())], symbols, modinfo=modinfo)


def write(root: Path, path: str, contents: bytes | str) -> Path:
    """A file below `root`."""
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(contents.encode("utf-8", "surrogateescape") if isinstance(contents, str) else contents)
    return file


def draw_root(root: Path, seed: int, programs: KmodPrograms) -> None:
    """Fill `root` with a system whose depmod has not run yet."""
    draw = random.Random(seed)
    root.mkdir(parents=True, exist_ok=True)
    programs.install(root)
    _draw_modules(root, draw, programs.suffixes)
    built_in = draw.sample(BUILT_IN, draw.randint(0, 3))
    write(root, f"{DIRECTORY}/modules.builtin", "".join(f"kernel/x/{name}.ko\n" for name in built_in))
    lines = [f"{name.replace('-', '_')}.alias={draw.choice(('fs-core', 'net-pf-9', 'core:*'))}\0" for name in built_in]
    write(root, f"{DIRECTORY}/modules.builtin.modinfo", "".join(lines))
    _draw_depmod_d(root, draw)
    _draw_modprobe_d(root, draw)
    if draw.random() < 0.6:
        write(root, "proc/cmdline", _draw_command_line(draw))


def change_root(root: Path, seed: int) -> None:
    """Change modules after depmod ran: some go, others come."""
    draw = random.Random(f"change {seed}")
    directory = root / DIRECTORY.lstrip("/")
    files = sorted(path for path in directory.rglob("*.ko*") if path.is_file())
    for file in draw.sample(files, min(len(files), draw.randint(0, 2))):
        file.unlink()
    for name in draw.sample(NAMES, draw.randint(0, 2)):
        write(root, f"{DIRECTORY}/{draw.choice(FOLDERS)}/{name}.ko", module(name))


def _draw_modules(root: Path, draw: random.Random, suffixes: Sequence[str]) -> None:
    names = draw.sample(NAMES, draw.randint(4, len(NAMES)))
    order = []
    for number, name in enumerate(names):
        for folder in draw.sample(FOLDERS, draw.choice((1, 1, 1, 2, 3))):
            needs = draw.sample(names[:number], min(number, draw.choice((0, 0, 1, 2))))
            fields = [f"alias={each}" for each in draw.sample(PATTERNS, draw.choice((0, 1, 1, 2)))]
            if draw.random() < 0.25:
                fields.append(f"softdep={_draw_softdep(draw)}")
            contents = module(name, needs=needs, fields=fields)
            shown = draw.choice((name, name.replace("_", "-"), name.replace("-", "_")))
            ending = draw.choice(("", "", *suffixes))
            path = f"{folder}/{shown}.ko{ending}"
            write(root, f"{DIRECTORY}/{path}", _compressed(contents, ending))
            if draw.random() < 0.1 and suffixes:
                # (the same module beside it, compressed)
                write(root, f"{DIRECTORY}/{folder}/{shown}.ko.xz", lzma.compress(contents))
            order.append(f"{folder}/{shown}.ko")
    draw.shuffle(order)
    write(root, f"{DIRECTORY}/modules.order", "".join(f"{path}\n" for path in order))
    if draw.random() < 0.3:
        link = root / f"{DIRECTORY}/weak-updates/linked.ko".lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"{DIRECTORY}/{order[0]}")


def _compressed(contents: bytes, ending: str) -> bytes:
    if ending == ".xz":
        return lzma.compress(contents)
    program = {".zst": ["zstd", "-c"], ".gz": ["gzip", "-c"]}.get(ending)
    return run(program, input=contents).stdout if program else contents


def _draw_depmod_d(root: Path, draw: random.Random) -> None:
    for _ in range(draw.choice((0, 0, 1, 1, 2))):
        lines = []
        for _ in range(draw.randint(1, 3)):
            kind = draw.choice(("search", "search", "override", "exclude", "external", "bad"))
            if kind == "search":
                words = draw.sample(("updates", "built-in", "extra", "updates/dkms", "weak-updates", "external"), 3)
                lines.append(f"search {' '.join(words)}")
            elif kind == "override":
                pattern = draw.choice(("*", "^9[.]9", "9.[[:digit:]]+.0", "^8", "("))
                lines.append(f"override {draw.choice(NAMES)} {pattern} {draw.choice(FOLDERS)}")
            elif kind == "exclude":
                lines.append("exclude dropped none")
            elif kind == "external":
                folder = draw.choice(("/opt/drawn", "/opt/other"))
                lines.append(f"external {draw.choice(('*', '^9', '^8'))} {folder}")
                name = draw.choice(NAMES)
                write(root, f"{folder}/deep/{name}.ko", module(name, fields=["alias=fs-drawn"]))
            else:
                lines.append(draw.choice(("# search extra", "make_map_files yes", "search \\\nextra built-in")))
        name = draw.choice(("a.conf", "b.conf", "c.conf", ".hidden.conf", "d.txt"))
        write(root, f"{draw.choice(_DEPMOD_FOLDERS)}/{name}", "\n".join(lines) + "\n")


def _draw_modprobe_d(root: Path, draw: random.Random) -> None:
    for _ in range(draw.randint(0, 4)):
        lines = [_draw_directive(draw) for _ in range(draw.randint(0, 5))]
        name = draw.choice(("a.conf", "m.conf", "modules.conf", "z.conf", "n.txt", ".conf"))
        # (of a backslash at the end of a file kmod 30 makes a byte 255, and later ones nothing)
        end = draw.choice(("\n", "\n", ""))
        write(root, f"{draw.choice(_CONFIG_FOLDERS)}/{name}", "\n".join(lines) + end)


def _draw_directive(draw: random.Random) -> str:
    name = draw.choice((*NAMES, *BUILT_IN, "snd*", "[a-m]*", "mine"))
    gap = draw.choice((" ", " ", "  ", "\t", " \\\n"))
    kind = draw.choice(("alias", "alias", "blacklist", "blacklist", "options", "install", "remove", "softdep", "other"))
    if kind == "alias":
        pattern = draw.choice(("mine", "mine-too", "mine*", "fs-drawn", "off-x", "net-pf-[0-9]", "odd[", *NAMES[:3]))
        target = draw.choice((*NAMES, "off", "mine"))
        return f"alias{gap}{pattern} {target} more"
    if kind == "options":
        value = draw.choice(("a=1", "b=2  c=3", 'd=\\"x y\\"', 'f="x\ty"', "", " ", "e"))
        return f"options{gap}{name} {value}"
    if kind == "install":
        command = draw.choice(("/bin/false", "/bin/true", "/sbin/modprobe -i x $CMDLINE_OPTS", ""))
        return f"install {name}{gap}{command}"
    if kind == "remove":
        return f"remove {name} /bin/true"
    if kind == "softdep":
        return f"softdep {name}{gap}{_draw_softdep(draw)}"
    if kind == "other":
        return draw.choice(
            ("# options ab x=1", " # no", "include /x", "blacklist", "weakdep ab zz", "BLACKLIST ab", "")
        )
    return f"  {kind}{gap}{name}{draw.choice(('', ' # why', ' '))}"


def _draw_softdep(draw: random.Random) -> str:
    words = []
    for _ in range(draw.randint(0, 5)):
        words.append(draw.choice(("pre:", "post:", "pre:", "post:", *NAMES, "fs-drawn", "mine", "no-such", "other:")))
    return draw.choice((" ", "  ", "\t")).join(words)


def _draw_command_line(draw: random.Random) -> str:
    words = []
    for _ in range(draw.randint(1, 6)):
        name = draw.choice((*NAMES, "snd*"))
        words.append(
            draw.choice(
                (
                    f"modprobe.blacklist={name},{draw.choice(NAMES)}",
                    f"module_blacklist={name}",
                    f"{name}.debug=3",
                    f"{name}.flag",
                    f'{name}.text="a b"',
                    f'"{name}.text=a b"',
                    f"{name}.a.b=1",
                    f"root=/dev/{name}.1",
                    'quiet="x',
                    "--",
                    f"{name}.x=1.2",
                )
            )
        )
    return " ".join(words) + "\n"
