# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy info` says besides modinfo's fields: against modprobe, Module.symvers, a kernel's sources and headers,
the sources of the sample modules, and the layout of the loader check, which running kernels are compared with."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from xml.dom import minidom

import pytest

from kbuildpy import cli
from kbuildpy.info.devices import match_of
from kbuildpy.info.report import ModuleInfo, inspect
from kbuildpy.info.text import as_text
from kbuildpy.kernel.module_files import module_name, read_module
from kbuildpy.kernel.symvers import read_symvers
from kbuildpy.loader.load_module import load_module
from kbuildpy.modpost.device_tables import TABLES
from kbuildpy.run import run
from tests.support.arm64 import LINES
from tests.support.samples import SAMPLES, built_samples
from tests.support.shipped_kernels import NATIVE, ShippedKernel, shipped_kernel

pytestmark = pytest.mark.parity

SAMPLE = 60
of_each_line = pytest.mark.parametrize("line", NATIVE)
of_two_lines = pytest.mark.parametrize("line", ["6.1", "6.12"])


def told(file: Path, kernel: ShippedKernel) -> ModuleInfo:
    return inspect(read_module(file), str(file), kernel.by_tree)


def named(kernel: ShippedKernel, name: str) -> Path:
    return next(file for file in kernel.modules if module_name(file.name) == name)


