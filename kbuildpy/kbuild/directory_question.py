# SPDX-License-Identifier: GPL-2.0-only
"""`DirectoryQuestion`: the question to make what Kbuild would do for a module directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from kbuildpy.kbuild.make_environment import environment_key
from kbuildpy.kbuild.stamps import digest
from kbuildpy.kbuild.tree_answer import TreeAnswer


class DirectoryQuestion(NamedTuple):
    """The question what Kbuild would do for a module directory."""

    answer: TreeAnswer
    """The decisions of the kernel tree."""
    directory: Path
    """The module directory (absolute, physical)."""
    environ: Mapping[str, str]
    """The environment that make starts from."""
    below: str = ""
    """The subdirectory that is asked about, "" for the whole directory."""
    kbuild_file: Path | None = None
    """The file that replaces the directory's own Kbuild file."""
    coming: tuple[str, ...] = ()
    """The names of sources that will exist when they are needed."""
    goals: tuple[str, ...] = ()
    """Single targets (below the directory) that are asked about, in place of all modules."""

    @property
    def variables(self) -> dict[str, str]:
        """The variables that make has: those of the environment, and those of its command line."""
        return {**self.environ, **dict(self.answer.variables)}

    @property
    def key(self) -> str:
        """A digest of everything except files that the plan depends on, and transient variables (`cached`)."""
        answer, kbuild_file = self.answer, str(self.kbuild_file)
        environment = environment_key(self.environ)
        question = (
            answer.variables,
            str(self.directory),
            environment,
            kbuild_file,
            self.coming,
            self.below,
            self.goals,
        )
        return digest(answer.identity, answer.state, question)
