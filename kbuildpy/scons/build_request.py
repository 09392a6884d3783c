# SPDX-License-Identifier: GPL-2.0-only
"""`BuildRequest`: a call of `kbuildpy build`, as a value."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kbuildpy import __version__
from kbuildpy.kbuild.make_environment import environment_key
from kbuildpy.kbuild.stamps import digest
from kbuildpy.kernel.tree import KernelTree

PROBES_FILE = "probes.toml"
"""The file of a module directory that declares its probes."""


class BuildRequest(NamedTuple):
    """A call of `kbuildpy build`."""

    directory: Path
    """The module directory (physical)."""
    named: str
    """The same as the user named it."""
    out: Path
    """Where output goes, in a folder for each kernel."""
    trees: tuple[KernelTree, ...]
    """The kernel trees to build for."""
    variables: Mapping[str, str]
    """Variables for make."""
    jobs: int
    """How many jobs may run at once."""
    options: Sequence[str]
    """Options of SCons: -n, -c, -s, -k."""
    targets: Sequence[str] = ()
    """Single targets below the directory; none: all modules."""
    compile_commands: Path | None = None
    """The `compile_commands.json` that was asked for (absolute), if one was."""

    folders: Sequence[Path] = ()
    """The output directory of each tree."""
    cache: str = ""
    """The address of a shared cache; "" for none."""
    cache_key: str = ""
    """The file of the key of that; "" for none."""
    traces: Sequence[Path] = ()
    """Files (absolute) to write a trace of the build into."""

    @property
    def cleans(self) -> bool:
        """Whether built files are removed."""
        return "-c" in self.options

    @property
    def dry(self) -> bool:
        """Whether nothing is done."""
        return "-n" in self.options

    @property
    def state(self) -> Path:
        """Where SCons' database of this output is kept."""
        return self.out / ".kbuildpy"

    @property
    def finished(self) -> Path:
        """The file that says when nothing is left to do for these kernels (`finished_build`)."""
        return self.state / f"finished-{digest([str(tree.objects) for tree in self.trees])[:16]}"

    def key(self, environ: Mapping[str, str]) -> str:
        """All that the outcome depends on, except files: this call, the environment, the programs that run."""
        call = (self.directory, self.named, self.out, self.trees, sorted(self.variables.items()), self.options)
        return digest(call, environment_key(environ), sys.version, __version__)
