# SPDX-License-Identifier: GPL-2.0-only
"""A small project with an SConstruct, to build, change and build again.

Two questions are asked of every change. What ran: the lines that the build printed, and which files it wrote. Is
it right: the same bytes as a clean build of the changed sources in a fresh copy at the same path makes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.builds import REPRODUCIBLE
from tests.support.edits import edit
from tests.support.interrupts import can_be_interrupted
from tests.support.kernel_trees import usual_tree

CHECKOUT = Path(__file__).parents[2]
# SCons starts in a shell of its user's, with kbuildpy installed.
HEAD = f"""\
import sys
sys.path.insert(0, {str(CHECKOUT)!r})
from kbuildpy.scons import generate
env = Environment(tools=["default", generate])
"""

# Two modules: one of two objects that exports a symbol, and one that uses it. A version lets both have a srcversion.
PAIR = {
    "SConstruct": f"{HEAD}env.Kbuild('drv')\n",
    "drv/Kbuild": "obj-m := pair.o user.o\npair-y := pair_a.o pair_b.o\n",
    "drv/pair.h": "#define PAIR 1\nint pair_value(void);\n",
    "drv/pair_a.c": (
        '#include <linux/export.h>\n#include <linux/module.h>\n#include "pair.h"\n'
        "int pair_value(void) { return PAIR; }\nEXPORT_SYMBOL(pair_value);\n"
        'MODULE_LICENSE("GPL");\nMODULE_VERSION("1");\n'
    ),
    "drv/pair_b.c": "int pair_other(void);\nint pair_other(void) { return 2; }\n",
    "drv/user.c": (
        '#include <linux/module.h>\n#include "pair.h"\n'
        "static int __init user_init(void) { return pair_value() - 1; }\nmodule_init(user_init);\n"
        'MODULE_LICENSE("GPL");\nMODULE_VERSION("1");\n'
        "#if 0\nnot compiled\n#endif\n"
    ),
}
# The same, where one object includes a kernel header of its own and another mentions a symbol of the configuration.
HEADER = "pcmcia/ciscode.h"
SYMBOL = "NEVER_HEARD_OF"
ASKING = PAIR | {
    "drv/pair_b.c": f"#include <{HEADER}>\n{PAIR['drv/pair_b.c']}",
    "drv/asks.h": f"#ifdef CONFIG_{SYMBOL}\n#define NODES 2\n#else\n#define NODES 1\n#endif\n",
    "drv/user.c": f'#include "asks.h"\nint user_nodes = NODES;\n{PAIR["drv/user.c"]}',
}
ALONE = {
    "SConstruct": f"{HEAD}env.KernelModule('alone', ['alone.c'])\n",
    "alone.c": '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n',
}
# Python's, and what SCons prints of an exception that is no error of a build.
_FRAME = re.compile(r'^(Traceback |  File ".*", line )', re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """One run of SCons: its exit status, all that it printed, and what it says that it did, sorted."""

    status: int
    output: str

    @property
    def did(self) -> list[str]:
        """Kbuild's lines: `CC [M]  a.o`; not that a module was checked."""
        lines = [line.strip() for line in self.output.splitlines() if line.startswith("  ")]
        return sorted(line for line in lines if not line.startswith("LOADCHK "))

    @property
    def compiled(self) -> list[str]:
        """The objects that were compiled."""
        return [line.split()[-1] for line in self.did if line.startswith(("CC ", "AS "))]


class SConsProject:
    """A project at `place`, built for `kdir` by running SCons as a user would."""

    def __init__(self, place: Path, kdir: Path, files: Mapping[str, str]) -> None:
        self.place = place
        self.kdir = kdir
        name, _, value = REPRODUCIBLE.partition("=")
        self.environ = {name: value}
        for name, text in files.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace what stands once in a file of the project."""
        edit(self.place / name, old, new)

    def start(self, *words: str, cwd: str = ".") -> subprocess.Popen[str]:
        """Start SCons; `words` are its options, targets and variables."""
        kdir = [] if any(word.startswith("KDIR=") for word in words) else [f"KDIR={self.kdir}"]
        return subprocess.Popen(
            [sys.executable, "-m", "SCons", *kdir, *words],
            cwd=self.place / cwd,
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="surrogateescape",
            start_new_session=True,
            preexec_fn=can_be_interrupted,
        )

    def scons(self, *words: str, cwd: str = ".", status: int = 0) -> Run:
        """Run SCons to its end, which must be `status`; whatever it complains of, it is not in frames of Python."""
        process = self.start(*words, cwd=cwd)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == status, output
        assert not _FRAME.search(output), output
        return Run(process.returncode, output)

    def build(self, *words: str) -> Run:
        """Build everything, two jobs at a time."""
        return self.scons("-j2", *words)

    def listing(self) -> dict[str, tuple[int, int, int]]:
        """Every file of the project with its time, inode and size; a file that was written again differs."""
        found = {}
        for folder, _, names in os.walk(self.place):
            for name in names:
                path = Path(folder, name)
                status = path.lstat()
                found[str(path.relative_to(self.place))] = (status.st_mtime_ns, status.st_ino, status.st_size)
        return found

    def outputs(self) -> dict[str, bytes]:
        """The bytes of everything that the build made; what kbuildpy keeps for itself is not counted."""
        return {
            str(path.relative_to(self.place)): path.read_bytes()
            for path in sorted(self.place.rglob("*"))
            if path.is_file() and _is_output(path.relative_to(self.place))
        }

    def output(self, name: str) -> Path:
        """The one output file called `name`."""
        [found] = [self.place / path for path in self.outputs() if path.endswith(f"/{name}")]
        return found

    def clean_outputs(self, *words: str) -> dict[str, bytes]:
        """What a clean build of the sources, copied to the same path, makes."""
        aside = self.place.with_name(f"{self.place.name}.aside")
        self.place.rename(aside)
        try:
            shutil.copytree(aside, self.place, symlinks=True, ignore=_no_outputs)
            self.scons("-j2", *words)
            return self.outputs()
        finally:
            shutil.rmtree(self.place)
            aside.rename(self.place)

    def assert_like_clean(self, *words: str) -> None:
        """The build directory holds exactly what a clean build of the sources makes, byte for byte."""
        ours, clean = self.outputs(), self.clean_outputs(*words)
        assert sorted(ours) == sorted(clean)
        different = [name for name in clean if ours[name] != clean[name]]
        assert not different, f"other bytes than a clean build's: {', '.join(different)}"

    def assert_nothing_to_do(self, *words: str) -> None:
        """Building once more says so, and writes no file at all (but SCons' and kbuildpy's own notes)."""
        before = self.listing()
        again = self.build(*words)
        assert "is up to date" in again.output
        assert again.did == []
        assert _without_notes(self.listing()) == _without_notes(before)


def new_project(tmp_path: Path, files: dict[str, str]) -> SConsProject:
    """A project that was never built."""
    return SConsProject(tmp_path / "project", usual_tree().objects, files)


def _is_output(path: Path) -> bool:
    if path.parts[0] not in ("build", "variant") or ".kbuildpy" in path.parts:
        return False
    # The record of a .mod.o names its headers in another order when they had been compiled before.
    return path.suffix != ".dblite" and not path.name.endswith(".mod.o.cmd")


def _no_outputs(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in ("build", "variant", ".sconsign.dblite")}


def _without_notes(listing: dict[str, tuple[int, int, int]]) -> dict[str, tuple[int, int, int]]:
    return {
        name: seen
        for name, seen in listing.items()
        if not name.endswith(".sconsign.dblite") and ".kbuildpy" not in name
    }
