# SPDX-License-Identifier: GPL-2.0-only
"""A build in a chroot stays there: it builds what lies in the chroot, with the bytes that make gives there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.builds import REPRODUCIBLE
from tests.support.documents import ROOT
from tests.support.kernel_trees import trees, usual_tree
from tests.support.samples import SAMPLES

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(not trees(), reason="no kernel headers here"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a chroot"),
]

# (/mnt/m is in the chroot only)
SCRIPT = """set -e
mount --rbind / "$1"; mount --make-rslave "$1"; mount -t tmpfs none "$1/mnt"
cp -r "$2" "$1/mnt/m"
chroot "$1" env PYTHONPATH="$5" "$4" -m kbuildpy build /mnt/m -k "$3" "$6"
cp "$1/mnt/m/build/"*/*.ko "$7"
chroot "$1" make -s -C "$3" M=/mnt/m "$6" modules
cmp "$1/mnt/m/hello.ko" "$7/hello.ko"
"""


def test_a_build_in_a_chroot_has_the_bytes_of_make_there(tmp_path: Path) -> None:
    for name in ("root", "out"):
        (tmp_path / name).mkdir()
    argv: list[str | Path] = [
        "unshare",
        "-m",
        "bash",
        "-c",
        SCRIPT,
        "sh",
        tmp_path / "root",
        SAMPLES / "hello",
        usual_tree().objects,
    ]
    done = run([*argv, sys.executable, ROOT, REPRODUCIBLE, tmp_path / "out"], check=False)
    if "mount:" in done.error_text:
        pytest.skip(done.error_text.strip())
    assert done.returncode == 0, done.text + done.error_text
