# SPDX-License-Identifier: GPL-2.0-only
"""`Job`: one object that is to be made, as a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kbuildpy.kbuild.cmd_file import cmd_path_of
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.kbuild.precompiled import Precompiled


class StandIn(NamedTuple):
    """A copy of a source, which tells the compiler that it has another name."""

    source: str
    """The source."""
    path: str
    """The copy."""
    name: str
    """The name that the copy says it has."""


@dataclass(frozen=True)
class Job:
    """One object to make."""

    target: str
    """The object's nominal name."""
    steps: tuple[BuildStep, ...]
    """Kbuild's commands for it, in their order."""
    layout: Layout
    """Where files really are."""
    cwd: str
    """Where Kbuild runs the commands."""
    env: Mapping[str, str] = field(repr=False)
    """The environment that it gives them."""
    outputs: tuple[str, ...] = ()
    """Other nominal names in the commands that lie among the output."""
    extra: tuple[str, ...] = ()
    """Compiler options of ours, for the end of the command."""
    verbose: bool = False
    """Show commands in full."""
    whose: str = ""
    """The kernel that messages are about, where others are built for as well."""
    precompiled: Precompiled | None = field(default=None, repr=False, compare=False)
    """The headers that its source begins with, compiled beforehand."""
    source: str = field(default="", compare=False)
    """Where the source is, if not beside the object."""
    stand_in: StandIn | None = None
    """What the compiler reads in place of the source."""
    repeats: bool = False
    """The `.cmd` file names a header as often as the compiler does (`TreeAnswer.repeats_headers`)."""
    hear_objtool: Callable[[str], None] | None = field(default=None, repr=False, compare=False)
    """Called with what objtool says of the object."""
    check_line: str = field(default="", compare=False)
    """What to say before the source is checked (sparse), if anything."""

    @property
    def object_file(self) -> Path:
        """Where the object goes."""
        return Path(self.layout.actual(self.target))

    @property
    def cmd_path(self) -> Path:
        """Where its `.cmd` file goes."""
        return cmd_path_of(self.object_file)
