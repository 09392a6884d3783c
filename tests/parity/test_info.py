# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy info` prints modinfo's bytes: of files, plain and compressed, and of modules by their names."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import pytest

from kbuildpy import cli
from kbuildpy.elf import ModuleImage
from kbuildpy.info.fields import Field, checked_fields, signature_fields
from kbuildpy.info.fields_text import all_fields, one_field
from kbuildpy.info.named import BUILT_IN, named_modules
from kbuildpy.kernel.module_files import read_module
from kbuildpy.kernel.own_modules import OwnModules
from kbuildpy.run import run
from tests.support.elf_objects import elf_object
from tests.support.shipped_kernels import NATIVE, ShippedKernel, shipped_kernel

pytestmark = pytest.mark.parity

SAMPLE = 20
KINDS = 20
"""Modules that have something particular, besides those from every corner."""
MARKS = (rb"\0parm=[^\0]*\n", rb"\0description=[^\0]*\n", rb"\0alias=usb:", rb"\0alias=acpi", rb"\0firmware=")
"""Descriptions of several lines, devices, firmware."""
of_each_line = pytest.mark.parametrize("line", NATIVE)


def kinds(kernel: ShippedKernel) -> list[Path]:
    """Some modules of each particular kind, and some from every corner of the tree."""
    found = list(kernel.sample(SAMPLE))
    for mark in MARKS:
        pattern = re.compile(mark)
        marked = (file for file in kernel.modules[::7] if pattern.search(read_module(file)))
        found += islice(marked, KINDS // len(MARKS))
    return list(dict.fromkeys(found))


def printed(capsysbinary: pytest.CaptureFixture[bytes], *words: str | Path) -> bytes:
    """What the command prints that ends well."""
    capsysbinary.readouterr()
    assert cli.main(["info", *map(str, words)]) == 0, words
    return capsysbinary.readouterr().out


def modinfo(*words: str | Path) -> bytes:
    return run(["modinfo", *words]).stdout


@of_each_line
def test_prints_the_bytes_of_modinfo(line: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    kernel = shipped_kernel(line)
    # (the others are compressed: it takes long to look for kinds)
    files = kinds(kernel) if line == "6.1" else kernel.sample(SAMPLE // 2)
    assert len(files) >= (35 if line == "6.1" else SAMPLE // 2)
    for options in ((), ("-0",), ("-F", "parm"), ("-0", "-F", "alias")):
        said = printed(capsysbinary, *options, *files) if options else b""
        if not options:
            # (modinfo's part of each)
            said = b"".join(modinfo_part(printed(capsysbinary, file)) for file in files)
        assert said == modinfo(*options, *files), options


def modinfo_part(said: bytes) -> bytes:
    fields, separator, _ = said.partition(b"\nbuilt for:      ")
    assert separator
    return fields + b"\n"


def test_prints_each_field_as_modinfo_does(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    files = kinds(shipped_kernel("6.1"))[::3]
    fields = {file: signed_fields(file) for file in files}
    names = {name for file in files for name, _ in fields[file]} | {"filename", "nosuch"}
    assert {"parm", "parmtype", "firmware", "signature", "depends"} <= names
    for name in sorted(names):
        assert encoded(one_field(name, str(file), fields[file]) for file in files) == modinfo("-F", name, *files), name
    for name in ("parm", "signer", "license"):
        assert printed(capsysbinary, "-F", name, *files) == modinfo("-F", name, *files), name


@pytest.mark.sweep
@of_each_line
def test_prints_the_bytes_of_modinfo_for_every_module_field_by_field(line: str) -> None:
    kernel = shipped_kernel(line)
    compared = 0
    for files in batches(kernel.modules, 50):
        fields = {file: signed_fields(file) for file in files}
        assert encoded(all_fields(str(file), fields[file]) for file in files) == modinfo(*files)
        assert encoded(all_fields(str(file), fields[file], end="\0") for file in files) == modinfo("-0", *files)
        for name in {name for file in files for name, _ in fields[file]} | {"filename", "parm"}:
            said = encoded(one_field(name, str(file), fields[file]) for file in files)
            assert said == modinfo("-F", name, *files), name
            compared += 1
    print(f"{kernel.tree.release}: {len(kernel.modules)} modules, {compared} fields of batches")
    assert len(kernel.modules) > 3500


def signed_fields(file: Path) -> tuple[Field, ...]:
    image = ModuleImage(read_module(file), str(file))
    return checked_fields(image) + signature_fields(image.contents)


def batches(files: Sequence[Path], size: int) -> Iterable[Sequence[Path]]:
    return (files[start : start + size] for start in range(0, len(files), size))


def encoded(texts: Iterable[str]) -> bytes:
    return "".join(texts).encode("utf-8", "surrogateescape")


HOSTILE = {
    "strings without a value": b"license\0name=a\0=x\0==\0alias=a=b=c\0alias=\0",
    "odd parameters": b"parm=nocolon\0parm=a:one\0parmtype=a:int\0parmtype=b:int\0parm=c:\0parm=:x\0parm=a:two\0",
    "zeros around": b"\0\0\0license=GPL\0\0\0\0name=b\0\0\0",
    "no zero at the end": b"license=GPL\0name=tail",
    "nothing": b"",
    "a zero": b"\0",
    "one character": b"x",
    "escapes": b"description=a\x1b[31m\xff\xfe\n\tb\r\0na\xc3\xa4me=ue\0a-name-of-more-than-fifteen-bytes=x\0",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_prints_odd_strings_as_modinfo_does(
    name: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "a.ko"
    file.write_bytes(elf_object([], [], modinfo=HOSTILE[name]))
    assert modinfo_part(printed(capsysbinary, file)) == modinfo(file)
    for options in (("-0",), ("-F", "parm"), ("-F", ""), ("-F", "alias"), ("-0", "-F", "parmtype"), ("-F", "filename")):
        assert printed(capsysbinary, *options, file) == modinfo(*options, file), options


def test_names_the_file_as_modinfo_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "a.ko").write_bytes(elf_object([], []))
    (place / "link.ko").symlink_to("a.ko")
    (tmp_path / "other").symlink_to(place)
    for directory in (place, tmp_path / "other"):
        monkeypatch.chdir(directory)
        # (as a shell does, that has come through a link)
        monkeypatch.setenv("PWD", str(directory))
        for name in ("a.ko", "./a.ko", "../place/a.ko", "link.ko", str(directory / "a.ko")):
            assert printed(capsysbinary, "-F", "filename", name) == modinfo("-F", "filename", name)
    monkeypatch.setenv("PWD", "/")
    assert printed(capsysbinary, "-F", "filename", "a.ko") == modinfo("-F", "filename", "a.ko")


def test_prints_the_same_of_compressed_modules(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    contents = read_module(kinds(shipped_kernel("6.1"))[-1])
    plain = tmp_path / "a.ko"
    plain.write_bytes(contents)
    run(["xz", "--keep", "--check=crc32", plain])
    run(["zstd", "-q", "--keep", plain])
    (tmp_path / "a.ko.gz").write_bytes(gzip.compress(contents))
    for suffix in ("", ".xz", ".zst"):
        file = f"{plain}{suffix}"
        assert modinfo_part(printed(capsysbinary, file)) == modinfo(file)
    # (Debian's modinfo knows no gzip)
    of_gzip = printed(capsysbinary, "-0", f"{plain}.gz")
    assert of_gzip == modinfo("-0", plain).replace(b"a.ko\0", b"a.ko.gz\0", 1)


NAMES = ("usbserial", "usb-common", "usb_common", "crc16", "fs-ext3")
DEVICE = "usb:v067Bp2303d0300dc00dsc00dp00icFFisc00ip00in00"


def test_finds_modules_by_their_names_as_modinfo_does(tmp_path: Path) -> None:
    """What is built in has no file, and modinfo says so."""
    kernel = shipped_kernel("6.12")
    release = kernel.tree.release
    own = tmp_path / "lib/modules" / release
    source = next(kernel.root.glob(f"**/modules/{release}"))
    wanted = re.compile(r"/(usbserial|pl2303|usb-common|usbcore|crc16|ext4|jbd2|mbcache)\.ko")
    for file in kernel.modules:
        if wanted.search(str(file)):
            copied = own / file.relative_to(source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copied)
    for file in source.glob("modules.*"):
        shutil.copy(file, own)
    run(["depmod", "-b", tmp_path, release])
    built_in = sorted(Path(line).stem for line in (own / "modules.builtin").read_text().splitlines())
    assert len(built_in) > 100
    compared = 0
    for name in (*NAMES, DEVICE, *built_in[::10]):
        said = ""
        for module in named_modules(name, lambda: OwnModules(own, added=True)):
            fields = module.stated if module.path is None else signed_fields(module.path)
            said += all_fields(module.shown, fields, built_in=module.built_in)
            compared += module.shown == BUILT_IN
        assert encoded([said]) == modinfo("-b", tmp_path, "-k", release, name), name
    assert compared > 10


def test_the_bytes_are_the_same_whatever_the_language(tmp_path: Path) -> None:
    file = tmp_path / "a.ko"
    file.write_bytes(elf_object([], [], modinfo=HOSTILE["escapes"]))
    for language in ("C", "C.UTF-8", "de_DE.ISO-8859-1"):
        environment = {**os.environ, "LC_ALL": language, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
        said = run([sys.executable, "-m", "kbuildpy", "info", "-0", file], env=environment).stdout
        assert said == modinfo("-0", file), language
