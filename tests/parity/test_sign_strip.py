# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy sign --strip`: make's modules_install with INSTALL_MOD_STRIP=1, sign-file and the compressor make the same
modules; binutils and `decode` find the debug information that was taken out."""

from __future__ import annotations

import lzma
import shutil
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.builds import kbuildpy
from tests.support.installs import COMPRESSORS, Built, build_sample, install_with_make
from tests.support.keys import sign_file, write_pair

pytestmark = pytest.mark.parity

FORMS = ("", ".xz")


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A module, built, with debug information."""
    return build_sample("hello", tmp_path_factory.mktemp("hello") / "modules")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("keys"), "rsa2048")


@pytest.fixture(scope="module")
def expected(hello: Built, pair: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """By suffix, what the tree's own programs make: stripped, signed, compressed."""
    found = {}
    root = tmp_path_factory.mktemp("stripped")
    install_with_make(hello, root, ["INSTALL_MOD_STRIP=1", *compressing("")])
    [stripped] = root.rglob("hello.ko")
    sign_file(hello.tree, "sha256", pair, stripped)
    for suffix in FORMS:
        [module] = hello.modules
        unsigned = module.read_bytes()
        module.write_bytes(stripped.read_bytes())
        root = tmp_path_factory.mktemp("root")
        install_with_make(hello, root, compressing(suffix))
        module.write_bytes(unsigned)
        [result] = root.rglob(f"hello.ko{suffix}")
        found[suffix] = result.read_bytes()
    return found


def compressing(suffix: str) -> list[str]:
    """The variables that make modules_install compress to files with `suffix`, and sign nothing."""
    if not suffix:
        return ["CONFIG_MODULE_COMPRESS_NONE=y", "CONFIG_MODULE_COMPRESS=", "CONFIG_MODULE_SIG_ALL=", *off()]
    symbols = {word: "y" if COMPRESSORS.get(word) == suffix else "" for word in (*COMPRESSORS, "NONE")}
    words = [f"CONFIG_MODULE_COMPRESS_{word}={value}" for word, value in symbols.items()]
    return [*words, "CONFIG_MODULE_COMPRESS=y", "CONFIG_MODULE_COMPRESS_ALL=y", "CONFIG_MODULE_SIG_ALL="]


def off() -> list[str]:
    return [f"CONFIG_MODULE_COMPRESS_{word}=" for word in COMPRESSORS]


def lay_out(hello: Built, place: Path) -> None:
    """The module with its debug information, plain and compressed."""
    [module] = hello.modules
    for suffix in FORMS:
        (place / f"form{suffix}").mkdir(parents=True)
        contents = module.read_bytes()
        (place / f"form{suffix}" / f"hello.ko{suffix}").write_bytes(
            lzma.compress(contents, check=lzma.CHECK_CRC32) if suffix else contents
        )


def made(place: Path) -> dict[str, bytes]:
    return {suffix: (place / f"form{suffix}" / f"hello.ko{suffix}").read_bytes() for suffix in FORMS}


@pytest.mark.parametrize("before", ["unsigned", "signed by another"])
def test_strips_signs_and_compresses_as_the_tree_does(
    hello: Built, pair: Path, expected: dict[str, bytes], tmp_path: Path, before: str
) -> None:
    place = tmp_path / "modules"
    lay_out(hello, place)
    words: list[str | Path] = ["sign", place, "--key", pair, "--hash", "sha256", "--strip"]
    if before != "unsigned":
        (tmp_path / "other").mkdir()
        other = write_pair(tmp_path / "other", "rsa2048")
        assert kbuildpy("sign", place, "--key", other, "--hash", "sha256").returncode == 0
        refused, signed = kbuildpy(*words), made(place)
        assert refused.returncode == 1 and "it is signed already, and stripping it removes" in refused.error_text
        assert made(place) == signed
        words.append("--replace")
    done = kbuildpy(*words, "--debug-files", tmp_path / "debug")
    assert done.returncode == 0, done.error_text
    assert made(place) == expected
    again = kbuildpy(*words)
    assert again.returncode == 0 and "0 signed, 2 had this signature already" in again.error_text
    assert made(place) == expected


def test_the_debug_information_is_found_by_its_build_id(hello: Built, pair: Path, tmp_path: Path) -> None:
    [module] = hello.modules
    stripped, debug = Path(shutil.copy(module, tmp_path)), tmp_path / "debug"
    done = kbuildpy("sign", stripped, "--key", pair, "--hash", "sha256", "--strip", "--debug-files", debug)
    assert done.returncode == 0, done.error_text
    notes = run(["readelf", "-n", module]).text
    build_id = notes.partition("Build ID: ")[2].split()[0]
    file = debug / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    link = debug / hello.tree.release / "hello.ko.debug"
    assert link.is_symlink() and not link.readlink().is_absolute() and link.resolve() == file.resolve()
    by_hand = tmp_path / "by-hand.debug"
    run(["objcopy", "--only-keep-debug", module, by_hand])
    assert file.read_bytes() == by_hand.read_bytes()
    # A log of each function, decoded with the whole module, and with the stripped one and its file.
    functions = [line.split() for line in run(["nm", "-S", module]).text.splitlines() if " t " in line.lower()]
    log = tmp_path / "log"
    log.write_text(
        "".join(
            f"[    1.0]  {words[3]}+0x{1:x}/0x{int(words[1], 16):x} [hello]\n" for words in functions if len(words) == 4
        )
    )
    whole = kbuildpy("decode", log, module)
    assert whole.returncode == 0 and "hello.c:" in whole.text, whole.text + whole.error_text
    without = kbuildpy("decode", log, stripped)
    assert "hello.c:" not in without.text
    found = kbuildpy("decode", log, stripped, "--debug-files", debug)
    assert (found.returncode, found.text) == (0, whole.text)


def test_a_module_without_debug_information_is_stripped_as_well(hello: Built, pair: Path, tmp_path: Path) -> None:
    [module] = hello.modules
    bare, theirs = tmp_path / "bare.ko", tmp_path / "theirs.ko"
    # (the names of its sources are what is left to strip)
    run(["objcopy", "--remove-section=.debug_*", "--remove-section=.rela.debug_*", module, bare])
    shutil.copy(bare, theirs)
    run(["strip", "--strip-debug", theirs])
    sign_file(hello.tree, "sha256", pair, theirs)
    done = kbuildpy("sign", bare, "--key", pair, "--hash", "sha256", "--strip", "--debug-files", tmp_path / "debug")
    assert done.returncode == 0, done.error_text
    assert bare.read_bytes() == theirs.read_bytes() and not (tmp_path / "debug").exists()


def test_a_module_without_a_build_id_keeps_its_debug_information(hello: Built, pair: Path, tmp_path: Path) -> None:
    [module] = hello.modules
    bare = tmp_path / "bare.ko"
    run(["objcopy", "--remove-section=.note.gnu.build-id", module, bare])
    before = bare.read_bytes()
    words: list[str | Path] = ["sign", bare, "--key", pair, "--hash", "sha256", "--strip"]
    done = kbuildpy(*words, "--debug-files", tmp_path / "debug")
    assert done.returncode == 1 and f"{bare}: it has no build id" in done.error_text
    assert bare.read_bytes() == before
    assert kbuildpy("sign", bare, "--key", pair, "--debug-files", tmp_path / "debug").returncode == 2
    assert kbuildpy(*words).returncode == 0 and bare.read_bytes() != before
