# SPDX-License-Identifier: GPL-2.0-only
"""Compressed modules are signed inside, and come out as the tree's own programs sign and then compress them."""

from __future__ import annotations

import json
import lzma
import shutil
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.run import run
from kbuildpy.signing.manifest import digest, read_manifest
from kbuildpy.signing.signer import sign_module
from tests.support.builds import kbuildpy
from tests.support.installs import COMPRESSORS, Built, build_sample, install_with_make
from tests.support.keys import sign_file, signer_of, write_pair

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A module, built."""
    return build_sample("hello", tmp_path_factory.mktemp("hello") / "modules")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("keys"), "rsa2048")


@pytest.fixture(scope="module")
def installed(hello: Built, pair: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, bytes]]:
    """By suffix, what make installs of the module, compressed, and of the one that sign-file has signed."""
    [module] = hello.modules
    unsigned = module.read_bytes()
    found = {}
    for compressor, suffix in COMPRESSORS.items():
        symbols = {word: "y" if word == compressor else "" for word in (*COMPRESSORS, "NONE")}
        words = [f"CONFIG_MODULE_COMPRESS_{word}={value}" for word, value in symbols.items()]
        words += ["CONFIG_MODULE_COMPRESS=y", "CONFIG_MODULE_COMPRESS_ALL=y", "CONFIG_MODULE_SIG_ALL="]
        results = []
        for signed in (False, True):
            module.write_bytes(unsigned)
            if signed:
                sign_file(hello.tree, "sha256", pair, module)
            root = tmp_path_factory.mktemp("root")
            install_with_make(hello, root, words)
            [result] = root.rglob(f"hello.ko{suffix}")
            results.append(result.read_bytes())
        module.write_bytes(unsigned)
        found[suffix] = results[0], results[1]
    return found


def lay_out(place: Path, installed: dict[str, tuple[bytes, bytes]]) -> dict[Path, bytes]:
    """The unsigned modules in `place`, and what they are to become."""
    place.mkdir()
    for suffix, (unsigned, _) in installed.items():
        (place / f"hello.ko{suffix}").write_bytes(unsigned)
    return {place / f"hello.ko{suffix}": signed for suffix, (_, signed) in installed.items()}


def test_a_directory_of_compressed_modules_is_signed_like_make_does(
    installed: dict[str, tuple[bytes, bytes]], pair: Path, tmp_path: Path
) -> None:
    wanted = lay_out(tmp_path / "modules", installed)
    before = {str(path): digest(path.read_bytes()) for path in wanted}
    words: list[str | Path] = [
        "sign",
        tmp_path / "modules",
        "--key",
        pair,
        "--hash",
        "sha256",
        "--manifest",
        tmp_path / "manifest",
    ]
    done = kbuildpy(*words)
    assert done.returncode == 0, done.error_text
    assert {path: path.read_bytes() for path in wanted} == wanted
    entries = read_manifest(tmp_path / "manifest")
    assert {entry.path: entry.sha256_before for entry in entries} == before
    assert {entry.path: entry.sha256_after for entry in entries} == {
        str(path): digest(contents) for path, contents in wanted.items()
    }
    verified = kbuildpy("verify", tmp_path / "modules", "--cert", pair, "--manifest", tmp_path / "manifest")
    assert verified.returncode == 0, verified.text + verified.error_text
    # What has this signature is left alone, and a manifest that lost its lines gets the same ones.
    (tmp_path / "manifest").unlink()
    again = kbuildpy(*words, "--format", "json")
    assert [json.loads(line)["done"] for line in again.text.splitlines()] == [False] * 3
    assert {(entry.path, entry.sha256_before) for entry in read_manifest(tmp_path / "manifest")} == set(before.items())


def test_a_signature_from_elsewhere_is_put_inside(
    installed: dict[str, tuple[bytes, bytes]], pair: Path, tmp_path: Path
) -> None:
    wanted = lay_out(tmp_path / "modules", installed)
    path = tmp_path / "modules/hello.ko.xz"
    assert kbuildpy("sign", path, "--key", pair, "--hash", "sha256", "-d").returncode == 0
    assert path.read_bytes() == installed[".xz"][0]
    done = kbuildpy("sign", path, "-s", tmp_path / "modules/hello.ko.xz.p7s")
    assert done.returncode == 0, done.error_text
    assert path.read_bytes() == wanted[path]


def test_what_cannot_be_compressed_again_stays_as_it_is(hello: Built, pair: Path, tmp_path: Path) -> None:
    [module] = hello.modules
    foreign = module.read_bytes().replace(hello.tree.release.encode(), b"9" + hello.tree.release.encode()[1:])
    files = {"foreign.ko.xz": lzma.compress(foreign), "none.ko.xz": lzma.compress(b"no vermagic in it")}
    if shutil.which("lz4"):
        files["a.ko"] = run(["lz4", "-l", "-c"], input=module.read_bytes()).stdout
    for name, contents in files.items():
        (tmp_path / name).write_bytes(contents)
    done = kbuildpy("sign", tmp_path, "--key", pair, "--hash", "sha256")
    assert done.returncode == 1
    assert "foreign.ko.xz: a kernel tree is needed, which says how to compress it again" in done.error_text
    assert "none.ko.xz: the module does not name the kernel that it was built for" in done.error_text
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_no_signature_is_put_behind_what_is_compressed(hello: Built, pair: Path) -> None:
    [module] = hello.modules
    with pytest.raises(KbuildError, match="it is compressed"):
        sign_module(lzma.compress(module.read_bytes()), signer_of(pair, "sha256"))
