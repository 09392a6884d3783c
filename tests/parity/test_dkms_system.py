# SPDX-License-Identifier: GPL-2.0-only
"""A Debian system in which kbuildpy stands in for dkms: this machine's files below an overlay, in a chroot.

Real packages NAME-dkms are installed and removed by dpkg, and call our common.postinst and dkms; a kernel goes and
comes.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.documents import ROOT
from tests.support.kernel_trees import trees

pytestmark = [pytest.mark.parity, pytest.mark.sweep]

OUTER = """set -e
mount -t tmpfs none "$1"; mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc none "$1/root/proc"; mount --bind /dev "$1/root/dev"; mount --bind "$2" "$1/root/mnt"
exec chroot "$1/root" /bin/bash /mnt/inner.sh
"""
INNER = """export PYTHONPATH={checkout} DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /root
{python} -m kbuildpy dkms hooks --stand-in -q || exit 3
mkdir -p eq/DEBIAN
printf '%s\\n' 'Package: stands-in' 'Version: 1' 'Architecture: all' 'Maintainer: x <x@example.org>' \\
    'Provides: dkms (= 3.0.10)' 'Description: x' > eq/DEBIAN/control
dpkg-deb -b eq eq.deb >/dev/null && dpkg -i eq.deb >/dev/null
step() {{ echo "STEP $1 $2"; dkms status; find /lib/modules/*/updates -name '*.ko*' 2>/dev/null | sort; echo END; }}
dpkg -i /mnt/good.deb; step good $?
mkdir broken && dpkg-deb -R /mnt/good.deb broken && sed -i '1i #error it no longer compiles' broken/usr/src/*/*.c
sed -i 's/^Version:.*/Version: 99/' broken/DEBIAN/control && dpkg-deb -b broken broken.deb >/dev/null
dpkg -i broken.deb; step broken $?
dpkg -i /mnt/good.deb; step again $?
/etc/kernel/prerm.d/kbuildpy-dkms {release}; step prerm $?
/etc/kernel/header_postinst.d/kbuildpy-dkms {release}; step postinst $?
dpkg -r bbswitch-dkms; step removed $?
dpkg --audit
"""


def test_packages_work_unchanged_and_a_broken_one_leaves_dpkg_as_it_should_be(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("dpkg"):
        pytest.skip("needs root, on a Debian")
    run(["apt-get", "download", "-q", "bbswitch-dkms"], cwd=tmp_path)
    next(tmp_path.glob("bbswitch-dkms_*.deb")).rename(tmp_path / "good.deb")
    tree = min(trees(), key=lambda tree: tree.version)
    inner = INNER.format(checkout=ROOT, python=sys.executable, release=tree.release)
    (tmp_path / "inner.sh").write_text(inner)
    place = tmp_path / "overlay"
    place.mkdir()
    done = run(["unshare", "-m", "bash", "-c", OUTER, "sh", place, tmp_path], check=False, timeout=900)
    if "mount" in done.error_text and "STEP" not in done.text:
        pytest.skip(f"no overlay here: {done.error_text.strip()}")
    steps = {}
    for part in done.text.split("STEP ")[1:]:
        head, *lines = part.partition("END\n")[0].splitlines()
        name, _, status = head.partition(" ")
        steps[name] = (int(status), [line for line in lines if "bbswitch" in line])
    print(done.text, done.error_text)
    assert {status for status, _ in steps.values()} == {0}
    installed = [
        f"bbswitch/0.8, {each.release}, x86_64: installed" for each in sorted(trees(), key=lambda t: t.release)
    ]
    files = [f"/lib/modules/{each.release}/updates/dkms/bbswitch.ko" for each in trees()]
    for name in ("good", "again", "postinst"):
        lines = steps[name][1]
        assert [line for line in lines if not line.startswith("/")] == installed
        assert sorted(line.removesuffix(".xz") for line in lines if line.startswith("/")) == sorted(files)
    assert "it no longer compiles" in done.error_text
    states = [line.rpartition(", x86_64: ")[2].partition(" ")[0] for line in steps["broken"][1] if "x86_64" in line]
    assert states == ["failed"] * len(trees())
    assert not [line for line in steps["prerm"][1] if tree.release in line]
    assert [line for line in steps["removed"][1] if not line.startswith("/")] == []
    assert not [line for line in steps["removed"][1] if line.startswith("/")]
    assert not [line for line in done.text.rpartition("STEP removed")[2].splitlines() if "half" in line]
