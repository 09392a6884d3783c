# SPDX-License-Identifier: GPL-2.0-only
"""A Debian of its own (debootstrap, in a chroot) whose kernel is upgraded by apt while kbuildpy stands in for dkms.

Two packages NAME-dkms are installed for an old kernel; a newer one is installed, then a third for which one of them no
longer compiles; the second is removed. A hook says before the reboot what would be lost.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbuildpy.kernel.cache import cache_directory
from kbuildpy.run import run
from tests.support.documents import ROOT

pytestmark = [pytest.mark.parity, pytest.mark.sweep]

PROGRAMS = "ca-certificates,kmod,make,gcc,python3,libpython3-stdlib"
MODULES = ("acpi-call", "bbswitch")
SKIPPED = 77

OUTER = """set -e
mount --bind "$1" "$1"; mount -t proc none "$1/proc"; mount --bind /dev "$1/dev"; mount --bind "$2" "$1/mnt"
shift 2
for place; do mkdir -p "$root$place"; mount --bind "$place" "$root$place"; done
exec chroot "$root" /bin/bash /mnt/inner.sh
"""

INNER = r"""export DEBIAN_FRONTEND=noninteractive INITRD=No PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH={checkout}
kbuildpy() {{ {python} -m kbuildpy "$@"; }}
apt() {{ apt-get -y -q -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false "$@" >>/mnt/apt.log 2>&1; }}
apt update || exit {skipped}
# (the three newest kernels of the line that apt offers with an image)
mapfile -t releases < <(apt-cache pkgnames linux-image-6.1.0- | grep -E '^linux-image-6\.1\.0-[0-9]+-amd64$' |
    sed 's/^linux-image-//' | sort -V | tail -n 3)
