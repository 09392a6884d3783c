# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy dkms` beside Debian's dkms, over the same trees: what one builds, installs and says, the other does."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.dkms.destination import distribution
from kbuildpy.dkms.read_conf import ConfKernel, read_conf
from kbuildpy.kernel.module_files import read_module, without_suffix
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.own_command import own_command
from kbuildpy.run import run
from kbuildpy.signing.trailer import split_signature
from tests.support.dkms_peer import PACKAGES, dkms, dkms_conf, ours
from tests.support.kernel_trees import trees, usual_tree

pytestmark = pytest.mark.parity

ARCH = os.uname().machine
PIN = "secret"
SOURCE = """#include <linux/module.h>
static int __init drv_init(void) { WARN_ON(VALUE == 2); return 0; }
static void __exit drv_exit(void) { }
module_init(drv_init);
module_exit(drv_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("of a package");
"""
CONF = """PACKAGE_NAME=pack
PACKAGE_VERSION=1
BUILT_MODULE_NAME[0]=drv
DEST_MODULE_NAME[0]=driver
DEST_MODULE_LOCATION[0]=/extra
BUILT_MODULE_NAME[1]=whole
DEST_MODULE_LOCATION[1]=/extra
STRIP[1]=no
MAKE[0]="make -C $kernel_source_dir M=$dkms_tree/$module/$module_version/build VALUE=1"
AUTOINSTALL=yes
"""


def write(home: Path) -> None:
    """The trees of a machine, with the sources of a package."""
    source = home / "src/pack-1"
    source.mkdir(parents=True)
    for name in ("drv", "whole"):
        (source / f"{name}.c").write_text(SOURCE)
    (source / "Makefile").write_text("obj-m := drv.o whole.o\nccflags-y := -DVALUE=$(VALUE)\n")
    (source / "dkms.conf").write_text(CONF)
    (home / "dkms").mkdir()


def signed_by_sign_file(module: bytes, key: Path, certificate: Path, place: Path) -> bytes:
    """`module`, without its signature, signed by the kernel tree's own program."""
    tree, signed = usual_tree(), split_signature(module)
    assert signed is not None
    plain = place / "plain.ko"
    plain.write_bytes(signed.contents)
    program = next(path for path in (tree.objects, tree.source) if (path / "scripts/sign-file").exists())
    digest = tree.config["CONFIG_MODULE_SIG_HASH"]
    environment = {**os.environ, "KBUILD_SIGN_PIN": PIN}
    run([program / "scripts/sign-file", digest, key, certificate, plain], env=environment)
    return plain.read_bytes()


def built(home: Path) -> dict[str, bytes]:
    """The modules in DKMS' tree, without signatures and uncompressed (dkms compresses as /lib/modules has it)."""
    found = {}
    for path in (home / "dkms").rglob("module/*.ko*"):
        module = read_module(path)
        signed = split_signature(module)
        found[without_suffix(str(path.relative_to(home / "dkms")))] = signed.contents if signed else module
    return found


def test_builds_what_dkms_builds_and_signs_it_or_fails(tmp_path: Path) -> None:
    write(tmp_path)
    tree = usual_tree()
    key, certificate = tmp_path / "mok.priv", tmp_path / "mok.der"
    words = ["-newkey", "rsa:2048", "-subj", "/CN=x", "-passout", f"pass:{PIN}"]
    run(["openssl", "req", "-new", "-x509", *words, "-keyout", key, "-outform", "DER", "-out", certificate])
    with (tmp_path / "src/pack-1/dkms.conf").open("a") as file:
        file.write(f"MOK_SIGNING_KEY={key}\nMOK_CERTIFICATE={certificate}\n")
    done = dkms("build", "pack/1", "-k", tree.release, home=tmp_path, key=(key, certificate))
    assert done.returncode == 0, done.text + done.error_text
    assert f"Signing key: {key}\n" in done.text
    assert "Signing module" in done.text
    theirs = built(tmp_path)
    assert sorted(Path(name).name for name in theirs) == ["driver", "whole"]
    # (dkms-project/dkms#361: with a key that has a passphrase, the modules stay unsigned, and the build succeeds)
    module = tmp_path / f"dkms/pack/1/{tree.release}/{ARCH}/module/driver.ko"
    assert split_signature(module.read_bytes()) is None, "dkms signs it by now"
    shutil.rmtree(tmp_path / "dkms")
    (tmp_path / "dkms").mkdir()
    done = ours("install", "pack/1", "-k", tree.release, home=tmp_path)
    assert (done.returncode in (0, 77), "passphrase" in done.error_text) == (False, True)
    assert built(tmp_path) == {}
    done = ours("install", "pack/1", "-k", tree.release, home=tmp_path, pin=PIN)
    assert done.returncode == 6, "there is no such kernel to install in"
    assert built(tmp_path) == theirs
    assert module.read_bytes() == signed_by_sign_file(module.read_bytes(), key, certificate, tmp_path)

    # dkms reads the tree as we do, installs from it, and we from what it has done
    (tmp_path / "modules" / tree.release).mkdir(parents=True)
    line = f"pack/1, {tree.release}, {ARCH}"
    assert dkms("status", home=tmp_path).text == ours("status", home=tmp_path).text == f"{line}: built\n"
    assert ours("install", "pack/1", "-k", tree.release, home=tmp_path).returncode == 0
    assert dkms("status", home=tmp_path).text == ours("status", home=tmp_path).text == f"{line}: installed\n"
    installed = {path.name: path.read_bytes() for path in (tmp_path / "modules" / tree.release).rglob("*.ko")}
    assert dkms("uninstall", "pack/1", "-k", tree.release, home=tmp_path).returncode == 0
    assert dkms("status", home=tmp_path).text == ours("status", home=tmp_path).text == f"{line}: built\n"
    assert dkms("install", "pack/1", "-k", tree.release, home=tmp_path).returncode == 0
    assert dkms("status", home=tmp_path).text == ours("status", home=tmp_path).text == f"{line}: installed\n"
    again = {path.name: path.read_bytes() for path in (tmp_path / "modules" / tree.release).rglob("*.ko")}
    assert again == installed
    assert ours("remove", "pack/1", "--all", home=tmp_path).returncode == 0
    assert dkms("status", home=tmp_path).text == ours("status", home=tmp_path).text == ""
    assert not list((tmp_path / "modules" / tree.release).iterdir())


