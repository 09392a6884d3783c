# SPDX-License-Identifier: GPL-2.0-only
"""Small kernels with what Debian's lack (KUnit, sanitizers, ...), by `kbuildpy kernel build` of Debian's sources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import kbuildpy
from tests.support.packages import source_archive

GPIO = Path(__file__).with_name("small_kernel.config")
"""What the templates with GPIO need."""


_LONGEST = 4 * 3600
"""Seconds: full link time optimization on a busy machine."""


def small_kernel(
    line: str,
    *sets: str,
    config: Path | None = None,
    more: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
) -> KernelTree:
    """The tree of a small kernel of `line` (`6.1`) with `sets` of options, the options in the file `config`, and by
    `more` words of `kernel build`, with `environ` in the environment.

    It is built when it is asked for first, which takes minutes. Where what builds it is missing the test is skipped.
    """
    words = ["--with", ",".join(sets)] if sets else []
    words += ["--config", str(config)] if config else []
    call = ("kernel", "build", str(source_archive(line)), *words, *more, "--format", "json")
    done = kbuildpy(*call, env=dict(environ or {}), timeout=_LONGEST)
    if done.returncode and "cannot be built without" in done.error_text:
        pytest.skip(done.error_text.strip())
    if done.returncode:
        raise KbuildError(done.error_text)
    return open_tree(json.loads(done.text)["path"])


def kunit_kernel(line: str) -> KernelTree:
    """A small kernel with KUnit and the GPIO simulator."""
    return small_kernel(line, "kunit", config=GPIO)
