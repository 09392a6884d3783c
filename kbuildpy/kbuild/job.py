# SPDX-License-Identifier: GPL-2.0-only
"""`Job`: an object to make, with the commands that make it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kbuildpy.kbuild.cmd_file import cmd_path_of
from kbuildpy.kbuild.early_compilers import EarlyCompilers
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.kbuild.precompiled import Precompiled


class StandIn(NamedTuple):
    """A copy of a source that the compiler reads in its place, with a `#line` directive that gives another name."""

    source: str
    """The path of the source."""
    path: str
    """The path of the copy."""
    name: str
    """The file name in the `#line` directive."""


@dataclass(frozen=True)
class Job:
    """One object to make."""

    target: str
    """The object's nominal name."""
    steps: tuple[BuildStep, ...]
    """Kbuild's commands for it, in their order."""
    layout: Layout
    """Maps nominal names to files."""
    cwd: str
    """The directory in which Kbuild runs the commands."""
    env: Mapping[str, str] = field(repr=False)
    """The environment that Kbuild gives to the commands."""
    outputs: tuple[str, ...] = ()
    """Nominal names of other outputs that the commands name, which must be replaced too."""
    extra: tuple[str, ...] = ()
    """Compiler options that kbuildpy adds at the end of the command."""
    verbose: bool = False
    """Print commands in full (V=1)."""
    whose: str = ""
    """The kernel that messages name, in a build for several kernels; "" in a build for one."""
    precompiled: Precompiled | None = field(default=None, repr=False, compare=False)
    """Finds precompiled headers for the source; None to compile without."""
    source: str = field(default="", compare=False)
    """The path of the source; "" if it lies beside the object."""
    stand_in: StandIn | None = None
    """The copy that the compiler reads in place of the source."""
    repeats: bool = False
    """The `.cmd` file names a header as often as the compiler does (`TreeAnswer.repeats_headers`)."""
    early: EarlyCompilers | None = field(default=None, repr=False, compare=False)
    """May have the object already; None where sources are not compiled early."""
    hear_objtool: Callable[[str], None] | None = field(default=None, repr=False, compare=False)
    """Called with objtool's messages about the object."""
    hear: Callable[[str], None] | None = field(default=None, repr=False, compare=False)
    """Called with all that programs print on standard error, besides `hear_objtool`."""
    check_line: str = field(default="", compare=False)
    """The line to print before the source is checked (sparse); "" for none."""

    @property
    def object_file(self) -> Path:
        """The path of the object to write."""
        return Path(self.layout.actual(self.target))

    @property
    def cmd_path(self) -> Path:
        """The path of the object's `.cmd` file."""
        return cmd_path_of(self.object_file)