def test_a_module_that_does_not_compile_is_told_by_status_with_the_log(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "src/pack-1/drv.c").write_text("#error so it is\n")
    release = usual_tree().release
    done = ours("build", "pack/1", "-k", release, home=tmp_path)
    assert done.returncode == 10
    assert "so it is" in done.error_text
    lines = ours("status", home=tmp_path).text.splitlines()
    log = lines[1].removeprefix(f"pack/1, {release}, {ARCH}: failed (see ").rstrip(")")
    assert lines[0] == "pack/1: added"
    assert "so it is" in Path(log).read_text()
    assert "PRIVATE KEY" not in Path(log).read_text()
    (tmp_path / "src/pack-1/drv.c").write_text(SOURCE)
    assert ours("build", "pack/1", "-k", release, home=tmp_path).returncode == 0
    assert ours("status", home=tmp_path).text == f"pack/1, {release}, {ARCH}: built\n"
    # with a key that was made
    key, certificate = tmp_path / "dkms/mok.key", tmp_path / "dkms/mok.pub"
    assert key.stat().st_mode & 0o777 == 0o600
    module = (tmp_path / f"dkms/pack/1/{release}/{ARCH}/module/driver.ko").read_bytes()
    assert module == signed_by_sign_file(module, key, certificate, tmp_path)


def _cases() -> list[Any]:
    return [
        pytest.param(package, tree, marks=pytest.mark.sweep, id=f"{package}-{tree.release}")
        for package in PACKAGES
        for tree in trees()
    ]


@pytest.mark.parametrize(("package", "tree"), _cases())
def test_a_packaged_module_is_built_or_left_out_as_by_dkms(package: str, tree: KernelTree, tmp_path: Path) -> None:
    source = dkms_conf(package).parent
    conf = read_conf(source / "dkms.conf", ConfKernel(tree.release, ARCH, tree.objects, distribution()))
    shutil.copytree(source, tmp_path / "src" / source.name, symlinks=True)
    (tmp_path / "dkms").mkdir()
    words = ("build", conf.identity, "-k", tree.release)
    theirs = dkms(*words, home=tmp_path)
    expected = built(tmp_path)
    shutil.rmtree(tmp_path / "dkms")
    (tmp_path / "dkms").mkdir()
    done = ours(*words, home=tmp_path)
    assert done.returncode == theirs.returncode, done.error_text
    assert built(tmp_path) == expected


# --- kill -9


MODULES = ("one", "two")
PACKS = ("a", "b", "c", "d", "e")
KERNEL = "6.1.0-9-none"


def many(home: Path) -> None:
    """Five packages of two modules, in two versions that are built; the first one is installed."""
    (home / "modules" / KERNEL).mkdir(parents=True)
    for version in ("1", "2"):
        for name in PACKS:
            source = home / f"src/{name}-{version}"
            source.mkdir(parents=True)
            lines = [f"PACKAGE_NAME={name}", f"PACKAGE_VERSION={version}", "AUTOINSTALL=yes"]
            for index, module in enumerate(MODULES):
                lines += [f"BUILT_MODULE_NAME[{index}]={name}_{module}", f"DEST_MODULE_LOCATION[{index}]=/updates"]
            if name != "a":
                lines.append("BUILD_DEPENDS[0]=a")
            (source / "dkms.conf").write_text("\n".join(lines))
            folder = home / f"dkms/{name}/{version}/{KERNEL}/{ARCH}/module"
            folder.mkdir(parents=True)
            (home / f"dkms/{name}/{version}/source").symlink_to(source)
            for module in MODULES:
                (folder / f"{name}_{module}.ko").write_text(f"{name} {module} {version}")
        if version == "1":
            assert ours("autoinstall", "-k", KERNEL, home=home).returncode == 0