[ ${{#releases[@]}} = 3 ] || exit {skipped}
kernel() {{ echo "linux-headers-$1" "linux-image-$1"; }}

state() {{
    echo "STEP $1 $2"
    echo "audit $(dpkg --audit | wc -l)"
    dkms status | sed 's/^/status /'
    for release in $(cd /lib/modules && ls -d 6.* 2>/dev/null); do
        (cd "/lib/modules/$release/updates/dkms" 2>/dev/null && ls | sed "s/^/module $release /")
        [ -d "/lib/modules/$release/kernel" ] || continue
        depmod -n -e -E "/usr/src/linux-headers-$release/Module.symvers" "$release" 2>&1 >/dev/null |
            sed "s/^/depmod $release /"
        for file in "/lib/modules/$release/updates/dkms"/*; do
            [ -e "$file" ] || continue
            kbuildpy check -k "$release" -q "$file" >/dev/null 2>&1; echo "check $release $?"
            echo "signer $release $(modinfo -F signer "$file")"
            echo "first $release $(modinfo -k "$release" -n "$(basename "${{file%%.ko*}}")")"
        done
    done
    echo END
}}

apt install $(kernel "${{releases[0]}}") || exit {skipped}
kbuildpy dkms hooks --stand-in -q || exit 3
kbuildpy dkms hooks --deb /root/stands-in.deb -q || exit 3
# (with what it depends on)
apt install /root/stands-in.deb || exit 3
cat > /etc/kernel/postinst.d/zz-preflight <<'HOOK'
#!/bin/sh
echo "preflight $1" >>/mnt/preflight
{python} -m kbuildpy preflight --from {old} --to "$1" >>/mnt/preflight 2>&1 || echo "lost $1" >>/mnt/preflight
exit 0
HOOK
sed -i "s/{old}/${{releases[0]}}/" /etc/kernel/postinst.d/zz-preflight
chmod 755 /etc/kernel/postinst.d/zz-preflight
echo "RELEASES ${{releases[*]}}"
apt install acpi-call-dkms bbswitch-dkms; state packages $?
# (a package that brings in the newest kernel, as it was when that was the old one)
mkdir -p /root/meta/DEBIAN
printf '%s\n' 'Package: linux-image-amd64' 'Version: 0.1' 'Architecture: amd64' 'Maintainer: x <x@example.org>' \
    "Depends: linux-image-${{releases[0]}}" 'Description: x' > /root/meta/DEBIAN/control
dpkg-deb -b /root/meta /root/meta.deb >/dev/null && dpkg -i /root/meta.deb >/dev/null
printf '#!/bin/sh\nexec {python} -m kbuildpy preflight --hold --from %s >>/mnt/hold 2>&1\n' "${{releases[0]}}" \
    >/usr/bin/hold
chmod 755 /usr/bin/hold
echo 'APT::Update::Post-Invoke-Success {{ "hold || true"; }};' >/etc/apt/apt.conf.d/90kbuildpy-hold
held() {{
    echo "update $1" >>/mnt/hold; apt update; status=$?
    kernels=$(apt-get -s dist-upgrade | grep -c '^Inst linux-image-[0-9]')
    echo "HELD $1 $status $(apt-mark showhold | tr '\n' ' ') $kernels"
}}
held before
cp -r /usr/src/acpi-call-* /root/kept; sed -i '1i #error it no longer compiles' /usr/src/acpi-call-*/*.c; held broken
cp /root/kept/*.c /usr/src/acpi-call-*/; held mended
rm /etc/apt/apt.conf.d/90kbuildpy-hold
apt install $(kernel "${{releases[1]}}"); state upgraded $?
sed -i '1i #error it no longer compiles' /usr/src/acpi-call-*/*.c
apt install $(kernel "${{releases[2]}}"); state broken $?
apt purge $(kernel "${{releases[1]}}"); state removed $?
dkms status --format json > /mnt/status.json 2>/dev/null || true
apt purge acpi-call-dkms bbswitch-dkms; state without $?
"""


@dataclass(frozen=True)
class Step:
    """What was there after a call of apt."""

    status: int
    lines: tuple[str, ...]

    def about(self, kind: str, release: str = "") -> list[str]:
        """The lines of one kind, of one kernel."""
        found = [line.partition(" ")[2] for line in self.lines if line.partition(" ")[0] == kind]
        return [line.partition(" ")[2] for line in found if line.startswith(f"{release} ")] if release else found

    def states(self, release: str) -> dict[str, str]:
        """What `dkms status` says of each package for a kernel."""
        found = {}
        for line in self.about("status"):
            identity, _, state = line.partition(": ")
            name, *rest = identity.replace("/", ", ").split(", ")
            if release in rest:
                found[name] = state.split()[0]
        return found


@dataclass(frozen=True)
class Upgrade:
    """All that happened."""

    releases: tuple[str, str, str]
    steps: dict[str, Step]
    preflight: str
    held: tuple[str, ...]
    """After each `apt-get update`: its name, its status, packages held, how many kernels an upgrade would install."""


@pytest.fixture(scope="module")
def upgrade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgrade]:
    """The steps above, in a new root."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pytest.skip("needs root and debootstrap")
    place = tmp_path_factory.mktemp("upgrade")
    root, shared = place / "root", place / "shared"
    shared.mkdir()
    run(["cp", "-a", _pristine(), root])
    python = Path(sys.prefix).resolve()
    words = {"checkout": ROOT, "python": python / "bin/python", "skipped": SKIPPED, "old": "OLD"}
    (shared / "inner.sh").write_text(INNER.format(**words))
    argv: list[str | Path] = [
        "unshare",
        "-m",
        "bash",
        "-c",
        OUTER,
        "sh",
        root,
        shared,
        *sorted({ROOT, python, Path(sys.base_prefix)}),
    ]
    try:
        done = run(argv, env={**os.environ, "root": str(root)}, check=False, timeout=1800)
        log = (shared / "apt.log").read_text() if (shared / "apt.log").exists() else ""
        if done.returncode == SKIPPED or "mount" in done.error_text:
            pytest.skip(f"{done.error_text.strip()} {log[-500:]}")
        print(done.text, done.error_text, log[-3000:])
        releases = next(line for line in done.text.splitlines() if line.startswith("RELEASES ")).split()[1:]
        steps = {}
        for part in done.text.split("STEP ")[1:]:
            head, *lines = part.partition("END\n")[0].splitlines()
            name, _, status = head.partition(" ")
            steps[name] = Step(int(status), tuple(lines))
        first, second, third = releases
        preflight = (shared / "preflight").read_text()
        print(preflight)
        held = tuple(" ".join(line.split()[1:]) for line in done.text.splitlines() if line.startswith("HELD "))
        print((shared / "hold").read_text())
        yield Upgrade((first, second, third), steps, preflight, held)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _pristine() -> Path:
    """A root as debootstrap makes it, once, with this machine's sources of packages."""
    codename = run(["bash", "-c", ". /etc/os-release; echo $VERSION_CODENAME"]).text.strip()
    kept = cache_directory() / "roots" / codename
    if not kept.is_dir():
        [mirror, *_] = [
            line.split()[1]
            for line in run(
                ["apt-get", "indextargets", "--format", "$(SITE) $(REPO_URI) $(CODENAME)"]
            ).text.splitlines()
            if line.split()[-1] == codename
        ]
        scratch = kept.with_name(f".{codename}.{os.getpid()}")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        run(["debootstrap", "--variant=minbase", f"--include={PROGRAMS}", codename, scratch, mirror], timeout=900)
        for name in ("sources.list.d", "apt.conf.d", "trusted.gpg.d"):
            source, target = Path("/etc/apt", name), scratch / "etc/apt" / name
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            elif source.exists():
                shutil.copy2(source, target)
        shutil.copytree("/usr/share/keyrings", scratch / "usr/share/keyrings", dirs_exist_ok=True)
        for file in ("etc/ssl/certs/ca-certificates.crt", "etc/resolv.conf"):
            shutil.copy(Path("/", file), scratch / file)
        scratch.rename(kept)
    return kept


def _modules(step: Step, release: str) -> set[str]:
    return {line.partition(".ko")[0].replace("_", "-") for line in step.about("module", release)}


def _assert_whole(step: Step, release: str, names: set[str]) -> None:
    """All modules of a kernel are there, signed, loadable, those that modprobe takes, and its index is right."""
    assert _modules(step, release) == names
    assert step.about("check", release) == ["0"] * len(names)
    assert all(step.about("signer", release)) and len(step.about("signer", release)) == len(names)
    assert all("/updates/dkms/" in path for path in step.about("first", release))
    assert step.about("depmod", release) == []


def test_packages_are_installed_for_the_kernel_that_is_there(upgrade: Upgrade) -> None:
    step = upgrade.steps["packages"]
    assert (step.status, step.about("audit")) == (0, ["0"])
    assert step.states(upgrade.releases[0]) == dict.fromkeys(MODULES, "installed")
    _assert_whole(step, upgrade.releases[0], set(MODULES))


def test_a_kernel_that_would_lose_a_module_is_held_back_until_it_would_not(upgrade: Upgrade) -> None:
    assert upgrade.held == ("before 0 1", "broken 0 linux-image-amd64 0", "mended 0 1")


def test_a_newer_kernel_gets_its_modules_before_it_is_booted(upgrade: Upgrade) -> None:
    step = upgrade.steps["upgraded"]
    assert (step.status, step.about("audit")) == (0, ["0"])
    for release in upgrade.releases[:2]:
        assert step.states(release) == dict.fromkeys(MODULES, "installed")
        _assert_whole(step, release, set(MODULES))


def test_a_module_that_no_longer_compiles_leaves_apt_as_it_should_be_and_is_told(upgrade: Upgrade) -> None:
    step = upgrade.steps["broken"]
    assert (step.status, step.about("audit")) == (0, ["0"])
    assert step.states(upgrade.releases[2]) == {"acpi-call": "failed", "bbswitch": "installed"}
    _assert_whole(step, upgrade.releases[2], {"bbswitch"})
    for release in upgrade.releases[:2]:
        _assert_whole(step, release, set(MODULES))
    _, _, told = upgrade.preflight.rpartition(f"preflight {upgrade.releases[2]}\n")
    assert f"lost {upgrade.releases[2]}" in told and "acpi_call" in told
    assert f"lost {upgrade.releases[1]}" not in upgrade.preflight


def test_a_kernel_that_goes_takes_its_modules_with_it(upgrade: Upgrade) -> None:
    step = upgrade.steps["removed"]
    assert (step.status, step.about("audit")) == (0, ["0"])
    assert step.states(upgrade.releases[1]) == {}
    assert step.about("module", upgrade.releases[1]) == []
    _assert_whole(step, upgrade.releases[0], set(MODULES))
    _assert_whole(step, upgrade.releases[2], {"bbswitch"})


def test_packages_that_go_leave_nothing(upgrade: Upgrade) -> None:
    step = upgrade.steps["without"]
    assert (step.status, step.about("audit"), step.about("status"), step.about("module")) == (0, ["0"], [], [])
    for release in (upgrade.releases[0], upgrade.releases[2]):
        assert step.about("depmod", release) == []
