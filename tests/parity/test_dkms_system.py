# SPDX-License-Identifier: GPL-2.0-only
"""A Debian system in which kbuildpy stands in for dkms: this machine's files below an overlay, in a chroot.

Real packages NAME-dkms are installed and removed by dpkg, and call our common.postinst and dkms; a kernel goes and
comes. Two reports of what a module that does not compile does to dpkg are replayed with Debian's dkms and with ours:

- koverstreet/bcachefs-tools#771: a package whose module does not compile for the oldest kernel is left half configured,
  and built for no other kernel.
- Debian #1037425: an old package whose module does not compile fails the configuration of a kernel's headers.
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
dpkg -i /mnt/good.deb >/dev/null 2>&1 && exit 4
{python} -m kbuildpy dkms hooks --deb stand-in.deb -q && dpkg -i stand-in.deb >/dev/null
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


REPORTED = """export PYTHONPATH={checkout} DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /root
step() {{ echo "STEP $1 $2"; dkms status; dpkg-query -Wf '${{Status}}\\n' bbswitch-dkms; echo END; }}
{stand_in}
mkdir old && dpkg-deb -R /mnt/good.deb old
sed -i '1i #include <linux/version.h>\\n#if LINUX_VERSION_CODE < KERNEL_VERSION({line}, 0)\\n#error too old\\n#endif' \
    old/usr/src/*/*.c
dpkg-deb -b old old.deb >/dev/null
dpkg -i old.deb; step package $?
sed -i '1i #error it no longer compiles' /usr/src/bbswitch-*/*.c
dkms unbuild bbswitch/0.8 --all >/dev/null 2>&1
sh -c 'exec /var/lib/dpkg/info/linux-headers-{release}.postinst configure'; step headers $?
"""
OURS = (
    "{python} -m kbuildpy dkms hooks --stand-in -q && {python} -m kbuildpy dkms hooks --deb s.deb -q && dpkg -i s.deb"
)
THEIRS = "dpkg --force-depends -i /mnt/dkms.deb >/dev/null 2>&1"


def in_chroot(place: Path, inner: str) -> tuple[dict[str, tuple[int, list[str]]], str]:
    """Run a script in a chroot over this system, with `place` at /mnt: the exit status and the output of each of its
    steps, and all that it printed."""
    (place / "inner.sh").write_text(inner)
    overlay = place / "overlay"
    overlay.mkdir()
    done = run(["unshare", "-m", "bash", "-c", OUTER, "sh", overlay, place], check=False, timeout=900)
    overlay.rmdir()
    if "mount" in done.error_text and "STEP" not in done.text:
        pytest.skip(f"no overlay here: {done.error_text.strip()}")
    steps = {}
    for part in done.text.split("STEP ")[1:]:
        head, *lines = part.partition("END\n")[0].splitlines()
        name, _, status = head.partition(" ")
        steps[name] = (int(status), lines)
    print(done.text, done.error_text)
    return steps, done.text + done.error_text


def download(place: Path, package: str, name: str) -> None:
    """Put a package of Debian into `place`. Without root, or elsewhere, the test is skipped."""
    if os.geteuid() != 0 or not shutil.which("dpkg"):
        pytest.skip("needs root, on a Debian")
    run(["apt-get", "download", "-q", package], cwd=place)
    next(place.glob(f"{package}_*.deb")).rename(place / name)


def test_a_module_that_does_not_compile_fails_no_package(tmp_path: Path) -> None:
    if len(trees()) < 2:
        pytest.skip("one kernel tree only")
    download(tmp_path, "bbswitch-dkms", "good.deb")
    download(tmp_path, "dkms", "dkms.deb")
    oldest, newest = min(trees(), key=lambda tree: tree.version), max(trees(), key=lambda tree: tree.version)
    words = {
        "checkout": ROOT,
        "python": sys.executable,
        "release": oldest.release,
        "line": ", ".join(map(str, newest.version)),
    }
    found = {}
    for name, stand_in in (("theirs", THEIRS), ("ours", OURS)):
        found[name], _ = in_chroot(tmp_path, REPORTED.format(stand_in=stand_in.format(**words), **words))
    status, lines = found["theirs"]["package"]
    assert status != 0
    assert lines[-1] == "install ok half-configured", "dkms no longer leaves it so"
    assert not [line for line in lines if newest.release in line and "installed" in line]
    assert found["theirs"]["headers"][0] != 0
    status, lines = found["ours"]["package"]
    assert (status, lines[-1]) == (0, "install ok installed")
    [failed] = [line for line in lines if oldest.release in line]
    assert ": failed (see " in failed
    assert f"bbswitch/0.8, {newest.release}, x86_64: installed" in lines
    status, lines = found["ours"]["headers"]
    assert status == 0
    assert any(oldest.release in line and ": failed (see " in line for line in lines)


def test_packages_work_unchanged_and_a_broken_one_leaves_dpkg_as_it_should_be(tmp_path: Path) -> None:
    download(tmp_path, "bbswitch-dkms", "good.deb")
    tree = min(trees(), key=lambda tree: tree.version)
    inner = INNER.format(checkout=ROOT, python=sys.executable, release=tree.release)
    every, printed = in_chroot(tmp_path, inner)
    steps = {name: (status, [line for line in lines if "bbswitch" in line]) for name, (status, lines) in every.items()}
    assert {status for status, _ in steps.values()} == {0}
    installed = [
        f"bbswitch/0.8, {each.release}, x86_64: installed" for each in sorted(trees(), key=lambda t: t.release)
    ]
    files = [f"/lib/modules/{each.release}/updates/dkms/bbswitch.ko" for each in trees()]
    for name in ("good", "again", "postinst"):
        lines = steps[name][1]
        assert [line for line in lines if not line.startswith("/")] == installed
        assert sorted(line.removesuffix(".xz") for line in lines if line.startswith("/")) == sorted(files)
    assert "it no longer compiles" in printed
    states = [line.rpartition(", x86_64: ")[2].partition(" ")[0] for line in steps["broken"][1] if "x86_64" in line]
    assert states == ["failed"] * len(trees())
    assert not [line for line in steps["prerm"][1] if tree.release in line]
    assert [line for line in steps["removed"][1] if not line.startswith("/")] == []
    assert not [line for line in steps["removed"][1] if line.startswith("/")]
    assert not [line for line in printed.rpartition("STEP removed")[2].splitlines() if "half" in line]
