# SPDX-License-Identifier: GPL-2.0-only
"""The words of insmod and modprobe in the reference are those that they print: strace answers for the kernel."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from docs.site.tool_lines import MEANINGS, words_of
from kbuildpy.kernel.errnos import errno_number
from tests.support.kernel_trees import usual_tree
from tests.support.samples import built_samples

pytestmark = [
    pytest.mark.parity,
    pytest.mark.sweep,
    pytest.mark.skipif(None in map(shutil.which, ("strace", "insmod", "modprobe")), reason="strace or kmod is missing"),
]


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module below a root whose modprobe knows it by its name."""
    [built] = [path for path in built_samples(usual_tree(), tmp_path_factory) if path.name == "hello.ko"]
    root = tmp_path_factory.mktemp("root")
    place = root / "lib/modules" / platform.release()
    place.mkdir(parents=True)
    shutil.copy(built, place)
    subprocess.run(["depmod", "-b", root, platform.release()], check=True)
    return place / "hello.ko"


@pytest.mark.parametrize("errno", MEANINGS)
def test_the_words_for_an_errno_are_those_of_the_tools(errno: str, module: Path) -> None:
    assert said(errno, "insmod", str(module)) == (
        f"insmod: ERROR: could not insert module {module}: {words_of(errno, 'insmod')}\n"
    )
    words = ("modprobe", "-d", str(module.parents[3]), "--first-time", "hello")
    assert said(errno, *words) == f"modprobe: ERROR: could not insert 'hello': {words_of(errno, 'modprobe')}\n"


def said(errno: str, *command: str) -> str:
    """What `command` prints when the kernel answers `errno`."""
    inject = f"inject=finit_module,init_module:error={errno_number(errno)}"
    done = subprocess.run(
        ["strace", "-qq", "-o", "/dev/null", "-e", inject, *command], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    return done.stderr
