# SPDX-License-Identifier: GPL-2.0-only
"""The checkers, a file for each. A new one is a file with a `SourceChecker` and a row here."""

from __future__ import annotations

from kbuildpy.lint.checkers.cc import CC
from kbuildpy.lint.checkers.checkpatch import CHECKPATCH
from kbuildpy.lint.checkers.clang_tidy import CLANG_ANALYZER, CLANG_TIDY
from kbuildpy.lint.checkers.coccinelle import COCCINELLE
from kbuildpy.lint.checkers.fanalyzer import FANALYZER
from kbuildpy.lint.checkers.smatch import SMATCH
from kbuildpy.lint.checkers.sparse import SPARSE
from kbuildpy.lint.source_checker import SourceChecker

CHECKERS: dict[str, SourceChecker] = {
    checker.name: checker
    for checker in (CC, FANALYZER, SPARSE, SMATCH, CLANG_TIDY, CLANG_ANALYZER, COCCINELLE, CHECKPATCH)
}
"""Each checker by its name, in the order in which they run."""

USUAL = ("cc", "fanalyzer", "sparse")
"""Those that run when none is named: the compiler that is there, and what Kbuild runs for C=1."""
