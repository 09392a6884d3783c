# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy install` leaves the tree that make's modules_install leaves, file by file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.installs import (
    Built,
    assert_same_tree,
    build,
    configured_tree,
    install_with_kbuildpy,
    install_with_make,
    installed,
    messages,
)
from tests.support.kernel_trees import EARLY, newest_tree_first, swept, tree_of_release
from tests.support.packages import unpacked
from tests.support.samples import SAMPLES

pytestmark = pytest.mark.parity
# (the oldest line has a makefile of another shape)
RELEASES = [*newest_tree_first(), *swept(EARLY)]


def is_early(built: Built) -> bool:
    """5.10: its makefile prints one line a module, and its sign-file wants an OpenSSL that is not here."""
    return built.tree.version < (5, 14)


@pytest.fixture(scope="module", params=RELEASES)
def samples(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sample modules, built."""
    place = tmp_path_factory.mktemp("samples") / "modules"
    shutil.copytree(SAMPLES, place)
    return build(tree_of_release(request.param), place)


@pytest.mark.parametrize(
    "variables",
    [
        (),
        ("INSTALL_MOD_STRIP=1",),
        ("INSTALL_MOD_STRIP=--strip-debug -R .comment", "INSTALL_MOD_DIR=vendor/new"),
        ("INSTALL_MOD_DIR=../beside/../../modules/other",),
    ],
    ids=["as built", "stripped", "with options, elsewhere", "beside the release"],
)
def test_installs_what_make_installs(samples: Built, variables: tuple[str, ...], tmp_path: Path) -> None:
    theirs, ours = tmp_path / "make", tmp_path / "ours"
    oracle = install_with_make(samples, theirs, variables)
    done = install_with_kbuildpy(samples, ours, variables)
    assert_same_tree(theirs, ours)
    if not is_early(samples):
        # Without a key in the tree Kbuild says SIGN, and then three lines of why it does not.
        unsigned = [line for line in messages(oracle, theirs) if "SIGN" not in line]
        assert messages(done, ours) == unsigned
        assert done.error_text.count("not signed") == 1
        assert oracle.text.count("SIGN ") == len(samples.modules)


@pytest.mark.parametrize(
    ("compressor", "strip"), [("", False), ("", True), ("GZIP", True), ("XZ", False), ("ZSTD", True)]
)
def test_signs_compresses_and_runs_depmod_as_make_does(
    samples: Built, compressor: str, strip: bool, tmp_path: Path
) -> None:
    variables = ["INSTALL_MOD_STRIP=1"] if strip else []
    config = {"CONFIG_MODULE_SIG_ALL": "n" if is_early(samples) else "y", "CONFIG_MODULE_SIG_HASH": '"sha512"'}
    if compressor:
        config |= {f"CONFIG_MODULE_COMPRESS_{compressor}": "y", "CONFIG_MODULE_COMPRESS_ALL": "y"}
        # 5.10 asks for this one, and has no zstd.
        config |= {"CONFIG_MODULE_COMPRESS": "y"}
    kdir = configured_tree(samples.tree, tmp_path / "tree", config)
    theirs, ours = tmp_path / "make", tmp_path / "ours"
    oracle = install_with_make(samples, theirs, variables, kdir=kdir)
    done = install_with_kbuildpy(samples, ours, variables, kdir=kdir)
    assert_same_tree(theirs, ours)
    names = installed(theirs)
    assert [name for name in names if name.endswith("/modules.dep")]
    if is_early(samples):
        return
    if compressor:
        assert not [name for name in names if name.endswith(".ko")]
    else:
        assert all(names[name][3].endswith(b"appended~\n") for name in names if name.endswith(".ko"))
    assert messages(done, ours) == messages(oracle, theirs)


def test_leaves_alone_what_the_configuration_does_not_ask_for(samples: Built, tmp_path: Path) -> None:
    # Since 6.12 a kernel may take compressed modules without its build compressing them.
    config = {"CONFIG_MODULE_SIG_ALL": "n", "CONFIG_MODULE_COMPRESS_XZ": "y"}
    kdir = configured_tree(samples.tree, tmp_path / "tree", config)
    install_with_make(samples, tmp_path / "make", kdir=kdir)
    done = install_with_kbuildpy(samples, tmp_path / "ours", kdir=kdir)
    assert_same_tree(tmp_path / "make", tmp_path / "ours")
    assert "SIGN" not in done.text
    assert "signed" not in done.error_text


@pytest.mark.parametrize("treatment", ["copied", "signed", "compressed"])
def test_modes_are_those_that_make_leaves(samples: Built, treatment: str, tmp_path: Path) -> None:
    if treatment == "signed" and is_early(samples):
        pytest.skip("the sign-file of 5.10 wants another OpenSSL")
    config = {"CONFIG_MODULE_SIG_ALL": "y" if treatment == "signed" else "n"}
    if treatment == "compressed":
        config |= {"CONFIG_MODULE_COMPRESS_GZIP": "y", "CONFIG_MODULE_COMPRESS_ALL": "y", "CONFIG_MODULE_COMPRESS": "y"}
    kdir = configured_tree(samples.tree, tmp_path / "tree", config)
    first, second = (path.relative_to(samples.directory) for path in samples.modules[:2])
    touched = [place / name for place in (samples.directory, samples.ours) for name in (first, second)]
    umask = os.umask(0o027)
    try:
        for path in touched:
            path.chmod(0o604)
        for round in range(2):
            install_with_make(samples, tmp_path / "make", kdir=kdir)
            install_with_kbuildpy(samples, tmp_path / "ours", kdir=kdir)
            assert_same_tree(tmp_path / "make", tmp_path / "ours")
            # In the second round the files are there already: one of them is the administrator's own affair, and of
            # another kernel's time there is a module that is not compressed.
            for root in (tmp_path / "make", tmp_path / "ours") if round == 0 else ():
                next(path for path in root.rglob(f"{first.name}*") if path.is_file()).chmod(0o640)
                next(root.rglob(second.stem)).joinpath(second.name).touch()
    finally:
        os.umask(umask)
        for path in touched:
            path.chmod(0o644)


@pytest.mark.parametrize("release", RELEASES)
def test_a_packaged_module_is_installed_as_make_does(release: str, tmp_path: Path) -> None:
    [source] = unpacked("acpi-call-dkms").glob("usr/src/*")
    place = tmp_path / "modules"
    shutil.copytree(source, place)
    built = build(tree_of_release(release), place)
    for variables in ((), ("INSTALL_MOD_STRIP=1", "INSTALL_MOD_DIR=extra/acpi")):
        theirs, ours = tmp_path / f"make{len(variables)}", tmp_path / f"ours{len(variables)}"
        install_with_make(built, theirs, variables)
        install_with_kbuildpy(built, ours, variables)
        assert_same_tree(theirs, ours)
