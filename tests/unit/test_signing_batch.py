# SPDX-License-Identifier: GPL-2.0-only
"""Signing many files: how many at a time, what their manifest is told, and whose error an error is."""

from __future__ import annotations

import lzma
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.install.pack import packer
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.parallel import in_threads
from kbuildpy.signing import batch
from kbuildpy.signing.batch import SignedFile, attach, sign_files
from kbuildpy.signing.manifest import Manifest, ManifestLine, digest, read_manifest
from tests.support.signatures import MODULE, rsa_signer

RULES = InstallRules("6.1", "/lib/modules/6.1", "extra", ".xz", (), None, ("xz",), "XZ", (), "", "/", {})


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_no_more_files_are_worked_on_than_there_are_jobs(
    jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sign(path: Path, *_: object) -> SignedFile:
        path.touch()
        working = len(list(tmp_path.iterdir()))
        time.sleep(0.01)
        path.unlink()
        return SignedFile(path, error=KbuildError(str(working)))

    # (the processes are forked, and inherit this)
    monkeypatch.setattr(batch, "_sign_file", sign)
    results = list(sign_files([tmp_path / f"{number}.ko" for number in range(64)], rsa_signer(), jobs=jobs))
    assert len(results) == 64
    most = max(int(item.error.message.rpartition(" ")[2]) for item in results if item.error)
    assert most <= jobs


def test_a_signed_module_is_compressed_again_only_for_a_manifest_that_does_not_know_it(tmp_path: Path) -> None:
    module, place = tmp_path / "m.ko.xz", tmp_path / "manifest"
    unsigned = lzma.compress(MODULE)
    module.write_bytes(unsigned)
    packed: list[bytes] = []

    def pack(contents: bytes, name: str, source: Path) -> bytes:
        packed.append(contents)
        return lzma.compress(contents)

    def sign() -> list[ManifestLine]:
        packed.clear()
        manifest = Manifest(place)
        (item,) = sign_files([module], rsa_signer(), manifest=manifest, pack=pack)
        manifest.close()
        assert item.error is None
        return read_manifest(place)

    entries = sign()
    assert len(packed) == 1
    assert sign() == entries
    assert packed == []
    place.unlink()
    (entry,) = sign()
    assert packed == [MODULE]
    assert (entry.sha256_before, entry.sha256_after) == (digest(unsigned), digest(module.read_bytes()))


def test_a_tree_is_asked_once_for_all_of_its_modules() -> None:
    asked: list[tuple[str, str]] = []

    def rules_for(release: str, variables: Mapping[str, str]) -> InstallRules:
        time.sleep(0.01)
        asked.append((release, variables["CONFIG_MODULE_COMPRESS_XZ"]))
        return replace(RULES, compress=("cp", "-T", "/dev/null"), suffix="")

    pack = packer(rules_for, os.environ)
    modules = [b"\0vermagic=%s SMP\0" % release for release in (b"6.1.0", b"6.2.0") for _ in range(4)]
    list(in_threads(lambda module: pack(module, "xz", Path("m.ko.xz")), modules, jobs=8))
    assert sorted(asked) == [("6.1.0", "y"), ("6.2.0", "y")]
    pack(modules[0], "gzip", Path("m.ko.gz"))
    assert asked[2:] == [("6.1.0", "")]


def test_what_fails_is_said_of_the_module_and_once(tmp_path: Path) -> None:
    module = tmp_path / "m.ko.xz"
    module.write_bytes(lzma.compress(b"\0vermagic=6.1 SMP\0"))
    words = ("sh", "-c", 'echo "xz: $0: Write error" >&2; exit 1')
    rules = replace(RULES, compress=words, suffix=".xz")
    pack = packer(lambda *_: rules, os.environ)
    (item,) = sign_files([module], rsa_signer(), pack=pack)
    wanted = f"{module}: {' '.join(words)} failed with status 1: xz: {module}: Write error"
    assert item.error is not None and item.error.message == wanted
    with pytest.raises(KbuildError) as failed:
        attach(module, b"signature", pack=pack)
    assert failed.value.message == wanted
    for contents, said in ((b"\xfd7zXZ\0 and no more", "damaged xz"), (lzma.compress(b"x"), "it is compressed")):
        module.write_bytes(contents)
        with pytest.raises(KbuildError, match=f"^{module}: {said}"):
            attach(module, b"signature")
    module.unlink()
    with pytest.raises(KbuildError, match=f"^{module}: No such file"):
        attach(module, b"signature")
