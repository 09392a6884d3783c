# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy install` of many modules: what the manifest says of them, and what the terminal shows."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from kbuildpy.compression import decompress
from kbuildpy.signing.manifest import digest, read_manifest
from kbuildpy.signing.trailer import is_signed
from tests.support.builds import kbuildpy
from tests.support.installs import Built, build_sample, configured_tree, copies
from tests.support.keys import write_pair
from tests.support.terminal import run_on_terminal

pytestmark = pytest.mark.parity
COUNT = 20


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A module, built."""
    return build_sample("hello", tmp_path_factory.mktemp("hello") / "modules")


@pytest.fixture(scope="module")
def compressing(hello: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kernel tree that compresses what it installs, and leaves signing to the caller."""
    config = {"CONFIG_MODULE_COMPRESS_XZ": "y", "CONFIG_MODULE_COMPRESS_ALL": "y", "CONFIG_MODULE_SIG_ALL": "n"}
    return configured_tree(hello.tree, tmp_path_factory.mktemp("compressing") / "tree", config)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("keys"), "rsa2048")


@pytest.fixture
def modules(hello: Built, tmp_path: Path) -> list[Path]:
    """Modules that differ in their last byte."""
    found = copies(hello, tmp_path / "built", COUNT)
    for number, path in enumerate(found):
        path.write_bytes(path.read_bytes() + bytes([number]))
    return found


def install(*words: str | Path, cwd: Path) -> str:
    """What `kbuildpy install` prints below `cwd`/stage, with a manifest beside that."""
    done = kbuildpy("install", *words, "--root", "stage", "--manifest", "manifest", cwd=cwd)
    assert done.returncode == 0, done.error_text
    return done.text


def verify(*words: str | Path, cwd: Path, status: int = 0) -> str:
    """What `kbuildpy verify` says, ending with `status`."""
    done = kbuildpy("verify", *words, "--manifest", "manifest", cwd=cwd)
    assert done.returncode == status, done.text + done.error_text
    assert "Traceback" not in done.error_text
    return done.text + done.error_text


def installed_modules(place: Path) -> list[Path]:
    return sorted(path for path in (place / "stage").rglob("*.ko*"))


def test_each_module_has_a_line_of_the_file_that_was_built_and_the_one_that_lies_there(
    modules: list[Path], compressing: Path, pair: Path, tmp_path: Path
) -> None:
    install(*modules, "-k", compressing, "--key", pair, "--hash", "sha384", cwd=tmp_path)
    there = {str(path.relative_to(tmp_path)): path.read_bytes() for path in installed_modules(tmp_path)}
    built = {path.name: path.read_bytes() for path in modules}
    entries = {entry.path: entry for entry in read_manifest(tmp_path / "manifest")}
    assert len(there) == COUNT
    assert sorted(entries) == sorted(there)
    for name, contents in there.items():
        assert name.endswith(".ko.xz") and is_signed(decompress(contents))
        assert entries[name].sha256_after == digest(contents)
        assert entries[name].sha256_before == digest(built[Path(name).stem])
        assert (entries[name].signer, entries[name].hash) == ("the rsa2048 key", "sha384")


def test_the_keys_of_a_line_are_those_that_signing_writes(modules: list[Path], hello: Built, tmp_path: Path) -> None:
    # (a signature that a module has already is not installing's)
    pair = write_pair(tmp_path, "p256")
    words: list[str | Path] = ["--key", pair, "--hash", "sha256", "--manifest", tmp_path / "signed"]
    assert kbuildpy("sign", modules[0], *words).returncode == 0
    install(modules[0], "-k", hello.tree.objects, cwd=tmp_path)
    signed, installed = (json.loads((tmp_path / name).read_text()) for name in ("signed", "manifest"))
    assert list(installed) == list(signed)
    assert {name for name, value in installed.items() if value is None} == {
        "signer",
        "serial",
        "key_id",
        "hash",
        "algorithm",
        "key",
        "host",
    }
    assert installed["sha256_before"] == installed["sha256_after"] == signed["sha256_after"]


def test_verify_checks_compressed_modules_and_their_signatures(
    modules: list[Path], compressing: Path, pair: Path, tmp_path: Path
) -> None:
    install(*modules, "-k", compressing, "--key", pair, cwd=tmp_path)
    assert f"{COUNT} of {COUNT} trusted" in verify("--cert", pair, cwd=tmp_path)
    # Whom to trust is to be said for what is signed: that nothing changed is no answer to that.
    assert "no trusted certificates are named" in verify(cwd=tmp_path, status=2)
    first, second, third, *_ = installed_modules(tmp_path)
    # The same module, with the same signature, in another file.
    first.write_bytes(decompress(first.read_bytes()))
    second.unlink()
    shutil.copy(third, third.with_name("new.ko.xz"))
    said = verify("stage", "--cert", pair, cwd=tmp_path, status=1)
    for words in (f"{first.name}: changed since it was signed", f"{second.name}: No such file", "new.ko.xz: not in"):
        assert words in said
    assert f"{COUNT - 2} of {COUNT + 1} trusted" in said