@pytest.mark.parametrize("line", [*NATIVE, *LINES])
def test_the_layout_is_that_of_the_loader_check(line: str) -> None:
    kernel = shipped_kernel(line)
    per_cpu = 0
    # (which has a variable for each processor)
    for file in (*kernel.sample(SAMPLE // (3 if line in NATIVE else 8)), named(kernel, "ext4")):
        verdict, _ = load_module(read_module(file), kernel.by_tree)
        memory = told(file, kernel).memory
        assert verdict.accepted and memory is not None, file
        assert memory.size == verdict.size == memory.kept
        assert {block.kind: block.size for block in memory.blocks} == {k: v for k, v in verdict.memory.items() if v}
        here = {(item.name, block.kind, item.offset, item.size) for block in memory.blocks for item in block.sections}
        assert here == {tuple(item) for item in verdict.sections if item.memory != "percpu"}
        assert memory.per_cpu == sum(item.size for item in verdict.sections if item.memory == "percpu")
        assert memory.kept + memory.freed == sum(verdict.memory.values())
        per_cpu += memory.per_cpu > 0
    assert per_cpu


@of_two_lines
def test_without_a_kernel_the_layout_is_that_of_the_usual_options(line: str) -> None:
    """Debian's kernels have them."""
    kernel = shipped_kernel(line)
    for file in kernel.sample(6):
        known, usual = told(file, kernel).memory, inspect(read_module(file), str(file), None).memory
        assert known is not None and usual is not None
        assert (usual.blocks, usual.per_cpu, usual.size) == (known.blocks, known.per_cpu, None)


@of_each_line
def test_sections_have_the_access_that_readelf_shows(line: str, tmp_path: Path) -> None:
    kernel = shipped_kernel(line)
    file = named(kernel, "usbserial")
    (tmp_path / "a.ko").write_bytes(read_module(file))
    shown = run(["readelf", "-SW", tmp_path / "a.ko"]).text
    flags = dict(re.findall(r"\] (\S+) +\w+ +\w+ \w+ \w+ \w+ +([A-Za-z]*) ", shown))
    memory = told(file, kernel).memory
    assert memory is not None
    compared = 0
    for block in memory.blocks:
        for section in block.sections:
            letters = flags.get(section.name, "")
            expected = "code" if "X" in letters else "writable" if "W" in letters else "read-only"
            assert section.access in (expected, "read-only after init"), section
            compared += bool(letters)
    assert compared > 15


@of_two_lines
def test_exports_are_those_of_module_symvers(line: str) -> None:
    kernel = shipped_kernel(line)
    rows = read_symvers(kernel.tree.symvers).columns
    by_owner: dict[str, set[tuple[str, str, bool, str]]] = {}
    for number, symbol in enumerate(rows.symbols):
        row = (symbol, rows.crcs[number], rows.licenses[number] == "EXPORT_SYMBOL_GPL", rows.namespaces[number])
        by_owner.setdefault(module_name(rows.owners[number]), set()).add(row)
    compared = 0
    for file in kernel.sample(SAMPLE):
        found = {(item.name, f"0x{item.crc:08x}", item.gpl_only, item.namespace) for item in told(file, kernel).exports}
        assert found == by_owner.get(module_name(file.name), set()), file
        compared += len(found)
    assert compared > 100


@of_two_lines
def test_imports_have_the_versions_that_modprobe_shows_and_the_owners_that_modpost_named(line: str) -> None:
    kernel = shipped_kernel(line)
    for file in kernel.sample(SAMPLE // 3):
        info = told(file, kernel)
        rows = map(str.split, run(["modprobe", "--dump-modversions", file]).text.splitlines())
        shown = {name: crc for crc, name in rows}
        shown.pop("module_layout")
        assert {item.name: f"0x{item.crc:08x}" for item in info.imports if item.crc is not None} == shown
        assert not [item for item in info.imports if item.differs or item.owner in ("", None)]
        owners = {item.owner for item in info.imports} - {"vmlinux"}
        assert owners == {module_name(name) for name in info.needs.modules}


@of_two_lines
def test_tracepoints_are_those_that_the_kernels_header_defines(line: str) -> None:
    kernel = shipped_kernel(line)
    header = (kernel.tree.source / "include/trace/events/jbd2.h").read_text()
    defined = set(re.findall(r"^(?:TRACE_EVENT|DEFINE_EVENT\(\w+,)\(?\s*(\w+)", header, re.MULTILINE))
    found = told(named(kernel, "jbd2"), kernel).tracepoints
    assert {item.name for item in found} == defined
    assert {item.system for item in found} == {"jbd2"}
    assert len(found) == len(defined) > 15


def test_tells_of_the_samples_what_is_in_their_sources(tmp_path_factory: pytest.TempPathFactory) -> None:
    kernel = shipped_kernel("6.1")
    built = {module_name(file.name): file for file in built_samples(kernel.tree, tmp_path_factory)}
    source = (SAMPLES / "params/params.c").read_text()
    stated = dict(re.findall(r"^module_param(?:_array|_cb)?\((\w+),.* (0[0-7]+)\);", source, re.MULTILINE))
    found = told(built["params"], kernel).parameters
    assert {item.name: f"{item.mode:04o}" for item in found} == stated
    assert len(stated) >= 5
    lines = (SAMPLES / "debug_messages/debug_messages.c").read_text().splitlines()
    expected = {
        (number, text) for number, line in enumerate(lines, 1) for text in re.findall(r'pr_debug\("(.*?)\\n"', line)
    }
    user = as_text(told(built["exporter_user"], kernel))
    assert f"exporter_reset: not exported by {kernel.tree.release} and its modules; it may be of exporter, " in user
    assert "\n                namespaces EXPORTER\n" in user
    messages = told(built["debug_messages"], kernel).debug_messages
    assert {(item.line, item.format.removesuffix("\n")) for item in messages} == expected
    assert {Path(item.file).name for item in messages} == {"debug_messages.c"}


@of_each_line
def test_debug_messages_are_at_lines_of_the_kernels_sources(line: str) -> None:
    """In a sample there are many: each has the function, the file and the line that it would be switched on by."""
    kernel = shipped_kernel(line)
    with_messages = (info for file in kernel.sample(SAMPLE) if (info := told(file, kernel)).debug_messages)
    found = [item for info in with_messages for item in info.debug_messages]
    assert len(found) > 50
    assert all(re.fullmatch(r"[\w./-]+\.[chS]", item.file) and item.line and item.function for item in found)


@pytest.mark.parametrize("line", ["6.12", "6.12-arm64"])
def test_every_alias_of_a_bus_is_put_into_words(line: str) -> None:
    kernel = shipped_kernel(line)
    aliases: set[bytes] = set()
    for file in kernel.sample(400):
        aliases.update(re.findall(rb"\0alias=([^\0]+)", read_module(file)))
    known = 0
    for alias in map(os.fsdecode, aliases):
        bus = alias.partition(":")[0].removesuffix("*")
        if ":" in alias and bus in TABLES and not alias.startswith("dmi:*"):
            assert match_of(alias).kind != "name", alias
            known += 1
    assert known > 1000


def test_a_signature_has_the_signer_and_the_serial_number_that_modinfo_shows() -> None:
    kernel = shipped_kernel("6.1")
    for file in kernel.sample(5):
        info = told(file, kernel)
        assert info.signature is not None and info.signature.serial is not None
        assert run(["modinfo", "-F", "signer", file]).text.strip() == info.signature.signer
        assert run(["modinfo", "-F", "sig_key", file]).text.strip().replace(":", "") == f"{info.signature.serial:040X}"


def test_a_module_of_another_kernel_shows_what_stands_in_its_way(capsys: pytest.CaptureFixture[str]) -> None:
    of_61, of_612 = shipped_kernel("6.1"), shipped_kernel("6.12")
    info = told(named(of_61, "usbserial"), of_612)
    assert info.built_for == of_61.tree.release and info.kernel == of_612.tree.release
    assert info.memory is None and "struct module" in dict(info.unknown)["its memory"]
    assert any(item.differs for item in info.imports)
    assert cli.main(["info", "-qv", str(named(of_61, "usbserial")), "-k", str(of_612.tree.objects)]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"_printk: version 0x\w+, and {re.escape(of_612.tree.release)} has 0x\w+\n", said)


def test_pictures_and_pages_stand_alone_and_are_sound(capsys: pytest.CaptureFixture[str]) -> None:
    kernel = shipped_kernel("6.1")
    files = [str(named(kernel, name)) for name in ("ext4", "usbserial")]
    assert cli.main(["info", "--format", "svg", files[0]]) == 0
    svg = capsys.readouterr().out
    drawn = minidom.parseString(svg).getElementsByTagName("title")
    titles = " ".join(node.firstChild.data for node in drawn)  # type: ignore[union-attr]
    memory = told(Path(files[0]), kernel).memory
    assert memory is not None
    for block in memory.blocks:
        for section in block.sections:
            assert not section.size or f"{section.name}: {section.size:,} bytes" in titles
    assert cli.main(["info", "--format", "html", *files]) == 0
    page = capsys.readouterr().out
    assert page.count("<svg") == 2 and page.rstrip().endswith("</html>")
    for text in (svg, page):
        links = set(re.findall(r"""(?:https?:|src=|href=|url\(|@import|<script)[^"'> ]*""", text))
        assert links <= {"http://www.w3.org/2000/svg"}
    assert cli.main(["info", "--format", "svg", *files]) == 2


def test_json_has_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    kernel = shipped_kernel("6.1")
    file = named(kernel, "usbserial")
    assert cli.main(["info", "--format", "json", str(file), "-k", str(kernel.tree.objects)]) == 0
    said = json.loads(capsys.readouterr().out)
    info = told(file, kernel)
    assert said["memory"]["size"] == info.memory.size if info.memory else False
    assert {item["name"]: item["owner"] for item in said["imports"]} == {i.name: i.owner for i in info.imports}
    assert [*map(tuple, said["fields"])] == [tuple(field) for field in info.fields]
    assert len(said["debug_messages"]) == len(info.debug_messages) > 10
