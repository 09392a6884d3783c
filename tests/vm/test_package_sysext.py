# SPDX-License-Identifier: GPL-2.0-only
"""A system extension in a Debian that runs: systemd merges it, modprobe loads its modules, and the machine's own stay.

The guest is a Debian of debootstrap's in an initramfs, with systemd as process 1 and a few modules of its kernel.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from kbuildpy.vm.qemu import boot
from tests.support.debian_roots import debian_root
from tests.support.guest_kernels import image_of
from tests.support.kernel_trees import tree_of
from tests.support.module_packages import made, package, require_tools
from tests.support.samples import built_samples
from tests.support.shipped_kernels import shipped_kernel

pytestmark = [
    pytest.mark.vm,
    pytest.mark.sweep,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not installed"),
]

OWN = ("overlay", "loop", "squashfs", "erofs", "crc32c_generic", "dm-mod", "dm-verity", "dummy")
"""Modules of the kernel's: what systemd-sysext needs (erofs asks for a crc32c by its alias), and one that has to load
as before."""
UNIT = """[Unit]
Description=The test
DefaultDependencies=no
After=systemd-sysext.service local-fs.target systemd-udevd.service
[Service]
Type=oneshot
ExecStart=/root/test.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
[Install]
WantedBy=multi-user.target
"""
TEST = """#!/bin/bash
# (by the kernel's log: lines of the console are cut by others)
say() { echo "SAY $*" >/dev/kmsg; }
run() { local name=$1; shift; "$@" >/run/said 2>&1; say "$name" $? "$(tr '\\n' ';' </run/said)"; }
release=$(uname -r)
run merged systemd-sysext status --no-pager
run devices cat /sys/block/dm-0/dm/uuid
for name in exporter_user hello; do run "before-$name" test -e "/sys/module/$name"; done
run shown modprobe -D exporter_user
run load modprobe exporter_user
for name in exporter exporter_user; do run "loaded-$name" test -e "/sys/module/$name"; done
run parameter modprobe params count=3
run count cat /sys/module/params/parameters/count
run own modprobe dummy
run ownloaded test -e /sys/module/dummy
run remove modprobe -r exporter_user
run gone test ! -e /sys/module/exporter_user
run second modprobe hello
run secondloaded test -e /sys/module/hello
run unmerge systemd-sysext unmerge
run after modprobe -n exporter_user
systemctl poweroff --force --force
"""


def lines_of(log: tuple[str, ...]) -> dict[str, tuple[int, str]]:
    """What the guest said: status and text by name."""
    found = {}
    for line in log:
        if "SAY " in line:
            name, status, *text = line.partition("SAY ")[2].split(" ", 2)
            found[name] = (int(status), " ".join(text))
    return found


def with_needed(modules: dict[str, Path], names: Iterable[str]) -> set[Path]:
    """The files of the modules `names`, and of those that they depend on, as modinfo tells."""
    found: set[Path] = set()
    todo = list(names)
    while todo:
        path = modules[todo.pop().replace("-", "_")]
        if path not in found:
            found.add(path)
            todo += run(["modinfo", "-F", "depends", path]).text.strip().replace(",", " ").split()
    return found


@pytest.fixture(scope="module")
def tree() -> KernelTree:
    return tree_of("6.1")


@pytest.fixture
def guest(tree: KernelTree, tmp_path: Path) -> Iterator[Path]:
    """The root of the guest, with the modules `OWN` and an index of them."""
    root = tmp_path / "root"
    pristine = debian_root("bookworm", ("systemd-sysv", "udev", "kmod", "libcryptsetup12"))
    run(["cp", "-a", pristine, root])
    for folder in ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / folder, ignore_errors=True)
    kernel = shipped_kernel("6.1")
    place = root / "usr/lib/modules" / tree.release
    top = next(path for path in kernel.modules[0].parents if path.name == tree.release)
    for module in with_needed({path.name.partition(".")[0].replace("-", "_"): path for path in kernel.modules}, OWN):
        target = place / module.relative_to(top)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(module, target)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        if (top / name).exists():
            shutil.copy(top / name, place)
    run(["depmod", "-b", root, tree.release])
    (root / "etc/systemd/system/test.service").write_text(UNIT)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "test.service").symlink_to("../test.service")
    (root / "etc/systemd/system/sysinit.target.wants").mkdir(parents=True, exist_ok=True)
    (root / "etc/systemd/system/sysinit.target.wants/systemd-sysext.service").symlink_to(
        "/usr/lib/systemd/system/systemd-sysext.service"
    )
    (root / "etc/fstab").write_text("")
    (root / "init").unlink(missing_ok=True)
    (root / "init").symlink_to("usr/lib/systemd/systemd")
    (root / "var/lib/extensions").mkdir(parents=True)
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("kind", ["squashfs", "erofs", "verity"])
def test_systemd_merges_it_and_modprobe_loads_its_modules_and_the_machine_s(
    kind: str, tree: KernelTree, guest: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    require_tools("sysext")
    program = {"erofs": "mkfs.erofs", "verity": "veritysetup"}.get(kind, "mksquashfs")
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    samples = {path.name: path for path in built_samples(tree, tmp_path_factory)}
    form = ("--verity",) if kind == "verity" else ("--file-system", kind)
    named = ("--version", "1", "--format", "json", *form)
    pair = (samples["exporter.ko"], samples["exporter_user.ko"], samples["params.ko"])
    for words in ((*pair, "--name", "pair"), (samples["hello.ko"],)):
        file = tmp_path / made(package("sysext", *words, *named, tree=tree, cwd=tmp_path))
        for path in file.parent.glob(f"{file.stem}.*"):
            shutil.copy(path, guest / "var/lib/extensions")
    test = guest / "root/test.sh"
    test.write_text(TEST)
    test.chmod(0o755)
    archive = run(["bash", "-c", 'cd "$1" && find . -print0 | cpio -o -0 -H newc --quiet', "sh", guest]).stdout
    parameters = ("systemd.log_target=kmsg", "systemd.unit=multi-user.target", "selinux=0", "audit=0")
    booted = boot(image_of(tree), archive, parameters=parameters, memory=2048, timeout=1500)
    found = lines_of(booted.log)
    print("\n".join(f"{name}: {value}" for name, value in found.items()), booted.seconds)
    assert found, booted.log[-60:]
    print("\n".join(line for line in booted.log if "sysext" in line or "erofs" in line or "overlay" in line))
    assert f"pair-{tree.release}" in found["merged"][1]
    assert found["before-hello"][0] == found["before-exporter_user"][0] == 1
    for name in ("load", "loaded-exporter", "loaded-exporter_user", "parameter", "own", "ownloaded", "remove", "gone"):
        assert found[name][0] == 0, (name, found[name])
    assert found["second"][0] == found["secondloaded"][0] == found["unmerge"][0] == 0, found
    assert "install /sbin/modprobe -a exporter" in found["shown"][1]
    assert found["count"][1] == "3;"
    assert ("VERITY" in found["devices"][1]) == (kind == "verity"), found["devices"]
    # Without the extension there is no such module.
    assert found["after"][0] == 1
