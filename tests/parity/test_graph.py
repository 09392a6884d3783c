# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy graph`: against the lists that depmod wrote for the same modules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kernel.module_files import module_name
from kbuildpy.run import run
from tests.support.command_line import call
from tests.support.kernel_trees import usual_tree
from tests.support.samples import built_samples
from tests.support.shipped_kernels import shipped_kernel
from tests.support.standalone_pages import (
    CHROMIUM,
    Page,
    browse,
    check_stands_alone,
    pictures_in,
    texts_of,
    titles_of,
)

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two modules, one of which uses symbols of the other one."""
    place = tmp_path_factory.mktemp("modules")
    for file in built_samples(usual_tree(), tmp_path_factory):
        if file.name in ("exporter.ko", "exporter_user.ko", "hello.ko"):
            (place / file.name).write_bytes(file.read_bytes())
    return place


def graph(place: Path, *words: str | Path, status: int = 0) -> dict[str, Any]:
    done = call("graph", *words, "--format", "json", cwd=place)
    assert done.returncode == status, done.error_text
    found: dict[str, Any] = json.loads(done.text)
    return found


def depmod(files: Iterable[Path], release: str, place: Path) -> str:
    """What depmod prints for these modules alone."""
    directory = place / "lib/modules" / release / "kernel"
    directory.mkdir(parents=True)
    for file in files:
        (directory / file.name).symlink_to(file)
    return run(["depmod", "-n", "-b", place, release]).text


def test_who_needs_whom_is_what_depmod_writes(tmp_path: Path) -> None:
    kernel = shipped_kernel("6.12")
    sound = next(parent for file in kernel.modules for parent in file.parents if parent.name == "sound")
    found = graph(tmp_path, sound, "-k", str(kernel.tree.objects))
    printed = depmod((Path(node["file"]) for node in found["modules"]), kernel.tree.release, tmp_path)
    listed = {
        module_name(line.partition(":")[0]): {*map(module_name, line.partition(":")[2].split())}
        for line in printed.splitlines()
        if re.match(r"kernel/\S+:", line)
    }
    needs: dict[str, set[str]] = {node["name"]: set() for node in found["modules"]}
    assert len([node for node in found["modules"] if node["kind"] == "given"]) == len([*sound.rglob("*.ko*")]) > 300
    for edge in found["edges"]:
        if edge["kind"] == "symbols":
            needs[edge["user"]].add(edge["needed"])
    for name in needs:
        reached, waiting = set(), [*needs[name]]
        while waiting:
            other = waiting.pop()
            if other not in reached:
                reached.add(other)
                waiting += needs[other]
        assert reached == listed[name], name
    owners = dict(re.findall(r"^alias symbol:(\S+) (\S+)$", printed, re.MULTILINE))
    for edge in found["edges"]:
        for symbol in edge["symbols"]:
            assert module_name(owners[symbol]) == edge["needed"]
    soft = re.findall(r"^softdep (\S+) (.*)$", printed, re.MULTILINE)
    named = {(module_name(user), module_name(word)) for user, text in soft for word in text.split() if word[-1] != ":"}
    drawn = {(edge["user"], edge["needed"]) for edge in found["edges"] if edge["kind"] in ("before", "after")}
    assert drawn and drawn <= named


def test_the_picture_and_the_page_have_each_module_and_edge(place: Path) -> None:
    found = graph(place)
    assert found["kernel"] == usual_tree().release
    [edge] = found["edges"]
    assert (edge["user"], edge["needed"], edge["kind"]) == ("exporter_user", "exporter", "symbols")
    assert edge["symbols"] == ["exporter_next_ticket", "exporter_reset", "exporter_tickets_given"]
    svg = call("graph", cwd=place).text
    page = call("graph", "--format", "html", cwd=place).text
    for text in (svg, page):
        check_stands_alone(text)
        [picture] = pictures_in(text)
        assert {node["name"] for node in found["modules"]} <= {*texts_of(picture)}
        assert any(
            f"exporter_user needs exporter for {', '.join(edge['symbols'])}" == title for title in titles_of(picture)
        )
    rows = {row[0]: row for row in Page(page).rows()}
    assert rows["exporter_user"][2] == f"exporter ({', '.join(edge['symbols'])})"
    assert rows["exporter"][3] == "exporter_user" and rows["hello"][2:] == ["", ""]


def test_a_file_has_the_format_of_its_name(place: Path, tmp_path: Path) -> None:
    for name, beginning in (("a.svg", "<svg "), ("a.html", "<!DOCTYPE"), ("a.dot", "digraph"), ("a.json", "{")):
        assert call("graph", "-o", tmp_path / name, cwd=place).returncode == 0
        assert (tmp_path / name).read_text().startswith(beginning)
    assert re.findall(r'"(\w+)" -> "(\w+)"', (tmp_path / "a.dot").read_text()) == [("exporter_user", "exporter")]


def test_a_neighbourhood_is_what_is_needed_and_what_needs_it(tmp_path: Path) -> None:
    kernel = shipped_kernel("6.12")
    files = [file for file in kernel.modules if "/usb/serial/" in str(file)]
    near = graph(tmp_path, *files, "-k", str(kernel.tree.objects), "--around", "usbserial")
    names = {node["name"] for node in near["modules"]}
    assert {"usbserial", "usbcore", "ftdi_sio"} <= names
    assert {edge["needed"] for edge in near["edges"] if edge["user"] == "ftdi_sio"} == {"usbserial", "usbcore"}
    far = graph(tmp_path, *files, "-k", str(kernel.tree.objects), "--around", "ftdi-sio", "--distance", "2")
    assert "pl2303" not in {node["name"] for node in far["modules"]}
    for distance, is_there in (("1", False), ("2", True)):
        users = graph(
            tmp_path, *files, "-k", str(kernel.tree.objects), "--around", "usb_common", "--distance", distance
        )
        assert ("ftdi_sio" in {node["name"] for node in users["modules"]}) == is_there


def test_wrong_calls_and_files(place: Path, tmp_path: Path) -> None:
    for words, said in (
        (["gone.ko"], "no such file"),
        ([str(tmp_path)], "no modules below"),
        (["-o", "a.ko"], "the name says no format"),
        (["-o", "gone/a.svg"], "no such directory"),
        (["--around", "exportr"], "did you mean exporter?"),
        (["--around", "exporter", "--distance", "0"], "at least one edge"),
    ):
        done = call("graph", *words, cwd=place)
        assert (done.returncode, done.text) == (2, "") and said in done.error_text, words
    (tmp_path / "text.ko").write_text("no module")
    done = call("graph", tmp_path / "text.ko", place / "hello.ko", "-o", tmp_path / "a.json", cwd=place)
    assert done.returncode == 1 and f"{tmp_path}/text.ko" in done.error_text
    assert [node["name"] for node in json.loads((tmp_path / "a.json").read_text())["modules"]] == ["hello"]
    done = call("graph", "hello.ko", "-o", "/proc/a.svg", cwd=place)
    assert done.returncode == 1 and "/proc/a.svg" in done.error_text


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_a_browser_shows_the_neighbours_of_a_module(place: Path, tmp_path: Path) -> None:
    text = call("graph", "--format", "html", cwd=place).text
    page = browse(text, tmp_path, then="field.value = 'user'; filter();")
    lit = [item.attributes for item in page.all("g") if "lit" in item.attributes.get("class", "").split()]
    assert sorted(item["data-names"] for item in lit if "data-names" in item) == ["exporter", "exporter_user"]
    assert [item["data-edges"] for item in lit if "data-edges" in item] == ["exporter_user>exporter"]
    assert [row.text for row in page.all("tr") if not row.is_hidden][-1].startswith("exporter_user")
