# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy install` refuses, and what a fault in the middle leaves behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.run import run
from kbuildpy.signing.manifest import digest, read_manifest
from kbuildpy.signing.trailer import is_signed, split_signature
from tests.support import softhsm
from tests.support.builds import kbuildpy
from tests.support.installs import (
    Built,
    build_sample,
    configured_tree,
    copies,
    install_with_kbuildpy,
    installed,
    make_key,
)
from tests.support.kernel_trees import trees, usual_tree

pytestmark = pytest.mark.parity
MANY = 60


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A module, built."""
    return build_sample("hello", tmp_path_factory.mktemp("hello") / "modules")


@pytest.fixture
def many(hello: Built, tmp_path: Path) -> list[Path]:
    """The module under many names."""
    return copies(hello, tmp_path / "many", MANY)


def refused(*words: str | Path, status: int = 1, env: dict[str, str] | None = None) -> str:
    """What `kbuildpy install` complains of: an error and a hint; nothing is installed."""
    done = kbuildpy("install", *words, env=env)
    assert done.returncode == status, done.text + done.error_text
    assert "INSTALL" not in done.text
    return done.error_text


def test_refuses_a_directory_where_nothing_was_built(tmp_path: Path) -> None:
    tree = usual_tree()
    said = refused(tmp_path, "-k", str(tree.objects), "--root", str(tmp_path / "root"))
    assert f"no modules were built for {tree.release}" in said
    assert f"kbuildpy build {tmp_path} -k {tree.release}" in said
    assert not (tmp_path / "root").exists()


def test_refuses_a_module_that_modules_order_names_and_is_not_there(hello: Built, tmp_path: Path) -> None:
    out = tmp_path / "build" / hello.tree.release
    shutil.copytree(hello.ours, out)
    (out / "modules.order").write_text("hello.ko\nmissing.ko\n")
    said = refused(tmp_path, "-k", str(hello.tree.objects), "--root", str(tmp_path / "root"))
    assert f"{out}/missing.ko: missing" in said


def test_refuses_a_module_of_another_release(hello: Built, many: list[Path], tmp_path: Path) -> None:
    others = [tree for tree in trees() if tree.release != hello.tree.release]
    if not others:
        pytest.skip("one kernel tree here")
    said = refused(many[0], "-k", str(others[0].objects), "--root", str(tmp_path / "root"))
    assert f"built for {hello.tree.release}, so {others[0].release} would not load it" in said
    assert not (tmp_path / "root").exists()


def test_refuses_what_is_no_module(hello: Built, many: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.ko"
    words = [f"INSTALL_MOD_PATH={tmp_path / 'root'}", "-k", str(hello.tree.objects)]
    bad.write_text("no ELF")
    assert str(bad) in refused(many[0], bad, *words)
    shutil.copy(next(hello.ours.glob("hello.o")), bad)
    assert "not a kernel module" in refused(many[0], bad, *words)
    assert not (tmp_path / "root").exists()


def test_refuses_two_modules_of_one_name(hello: Built, many: list[Path], tmp_path: Path) -> None:
    same = tmp_path / many[0].name
    shutil.copy(many[0], same)
    said = refused(many[0], same, "-k", str(hello.tree.objects), "--root", str(tmp_path / "root"), status=2)
    assert f"{many[0]} and {same} would both be installed as {same.name}" in said


def test_names_the_package_of_a_missing_program(hello: Built, tmp_path: Path) -> None:
    words = ["INSTALL_MOD_STRIP=1", "STRIP=riscv128-linux-gnu-strip"]
    done = install_with_kbuildpy(hello, tmp_path / "root", words, status=1)
    assert "riscv128-linux-gnu-strip: program not found" in done.error_text
    assert "apt-get install binutils-riscv128-linux-gnu" in done.error_text
    assert not (tmp_path / "root").exists()


def test_passes_on_what_strip_says(hello: Built, tmp_path: Path) -> None:
    done = install_with_kbuildpy(hello, tmp_path / "root", ["INSTALL_MOD_STRIP=--no-such-option"], status=1)
    assert "hello.ko: strip --no-such-option failed" in done.error_text
    assert "INSTALL_MOD_STRIP is 1, or options for strip" in done.error_text
    assert installed(tmp_path / "root") == {}


def test_refuses_a_root_that_cannot_be_written(hello: Built) -> None:
    done = install_with_kbuildpy(hello, Path("/sys"), status=1)
    assert "kbuildpy: error: /sys/lib: " in done.error_text
    assert "--root PATH" in done.error_text
    assert "Traceback" not in done.error_text


def test_refuses_other_places_below_the_root(hello: Built, tmp_path: Path) -> None:
    assert "INSTALL_MOD_DIR" in refused(hello.directory, "-k", str(hello.tree.objects), f"MODLIB={tmp_path}", status=2)


def test_a_full_disk_leaves_whole_files_only(hello: Built, many: list[Path], small_disk: Path, tmp_path: Path) -> None:
    words = ["-k", str(hello.tree.objects), "-j2"]
    whole = many[0].read_bytes()
    assert len(whole) * MANY > 2 << 20, "that would fit"
    done = kbuildpy("install", *many, *words, "--root", small_disk, "--manifest", tmp_path / "manifest")
    assert done.returncode == 1
    assert "No space left on device" in done.error_text
    assert "the disk is full: free some space and install again" in done.error_text
    left = [path for path in small_disk.rglob("*") if path.is_file()]
    assert left
    assert all(path.read_bytes() == whole for path in left)
    assert sorted(entry.path for entry in read_manifest(tmp_path / "manifest")) == sorted(map(str, left))


def test_a_killed_run_leaves_whole_files_and_the_next_one_finishes(
    hello: Built, many: list[Path], tmp_path: Path
) -> None:
    config = {"CONFIG_MODULE_COMPRESS_XZ": "y", "CONFIG_MODULE_COMPRESS_ALL": "y", "CONFIG_MODULE_SIG_ALL": "n"}
    kdir = configured_tree(hello.tree, tmp_path / "tree", config)
    root = tmp_path / "root"
    argv = [sys.executable, "-m", "kbuildpy", "install", *map(str, many), "-k", str(kdir), "-j2", "--root", str(root)]
    run(argv)
    old = {path.read_bytes() for path in root.rglob("*.ko.xz")}
    # What is installed from now on is stripped.
    argv += ["INSTALL_MOD_STRIP=1", "--manifest", str(tmp_path / "manifest")]
    done = run([*argv, "--root", tmp_path / "clean", "--manifest", tmp_path / "another"])
    assert "STRIP" in done.text
    new = {path.read_bytes() for path in (tmp_path / "clean").rglob("*.ko.xz")}
    assert (len(old), len(new), len(old & new)) == (1, 1, 0)
    mixed = 0
    for moment in range(10):
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.03 * moment)
        os.killpg(process.pid, 9)
        process.communicate()
        found = {path.read_bytes() for path in root.rglob("*.ko.xz")}
        assert len(list(root.rglob("*.ko.xz"))) == MANY
        assert found <= old | new
        mixed += found == old | new
    run(argv)
    assert installed(root) == installed(tmp_path / "clean")
    assert kbuildpy("verify", root, "--manifest", tmp_path / "manifest").returncode == 0
    entries = read_manifest(tmp_path / "manifest")
    assert (len(entries), {entry.sha256_after for entry in entries}) == (MANY, {digest(*new)})
    assert mixed, "no run was killed in its middle"


@pytest.mark.parametrize("together", [False, True], ids=["two files", "one file"])
def test_signs_with_a_key_of_the_callers(hello: Built, together: bool, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "key.x509"
    make_key(key, certificate)
    words = ["--key", str(key), "--cert", str(certificate), "--hash", "sha384"]
    if together:
        pem = run(["openssl", "x509", "-inform", "DER", "-in", certificate]).stdout
        key.write_bytes(key.read_bytes() + pem)
        words[2:4] = []
    done = install_with_kbuildpy(hello, tmp_path / "root", words)
    assert "  SIGN " in done.text
    assert "not signed" not in done.error_text
    [module] = (tmp_path / "root").rglob("hello.ko")
    tool = hello.tree.objects / "scripts/sign-file"
    run([tool, "sha384", key, certificate, hello.modules[0], tmp_path / "oracle.ko"])
    assert module.read_bytes() == (tmp_path / "oracle.ko").read_bytes()


def test_signs_with_a_key_in_hardware(hello: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "key.x509"
    make_key(key, certificate)
    softhsm.configure(tmp_path, monkeypatch)
    softhsm.make_token("release")
    softhsm.import_key("release", key, "modules", "01")
    words = ["--key", "pkcs11:token=release;object=modules", "--cert", str(certificate), "--hash", "sha512"]
    install_with_kbuildpy(hello, tmp_path / "root", words, env={"KBUILD_SIGN_PIN": softhsm.PIN})
    [module] = (tmp_path / "root").rglob("hello.ko")
    run(
        [hello.tree.objects / "scripts/sign-file", "sha512", key, certificate, hello.modules[0], tmp_path / "oracle.ko"]
    )
    assert module.read_bytes() == (tmp_path / "oracle.ko").read_bytes()
    done = install_with_kbuildpy(hello, tmp_path / "none", words, env={"KBUILD_SIGN_PIN": "wrong"}, status=1)
    assert softhsm.PIN not in done.error_text
    assert not (tmp_path / "none").exists()


def test_refuses_a_key_that_is_not_the_certificates(hello: Built, tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_key(tmp_path / f"{name}.pem", tmp_path / f"{name}.x509")
    words = ["--key", str(tmp_path / "a.pem"), "--cert", str(tmp_path / "b.x509")]
    done = install_with_kbuildpy(hello, tmp_path / "root", words, status=1)
    assert "the private key does not belong to the certificate" in done.error_text
    assert not (tmp_path / "root").exists()


def test_a_key_of_the_trees_that_does_not_fit_costs_the_signatures_only(hello: Built, tmp_path: Path) -> None:
    kdir = configured_tree(hello.tree, tmp_path / "tree", {"CONFIG_MODULE_SIG_ALL": "y"})
    make_key(tmp_path / "other.pem", open_tree(kdir).objects / "certs/signing_key.x509")
    done = install_with_kbuildpy(hello, tmp_path / "root", kdir=kdir)
    assert "the modules are not signed" in done.error_text
    assert "does not belong to the certificate" in done.error_text
    [module] = (tmp_path / "root").rglob("hello.ko")
    assert not is_signed(module.read_bytes())


def test_tells_of_signatures_that_stripping_takes_away(hello: Built, many: list[Path], tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "key.x509"
    make_key(key, certificate)
    signing = ["--key", str(key), "--cert", str(certificate)]
    # (what this very key has signed before is left as it is)
    others = tmp_path / "other.pem", tmp_path / "other.x509"
    make_key(*others)
    run([hello.tree.objects / "scripts/sign-file", "sha256", *others, many[0]])
    words = [str(many[0]), "-k", str(hello.tree.objects), "--root", str(tmp_path / "root")]
    assert "signed already" in refused(*words, *signing)
    done = kbuildpy("install", *words, "INSTALL_MOD_STRIP=1")
    assert f"{many[0]}: stripping removes the signature" in done.error_text
    done = kbuildpy("install", *words, *signing, "INSTALL_MOD_STRIP=1")
    assert done.returncode == 0, done.error_text
    [module] = (tmp_path / "root").rglob("*.ko")
    signed = split_signature(module.read_bytes())
    assert signed is not None
    assert not is_signed(signed.contents)