def test_verify_checks_modules_that_nobody_signed(modules: list[Path], compressing: Path, tmp_path: Path) -> None:
    install(*modules, "-k", compressing, cwd=tmp_path)
    said = verify("stage", cwd=tmp_path)
    assert f"{COUNT} of {COUNT} unchanged" in said
    assert "trusted" not in said
    states = [json.loads(line) for line in verify("--format", "json", cwd=tmp_path).splitlines()]
    assert [(len(states), {state["trusted"] for state in states})] == [(COUNT, {None})]
    # Who asks for trust gets no for an answer.
    assert f"0 of {COUNT} trusted" in verify("--cert", write_pair(tmp_path, "p256"), cwd=tmp_path, status=1)
    first = installed_modules(tmp_path)[0]
    first.write_bytes(first.read_bytes() + b"x")
    said = verify("stage", cwd=tmp_path, status=1)
    assert f"{first.name}: changed since it was installed" in said
    assert f"{COUNT - 1} of {COUNT} unchanged" in said


def test_a_stage_is_verified_by_any_name_and_after_it_was_moved(
    modules: list[Path], hello: Built, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    first.mkdir()
    install(*modules, "-k", hello.tree.objects, cwd=first)
    for words in ((), ("stage",), ("./stage/lib",), (first / "stage",)):
        assert f"{COUNT} of {COUNT} unchanged" in verify(*words, cwd=first)
    first.rename(tmp_path / "second")
    for words in ((), ("stage",), (tmp_path / "second/stage",)):
        assert f"{COUNT} of {COUNT} unchanged" in verify(*words, cwd=tmp_path / "second")


def test_a_second_run_adds_nothing_and_one_that_differs_counts(
    modules: list[Path], hello: Built, tmp_path: Path
) -> None:
    words: list[str | Path] = [*modules, "-k", hello.tree.objects]
    install(*words, cwd=tmp_path)
    before = (tmp_path / "manifest").read_bytes()
    install(*words, cwd=tmp_path)
    assert (tmp_path / "manifest").read_bytes() == before
    install(*words, "INSTALL_MOD_STRIP=1", cwd=tmp_path)
    assert (tmp_path / "manifest").read_bytes().startswith(before)
    assert len(read_manifest(tmp_path / "manifest")) == 2 * COUNT
    assert f"{COUNT} of {COUNT} unchanged" in verify("stage", cwd=tmp_path)
    # Stripping takes away what makes them different.
    modules[0].write_bytes(modules[1].read_bytes())
    install(*words, "INSTALL_MOD_STRIP=1", cwd=tmp_path)
    [*_, last] = read_manifest(tmp_path / "manifest")
    assert (Path(last.path).name, last.sha256_before) == (modules[0].name, digest(modules[1].read_bytes()))


def test_a_dry_run_has_nothing_to_record(modules: list[Path], hello: Built, tmp_path: Path) -> None:
    assert "INSTALL" in install(*modules, "-n", "-k", hello.tree.objects, cwd=tmp_path)
    assert not (tmp_path / "manifest").exists()


def test_what_is_no_manifest_stops_it_before_anything_is_installed(
    modules: list[Path], hello: Built, tmp_path: Path
) -> None:
    (tmp_path / "notes").write_text("for the administrator\n")
    for name, said in (
        ("notes", "notes:1: not a line of a manifest"),
        ("none/manifest", "none/manifest: No such file"),
    ):
        words: list[str | Path] = [
            "-k",
            hello.tree.objects,
            "--root",
            tmp_path / "stage",
            "--manifest",
            tmp_path / name,
        ]
        done = kbuildpy("install", *modules, *words)
        assert done.returncode == 1 and said in done.error_text
        assert not (tmp_path / "stage").exists()
    assert (tmp_path / "notes").read_text() == "for the administrator\n"


def test_a_bar_shows_how_many_are_installed(modules: list[Path], hello: Built, tmp_path: Path) -> None:
    argv: list[str | Path] = [
        sys.executable,
        "-m",
        "kbuildpy",
        "install",
        *modules,
        "-k",
        hello.tree.objects,
        "--root",
        tmp_path / "stage",
    ]
    shown = run_on_terminal(argv)
    assert f"0/{COUNT} [" in shown
    assert shown.count("  INSTALL ") == COUNT
    assert len(installed_modules(tmp_path)) == COUNT
    assert f"/{COUNT} [" not in run_on_terminal([*argv, "-s"])