def versions(home: Path) -> dict[str, set[str]]:
    """The versions of the modules of each package that are installed."""
    found: dict[str, set[str]] = {name: set() for name in PACKS}
    for path in (home / "modules" / KERNEL).rglob("*.ko"):
        name, _, version = path.read_text().split()
        found[name].add(version)
    return found


def killed_at(moment: float, words: Sequence[str]) -> float | None:
    """Run `kbuildpy WORDS`, and kill it after `moment` seconds; how many it took if it ended before."""
    began = time.monotonic()
    with subprocess.Popen(own_command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(timeout=moment)
            return time.monotonic() - began
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return None


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.sweep)])
def test_a_kill_at_any_moment_leaves_whole_packages_and_the_next_call_finishes(kills: int, tmp_path: Path) -> None:
    seed = os.environ.get("KBUILDPY_SEED") or str(time.time_ns())
    print(f"KBUILDPY_SEED={seed}")
    chance = random.Random(seed)
    start = tmp_path / "start"
    many(start)
    # (the links in it are absolute)
    home = tmp_path / "home"
    words = ["dkms", "autoinstall", "-k", KERNEL, "--no-depmod"]
    for option, name in (("--dkmstree", "dkms"), ("--sourcetree", "src"), ("--installtree", "modules")):
        words += [option, str(home / name)]
    longest, seen = 3.0, set()
    for number in range(kills):
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(start, home, symlinks=True)
        seconds = killed_at(chance.uniform(0.1, longest) if number else 0.05, words)
        longest = longest if seconds is None else max(0.5, seconds)
        found = versions(home)
        seen |= {tuple(sorted(item)) for item in found.values()}
        assert {len(item) for item in found.values()} == {1}, f"a package is half of one version: {found}"
        names = sorted(path.name for path in (home / "modules" / KERNEL).rglob("*.ko"))
        assert names == sorted(f"{name}_{module}.ko" for name in PACKS for module in MODULES)
        assert run(own_command(*words)).returncode == 0
        assert versions(home) == {name: {"2"} for name in PACKS}
        status = ours("status", home=home).text.splitlines()
        assert status == [
            f"{name}/{version}, {KERNEL}, {ARCH}: {'built' if version == '1' else 'installed'}"
            for name in PACKS
            for version in ("1", "2")
        ]
    assert ("1",) in seen


@pytest.mark.sweep
def test_a_kill_while_packages_are_built_side_by_side_leaves_whole_ones(tmp_path: Path) -> None:
    seed = os.environ.get("KBUILDPY_SEED") or str(time.time_ns())
    print(f"KBUILDPY_SEED={seed}")
    chance, release = random.Random(seed), usual_tree().release
    kernel, more = ["-k", release], dict.fromkeys(PACKS, "") | {"c": "a", "d": "a b"}
    home = tmp_path / "home"
    words = ["dkms", "autoinstall", *kernel, "--no-depmod", "-j2"]
    for option, name in (("--dkmstree", "dkms"), ("--sourcetree", "src"), ("--installtree", "modules")):
        words += [option, str(home / name)]
    longest = 60.0
    for _ in range(8):
        shutil.rmtree(home, ignore_errors=True)
        (home / "modules" / release / "updates/dkms").mkdir(parents=True)
        (home / "modules" / release / "updates/dkms/other.ko").write_text("of somebody else")
        for name, needs in more.items():
            source = home / f"src/{name}-1"
            source.mkdir(parents=True)
            (source / f"{name}_drv.c").write_text(SOURCE.replace("VALUE", "1"))
            (source / "Makefile").write_text(f"obj-m := {name}_drv.o\n")
            conf = f"PACKAGE_NAME={name}\nPACKAGE_VERSION=1\nAUTOINSTALL=yes\nBUILD_DEPENDS[0]='{needs}'\n"
            (source / "dkms.conf").write_text(f"{conf}BUILT_MODULE_NAME={name}_drv\nDEST_MODULE_LOCATION=/updates\n")
            (home / f"dkms/{name}/1").mkdir(parents=True)
            (home / f"dkms/{name}/1/source").symlink_to(source)
        seconds = killed_at(chance.uniform(0.1, longest), words)
        longest = longest if seconds is None else max(2.0, seconds)
        installed = sorted(path.stem for path in (home / "modules" / release).rglob("*.ko"))
        for module in (home / "dkms").glob("?/1/*/*/module"):
            # (what counts as built is whole and signed)
            assert split_signature(next(module.glob("*.ko")).read_bytes()) is not None, module
        assert installed.count("other") == 1
        assert "c_drv" not in installed or "a_drv" in installed
        assert "d_drv" not in installed or {"a_drv", "b_drv"} <= {*installed}
        done = run(own_command(*words), check=False)
        assert done.returncode == 0, done.error_text
        assert ours("status", home=home).text == "".join(f"{name}/1, {release}, {ARCH}: installed\n" for name in PACKS)
        assert not list((home / "dkms/.kbuildpy").glob("stage-*"))
