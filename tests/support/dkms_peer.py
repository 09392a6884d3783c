# SPDX-License-Identifier: GPL-2.0-only
"""Debian's dkms, unpacked, as the peer of kbuildpy's: what it reads of a dkms.conf, and the commands of both in a
folder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from kbuildpy.errors import CommandError
from kbuildpy.execute import Completed
from kbuildpy.own_command import own_command
from kbuildpy.run import run
from tests.support.builds import REPRODUCIBLE
from tests.support.packages import unpacked

PACKAGES = (
    *("acpi-call-dkms", "adv-17v35x-dkms", "apfs-dkms", "bbswitch-dkms", "dahdi-dkms", "ddcci-dkms", "digimend-dkms"),
    *("dm-writeboost-dkms", "dpdk-kmods-dkms", "evdi-dkms", "falcosecurity-scap-dkms", "gost-crypto-dkms"),
    *("iptables-netflow-dkms", "jool-dkms", "langford-dkms", "librem-ec-acpi-dkms", "lime-forensics-dkms"),
    *("lttng-modules-dkms", "nat-rtsp-dkms", "openafs-modules-dkms", "openrazer-driver-dkms", "openvpn-dco-dkms"),
    *("rapiddisk-dkms", "rtpengine-kernel-dkms", "tp-smapi-dkms", "v4l2loopback-dkms", "vpoll-dkms"),
    *("west-chamber-dkms", "xtables-addons-dkms", "xtrx-dkms"),
)
"""Debian 12's packages with a dkms.conf."""

# (dkms is one script, whose functions end where its main part begins)
_READ = r"""
eval "$(sed '/^#### Program Starts Here ####$/,$d' "$1")"
current_os=Linux; die_is_fatal=yes; running_distribution=$(distro_version)
dkms_tree=$DKMS_TREE source_tree=$SOURCE_TREE install_tree=/lib/modules
module=$3 module_version=$4
read_conf "$5" "$6" "$2" >&2 || exit 9
set -- package_name package_version make_command clean pre_build post_build post_add pre_install post_install \
    post_remove obsolete_by build_exclude AUTOINSTALL
for name; do printf '%s\0%s\0' "$name" "${!name}"; done
for name in built_module_name built_module_location dest_module_name dest_module_location strip patch_array \
    BUILD_DEPENDS; do
    declare -n list=$name
    for index in "${!list[@]}"; do printf '%s[%s]\0%s\0' "$name" "$index" "${list[$index]}"; done
done
"""


def dkms_conf(package: str) -> Path:
    """The dkms.conf of one of Debian's packages. Where there is no such package the test is skipped."""
    try:
        return next(unpacked(package).glob("usr/src/*/dkms.conf"))
    except CommandError as error:
        if "no candidate" in error.stderr or "Unable to locate" in error.stderr:
            pytest.skip(f"{package} is no package of this Debian")
        raise


def dkms_script() -> Path:
    """Debian's dkms, of line 3.0. On another Debian the test is skipped."""
    script = unpacked("dkms") / "usr/sbin/dkms"
    if "dkms-3.0." not in script.read_text():
        pytest.skip("the dkms of this Debian is not 3.0")
    return script


def what_dkms_reads(
    conf: Path, *, name: str, version: str, kernel: str, arch: str, trees: Mapping[str, Path]
) -> dict[str, str] | None:
    """What dkms' own functions read of a dkms.conf, by its own names (NAME[INDEX] in lists); None where it refuses."""
    words: list[str | Path] = ["bash", "-c", _READ, "dkms", dkms_script(), conf, name, version, kernel, arch]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **{key: str(path) for key, path in trees.items()}}
    done = run(words, env=environment, check=False, cwd=conf.parent)
    if done.returncode == 9:
        return None
    assert done.returncode == 0, done.error_text
    fields = done.text.split("\0")
    return dict(zip(fields[::2], fields[1::2], strict=False))


def dkms(*words: str | Path, home: Path, key: tuple[Path, Path] | None = None) -> Completed:
    """Debian's dkms with its trees below `home`, and its sources in `home`/src; without depmod, which would be the
    machine's, and without a terminal. It signs with `key`, and a certificate, as if framework.conf named them."""
    trees = (
        "--no-depmod",
        "--dkmstree",
        home / "dkms",
        "--sourcetree",
        home / "src",
        "--installtree",
        home / "modules",
    )
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(home)}
    # (without a time stamp pahole numbers types as its threads end)
    environment |= dict([REPRODUCIBLE.split("=")])
    if key is not None:
        environment |= {"mok_signing_key": str(key[0]), "mok_certificate": str(key[1])}
    argv = ["setsid", "-w", "bash", dkms_script(), *words, *trees]
    return run(argv, env=environment, check=False, timeout=3600)


def ours(*words: str | Path, home: Path, pin: str | None = None) -> Completed:
    """`kbuildpy dkms` with the same trees; `pin` is the passphrase of the key."""
    trees = ("--dkmstree", home / "dkms", "--sourcetree", home / "src", "--installtree", home / "modules")
    environment = {name: value for name, value in os.environ.items() if name != "KBUILD_SIGN_PIN"}
    if pin is not None:
        environment["KBUILD_SIGN_PIN"] = pin
    argv = own_command("dkms", *map(str, (*words, *trees, "--no-depmod")))
    return run(argv, env=environment, check=False, timeout=1800)


def listed(read: Mapping[str, str], name: str) -> list[str]:
    """The values of a list in what dkms reads."""
    found = {int(match[1]): value for key, value in read.items() if (match := re.fullmatch(rf"{name}\[(\d+)\]", key))}
    return [found[index] for index in sorted(found)]
