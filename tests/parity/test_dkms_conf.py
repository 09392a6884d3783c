# SPDX-License-Identifier: GPL-2.0-only
"""dkms.conf, as DKMS itself reads it: Debian's packages, and files with what those do not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.destination import distribution
from kbuildpy.dkms.read_conf import ConfKernel, read_conf
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree
from tests.support.dkms_peer import PACKAGES, dkms_conf, listed, what_dkms_reads
from tests.support.kernel_trees import trees

pytestmark = pytest.mark.parity

OFTEN = ("lttng-modules-dkms", "rtpengine-kernel-dkms", "xtables-addons-dkms", "openafs-modules-dkms", "jool-dkms")
"""Those with the most bash in them."""


def compare(
    conf: Path, tree: KernelTree, *, arch: str = "x86_64", name: str = "", version: str = ""
) -> DkmsConf | None:
    """Assert that both read the same of a dkms.conf for the kernel of `tree`; None where both refuse it."""
    kernel = ConfKernel(tree.release, arch, Path(f"/lib/modules/{tree.release}/build"), distribution())
    read = what_dkms_reads(
        conf,
        name=name,
        version=version,
        kernel=tree.release,
        arch=arch,
        trees={"DKMS_TREE": kernel.dkms_tree, "SOURCE_TREE": kernel.source_tree},
    )
    if read is None:
        with pytest.raises(KbuildError):
            read_conf(conf, kernel, name=name, version=version)
        return None
    ours = read_conf(conf, kernel, name=name, version=version)
    default = f"make -C {kernel.tree} M=/var/lib/dkms/{name}/{version}/build"
    assert ours.name == read["package_name"]
    assert ours.version == read["package_version"]
    assert (ours.make or default) == read["make_command"]
    assert (ours.clean or f"{default} clean") == read["clean"]
    for field in ("pre_build", "post_build", "post_add", "pre_install", "post_install", "post_remove", "obsolete_by"):
        assert getattr(ours, field) == read[field], field
    assert ours.autoinstall == bool(read["AUTOINSTALL"])
    assert [module.name for module in ours.modules] == listed(read, "built_module_name")
    assert [module.built_in for module in ours.modules] == listed(read, "built_module_location")
    assert [module.installed_name for module in ours.modules] == listed(read, "dest_module_name")
    assert [module.destination for module in ours.modules] == listed(read, "dest_module_location")
    assert [module.strip for module in ours.modules] == [word != "no" for word in listed(read, "strip")]
    assert list(ours.patches) == listed(read, "patch_array")
    assert list(ours.depends) == [word for text in listed(read, "BUILD_DEPENDS") for word in text.split()]
    # (KERNEL_MIN and _MAX are of later versions of DKMS)
    if "KERNEL_M" not in ours.excluded:
        assert bool(ours.excluded) == bool(read["build_exclude"]), ours.excluded
    return ours


def _cases() -> list[Any]:
    found = []
    for package in PACKAGES:
        for tree in trees():
            marks = [] if package in OFTEN and tree.version == (6, 1) else [pytest.mark.sweep]
            found.append(pytest.param(package, tree, marks=marks, id=f"{package}-{tree.release}"))
    return found


@pytest.mark.parametrize(("package", "tree"), _cases())
def test_a_packaged_file_is_read_as_dkms_reads_it(package: str, tree: KernelTree) -> None:
    conf = dkms_conf(package)
    name, _, version = conf.parent.name.partition("-")
    assert compare(conf, tree, name=name, version=version) is not None


HEAD = 'PACKAGE_NAME="p"\nPACKAGE_VERSION="1"\nDEST_MODULE_LOCATION[0]="/updates"\n'
FILES = {
    "a value with spaces, tabs and newlines": 'MAKE[0]="  make   a\n\tb  "',
    "quotes in a value": 'MAKE[0]="make A=\\"x y\\" B=\'z\'"',
    "a value that names what DKMS sets": "MAKE='make -C $kernel_source_dir M=$dkms_tree/$module/$module_version/build'",
    "a value that names another directive": "PRE_BUILD='$PACKAGE_NAME.sh'\nCLEAN='clean $PACKAGE_NAME'",
    "a pattern that files match": 'MAKE[0]="make /et?/passwd*nothing"',
    "a command for some kernels": 'MAKE[0]=a\nMAKE_MATCH[0]="^5"\nMAKE[1]=b\nMAKE_MATCH[1]="^6\\.[0-9]+"',
    "commands of which none is for this kernel": 'MAKE[0]="make a"\nMAKE_MATCH[0]="^5"',
    "two commands for this kernel": "MAKE[0]=a\nMAKE[1]=b\nMAKE_MATCH[1]=6\nMAKE[2]=c\nMAKE_MATCH[2]=[6]",
    "patches for some kernels": 'PATCH[0]=a.patch\nPATCH[1]=b\nPATCH_MATCH[1]="^4"\nPATCH[2]=c\nPATCH_MATCH[2]=^6',
    "modules by other names": "BUILT_MODULE_NAME[0]=a\nDEST_MODULE_NAME[0]=b\nBUILT_MODULE_LOCATION[0]=src",
    "a list with a gap": "BUILT_MODULE_NAME[0]=a\nBUILT_MODULE_NAME[2]=c\nDEST_MODULE_LOCATION[2]=/extra",
    "strip for all": "STRIP=no\nBUILT_MODULE_NAME=(a b)\nDEST_MODULE_LOCATION[1]=/extra\nSTRIP[2]=y",
    "strip for one": "STRIP[1]=No\nBUILT_MODULE_NAME=(a b)\nDEST_MODULE_LOCATION[1]=/extra",
    "dependencies": 'BUILD_DEPENDS[0]="a"\nBUILD_DEPENDS[1]="b"',
    "another architecture": 'BUILD_EXCLUSIVE_ARCH="^aarch64$"',
    "other kernels": 'BUILD_EXCLUSIVE_KERNEL="^(2|3|4)\\."',
    "a configuration that the kernel has": 'BUILD_EXCLUSIVE_CONFIG="CONFIG_MODULES !CONFIG_NOTHING_OF_THIS"',
    "a configuration that the kernel has not": 'BUILD_EXCLUSIVE_CONFIG="CONFIG_MODULES !CONFIG_PCI"',
    "a module without a name": "BUILT_MODULE_NAME[0]=a\nDEST_MODULE_LOCATION[1]=/extra",
    "a module with a suffix": "BUILT_MODULE_NAME[0]=a.ko",
    "a destination with a suffix": "BUILT_MODULE_NAME[0]=a\nDEST_MODULE_NAME[0]=a.o",
    "another place": "DEST_MODULE_LOCATION[0]=/lib/modules",
    "no place": "DEST_MODULE_LOCATION[0]=",
    "no name": "PACKAGE_NAME=",
    "no version": "unset PACKAGE_VERSION",
    "an early end": "exit 0",
    "output": "echo said; echo complained >&2",
    "a function and local names": "f() { local MAKE=no; AUTOINSTALL=$1; }\nf yes\nunset -f f",
}
BOTH_REFUSE = {
    *("a module without a name", "a module with a suffix", "a destination with a suffix", "another place", "no place"),
    *("no name", "no version", "an early end", "a list with a gap"),
}


@pytest.mark.parametrize("case", FILES)
def test_what_a_file_can_have_is_read_as_dkms_reads_it(case: str, tmp_path: Path) -> None:
    tree = next((tree for tree in trees() if tree.version == (6, 1)), None) or trees()[0]
    conf = tmp_path / "dkms.conf"
    conf.write_text(f"{HEAD}{FILES[case]}\n")
    assert (compare(conf, tree, name="p", version="1") is None) == (case in BOTH_REFUSE)
