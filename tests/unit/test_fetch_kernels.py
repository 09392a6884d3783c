# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy kernels --available`, `--fetch` and `--remove`, with the machine's apt and packages that are made up."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kbuildpy.cli import main
from kbuildpy.kbuild.make_tree_answer import make_tree_answer
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.fetched import fetched_root
from kbuildpy.kernel.find_image import find_kernel_image
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.resolve import resolve
from kbuildpy.run import run
from tests.support.debian_archive import DebianArchive, archive_of_two_kernels
from tests.support.documents import json_keys
from tests.support.terminal import run_on_terminal

PLAIN, CLOUD, BARE = "6.1.0-1-amd64", "6.1.0-1-cloud-amd64", "6.0.0-9-amd64"
COMMON, KBUILD = "linux-headers-6.1.0-1-common", "linux-kbuild-6.1"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DebianArchive:
    """An archive of kernels that apt takes for the only one, and an empty cache."""
    made = archive_of_two_kernels(tmp_path / "archive")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return made


def call(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(["kernels", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


def releases(words: list[str], tmp_path: Path) -> list[str]:
    """The releases that `-k` means on a system without kernels."""
    return [str(kernel.release) for kernel in resolve(words, Need.TREE, root=tmp_path / "none", running="none")]


def left() -> list[str]:
    """What is below the fetched kernels besides their places."""
    return [path.name for path in fetched_root().iterdir() if path.name not in {"usr", "lib", ".lock", ".packages"}]


def test_lists_what_apt_offers_with_what_is_here(
    archive: DebianArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = call("--available", capsys=capsys)
    heading, *lines = out.splitlines()
    assert (status, heading.split()) == (0, ["RELEASE", "ARCH", "HEADERS", "IMAGE", "MB", "HERE"])
    assert [line.split()[:4] for line in lines] == [
        [BARE, "amd64", "none", "1"],
        [CLOUD, "amd64", "1", "1"],
        [PLAIN, "amd64", "1", "1"],
    ]
    assert call("--available", "6.1*d64", "-q", capsys=capsys)[1].split() == [CLOUD, PLAIN]
    call("--fetch", CLOUD, capsys=capsys)
    call("--fetch", PLAIN, "--images", capsys=capsys)
    facts = [json.loads(line) for line in call("--available", "--format", "json", capsys=capsys)[1].splitlines()]
    assert [(item["fetched"], item["image_fetched"]) for item in facts] == [(False, False), (True, False), (True, True)]
    assert facts[0]["headers"] is None
    sizes = {path.name.split("_")[0]: path.stat().st_size for path in (archive.place / "pool").glob("*.deb")}
    assert facts[2]["headers_size"] == sum(sizes[name] for name in facts[2]["headers_packages"])
    assert set(facts[2]["headers_packages"]) == {COMMON, KBUILD, f"linux-headers-{PLAIN}"}
    assert facts[0].keys() == json_keys("kbuildpy kernels --available")
    assert [line.split()[-1] for line in call("--available", "6.1*", capsys=capsys)[1].splitlines()[1:]] == [
        "fetched",
        "fetched",
    ]


def test_a_fetched_kernel_is_meant_by_its_release_by_a_pattern_and_by_fetched(
    archive: DebianArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = call("--fetch", CLOUD, "--fetch", "6.1.0-?-amd64", capsys=capsys)
    assert status == 0
    assert [line.split("(")[0] for line in out.splitlines()] == [f"{CLOUD}: fetched ", f"{PLAIN}: fetched "]
    assert "libnone1" in err
    for words, found in (([PLAIN], [PLAIN]), (["6.1*"], [CLOUD, PLAIN]), (["fetched"], [CLOUD, PLAIN]), ([], [PLAIN])):
        assert releases(words, tmp_path) == found
    with pytest.raises(Exception, match="no kernel headers are installed"):
        releases(["all"], tmp_path)
    [tree] = [kernel.the_tree() for kernel in resolve([PLAIN], Need.TREE, root=tmp_path / "none")]
    assert tree.objects == fetched_root() / "usr/src" / f"linux-headers-{PLAIN}"
    assert tree.source == fetched_root() / "usr/src" / COMMON
    assert left() == []


def test_nothing_in_it_names_usr_src_so_it_can_be_moved(
    archive: DebianArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("--fetch", "6.1*", "--images", capsys=capsys)
    moved = tmp_path / "moved"
    fetched_root().rename(moved)
    for release in (PLAIN, CLOUD):
        for path in (moved / "usr/src" / f"linux-headers-{release}", moved / "lib/modules" / release / "build"):
            tree = open_tree(path)
            assert (tree.release, tree.source) == (release, moved / "usr/src" / COMMON)
            assert (tree.objects / "scripts/basic/fixdep").is_file()
        assert (moved / "lib/modules" / release / "source").resolve() == moved / "usr/src" / COMMON


def test_headers_that_name_where_they_would_be_installed_are_mended_by_the_next_fetch(
    archive: DebianArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("--fetch", PLAIN, capsys=capsys)
    objects = fetched_root() / f"usr/src/linux-headers-{PLAIN}"
    makefile, installed = objects / "Makefile", f"/usr/src/linux-headers-{PLAIN}"
    makefile.write_text(f"KBUILD_OUTPUT={installed}\ninclude ../{COMMON}/Makefile\n")
    with pytest.raises(Exception, match="the kernel tree was moved or copied") as refused:
        make_tree_answer(open_tree(objects), (), {}, btf_threads=False)
    assert f"kbuildpy kernels --fetch {PLAIN} " in str(refused.value)
    makefile.write_text(f"KBUILD_OUTPUT={installed}\ninclude /usr/src/{COMMON}/Makefile\n")
    call("--fetch", PLAIN, capsys=capsys)
    (fetched_root() / f"usr/src/{COMMON}/Makefile").write_text("all: ; @echo '$(KBUILD_OUTPUT)'\n")
    done = run(["make", "-s", "-f", makefile], cwd=tmp_path)
    assert done.text == f"{objects.resolve()}\n"


def test_the_image_and_the_modules_come_when_they_are_asked_for(
    archive: DebianArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("--fetch", PLAIN, capsys=capsys)
    with pytest.raises(Exception, match="no image of kernel") as refused:
        resolve([PLAIN], Need.IMAGE, root=tmp_path / "none")
    assert f"kbuildpy kernels --fetch {PLAIN} --images" in str(refused.value)
    assert "1 package" in call("--fetch", PLAIN, "--images", capsys=capsys)[1]
    assert find_kernel_image(PLAIN, root=tmp_path / "none") == fetched_root() / f"boot/vmlinuz-{PLAIN}"
    directory = modules_directory(PLAIN, root=tmp_path / "none")
    assert directory == fetched_root() / "lib/modules" / PLAIN
    assert (directory / "modules.dep").read_text() == "kernel/a.ko:\n"
    assert (directory / "build").resolve() == fetched_root() / f"usr/src/linux-headers-{PLAIN}"


def test_what_is_here_is_not_downloaded_again_and_a_newer_version_is(
    archive: DebianArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    def downloaded(*words: str) -> list[list[str]]:
        lines = call("--fetch", *words, "--format", "json", capsys=capsys)[1].splitlines()
        return [sorted(json.loads(line)["downloaded"]) for line in lines]

    shared = [COMMON, KBUILD]
    assert downloaded(CLOUD) == [sorted([*shared, f"linux-headers-{CLOUD}"])]
    assert downloaded("6.1*") == [[], [f"linux-headers-{PLAIN}"]]
    assert downloaded("6.1*") == [[], []]
    archive.add_kernel(PLAIN, "2", common=COMMON)
    archive.publish()
    assert downloaded(PLAIN) == [sorted([*shared, f"linux-headers-{PLAIN}"])]
    assert downloaded(PLAIN) == [[]]
    assert left() == []


def test_keys_of_json_are_documented(archive: DebianArchive, capsys: pytest.CaptureFixture[str]) -> None:
    [line] = call("--fetch", PLAIN, "--format", "json", capsys=capsys)[1].splitlines()
    assert json.loads(line).keys() == json_keys("kbuildpy kernels --fetch")
    [line] = call("--remove", PLAIN, "--format", "json", capsys=capsys)[1].splitlines()
    assert json.loads(line).keys() == json_keys("kbuildpy kernels --remove")


def test_what_kernels_share_is_removed_with_the_last_of_them(
    archive: DebianArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("--fetch", "6.1*", "--images", capsys=capsys)
    assert call("--remove", "*cloud*", capsys=capsys)[1] == f"{CLOUD}: removed\n"
    assert releases(["fetched"], tmp_path) == [PLAIN]
    assert list(fetched_root().rglob(f"*{CLOUD}*")) == []
    assert call("--remove", "*", "-q", capsys=capsys)[1] == f"{PLAIN}\n"
    assert [path for path in fetched_root().rglob("*") if path.is_file()] == [fetched_root() / ".lock"]
    status, _, err = call("--remove", "*", capsys=capsys)
    assert (status, "no fetched kernel matches; fetched: none" in err) == (2, True)


def test_the_list_of_trees_marks_fetched_ones(archive: DebianArchive, capsys: pytest.CaptureFixture[str]) -> None:
    call("--fetch", PLAIN, capsys=capsys)
    _, out, err = call(capsys=capsys)
    assert [line.split()[1] for line in out.splitlines() if line.lstrip("*").startswith("f")] == [PLAIN]
    assert str(fetched_root()) in err
    facts = [json.loads(line) for line in call("--format", "json", capsys=capsys)[1].splitlines()]
    assert [fact["release"] for fact in facts if fact["fetched"]] == [PLAIN]


def test_a_terminal_shows_a_bar_and_the_lines_above_it(archive: DebianArchive, tmp_path: Path) -> None:
    shown = run_on_terminal([sys.executable, "-m", "kbuildpy", "kernels", "--fetch", "6.1*"])
    assert re.search(r"0%\|", shown)
    lines = [line for line in re.split(r"[\r\n]+", shown) if "fetched (" in line]
    assert [line.split(":")[0] for line in lines] == [CLOUD, PLAIN]


# --- What goes wrong.


def program(directory: Path, name: str, script: str) -> None:
    """Put a program `name` before the system's own one; `$OWN` is that."""
    directory.mkdir(exist_ok=True)
    own = next(path for folder in ("/usr/bin", "/bin") if (path := Path(folder, name)).exists())
    (directory / name).write_text(f"#!/bin/sh\nOWN={own}\n{script}\n")
    (directory / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory whose programs come before the system's."""
    place = tmp_path / "programs"
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return place


@pytest.mark.parametrize(
    ("words", "status", "message", "hint"),
    [
        (
            ["--available", "7.*"],
            2,
            f"apt offers no such kernel; of the 3 that it offers, the oldest is {BARE}",
            "",
        ),
        (["--fetch", "6.1.0-2-amd64"], 2, "6.1.0-2-amd64: apt offers no such kernel", f"did you mean {PLAIN}?"),
        (["--fetch", "6.1*", "--fetch", "nonsense"], 2, "nonsense: apt offers no such kernel", "--available"),
        (["--fetch", "6.1.0-"], 2, "6.1.0-: apt offers no such kernel", "did you mean '6.1.0-*'?"),
        (["--fetch", ""], 2, "an empty pattern: apt offers no such kernel", "--available"),
        (["--fetch", "../../etc"], 2, "../../etc: apt offers no such kernel", "--available"),
        (["--fetch", BARE], 2, f"apt has no headers of {BARE}, only the image", "kbuildpy run"),
        (["--remove", "6.1*"], 2, "--remove 6.1*: no fetched kernel matches; fetched: none", "kbuildpy kernels"),
        (["--images"], 2, "--images belongs to --fetch", "PATTERN"),
    ],
)
def test_a_wrong_call_is_told_and_nothing_is_fetched(
    words: list[str], status: int, message: str, hint: str, archive: DebianArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    found, out, err = call(*words, capsys=capsys)
    assert (found, out) == (status, "")
    assert message in err
    assert hint in err
    assert not (fetched_root() / "usr").exists()


def test_a_word_for_fetched_kernels_without_any_says_how_to_get_them(tmp_path: Path, archive: DebianArchive) -> None:
    with pytest.raises(Exception, match="no kernel was fetched") as refused:
        releases(["fetched"], tmp_path)
    assert "kbuildpy kernels --fetch" in str(refused.value)


def test_of_a_pattern_kernels_without_headers_are_left_out_and_named(
    archive: DebianArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = call("--fetch", "*", "-q", capsys=capsys)
    assert (status, out.split()) == (0, [CLOUD, PLAIN])
    call("--remove", "*", capsys=capsys)
    assert f"skipped, apt has only the image: {BARE}\n" in call("--fetch", "*", capsys=capsys)[2]


def test_empty_lists_are_no_missing_kernel(
    archive: DebianArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = DebianArchive(tmp_path / "empty")
    empty.publish()
    monkeypatch.setenv("APT_CONFIG", empty.environment["APT_CONFIG"])
    for words in (["--available"], ["--fetch", PLAIN]):
        status, _, err = call(*words, capsys=capsys)
        assert (status, "apt offers no kernel: its package lists are empty" in err) == (1, True)
        assert "apt-get update" in err


@pytest.mark.parametrize("package", [COMMON, f"linux-headers-{PLAIN}"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_package_that_apt_refuses_leaves_nothing_that_counts(
    damage: str, package: str, archive: DebianArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [file] = (archive.place / "pool").glob(f"{package}_*.deb")
    contents = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(contents.replace(b"include", b"exclude").replace(b"VERSION", b"version"))
        assert file.read_bytes() != contents
    status, _, err = call("--fetch", PLAIN, capsys=capsys)
    assert (status, "cannot download" in err, "apt-get update" in err) == (1, True, True)
    with pytest.raises(Exception, match="no kernel was fetched"):
        releases(["fetched"], tmp_path)
    assert left() == []
    file.write_bytes(contents)
    assert call("--fetch", PLAIN, capsys=capsys)[0] == 0


@pytest.mark.parametrize("package", [KBUILD, COMMON, f"linux-headers-{PLAIN}"])
def test_a_fetch_that_is_killed_leaves_nothing_that_counts_and_the_next_one_ends(
    package: str, archive: DebianArchive, tmp_path: Path, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(programs, "dpkg-deb", f'case "$2" in */{package}_*) kill -9 $PPID; exit 1;; esac\nexec $OWN "$@"')
    done = subprocess.run([sys.executable, "-m", "kbuildpy", "kernels", "--fetch", PLAIN], check=False)
    assert done.returncode == -signal.SIGKILL
    assert any(name.startswith(".new-") for name in left())
    with pytest.raises(Exception, match="no kernel was fetched"):
        releases(["fetched"], tmp_path)
    (programs / "dpkg-deb").unlink()
    assert call("--fetch", PLAIN, capsys=capsys)[0] == 0
    assert releases(["fetched"], tmp_path) == [PLAIN]
    assert left() == []


@pytest.mark.parametrize("tool", ["apt-get", "dpkg-deb"])
def test_a_full_disk_is_one_clear_error(
    tool: str, archive: DebianArchive, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(programs, tool, 'echo "E: x: write error (28: No space left on device)" >&2; exit 2')
    status, _, err = call("--fetch", PLAIN, "-q", capsys=capsys)
    assert status == 1
    assert err.splitlines()[0].endswith(": the disk is full")
    assert "KBUILDPY_CACHE" in err
    assert left() == []


def test_a_disk_without_room_is_told_before_anything_is_downloaded(
    archive: DebianArchive, programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.add(f"linux-headers-{PLAIN}", "2", size=1 << 40)
    archive.publish()
    program(programs, "apt-get", "echo called >&2; exit 1")
    status, _, err = call("--fetch", PLAIN, "-q", capsys=capsys)
    assert (status, "there is no room: 1125899907 MB are needed" in err, "called" in err) == (1, True, False)


def test_a_package_of_another_layout_is_told(archive: DebianArchive, capsys: pytest.CaptureFixture[str]) -> None:
    archive.add("linux-headers-6.2.0-1-amd64", files={"opt/headers/Makefile": ""})
    archive.publish()
    status, _, err = call("--fetch", "6.2*", capsys=capsys)
    assert (status, "no kernel tree of 6.2.0-1-amd64 is in it" in err) == (1, True)


def test_a_package_without_the_programs_is_told(archive: DebianArchive, capsys: pytest.CaptureFixture[str]) -> None:
    archive.add(KBUILD, "2", files={f"usr/lib/{KBUILD}/scripts/Kbuild.include": ""})
    archive.publish()
    status, _, err = call("--fetch", PLAIN, capsys=capsys)
    assert (status, f"{PLAIN}: its headers packages lack scripts/basic/fixdep" in err) == (1, True)


def test_a_fetched_kernel_that_was_damaged_says_how_to_get_it_again(
    archive: DebianArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("--fetch", PLAIN, capsys=capsys)
    (fetched_root() / "usr/src" / COMMON / "Makefile").unlink()
    for words in ([PLAIN], ["6.1*"], ["fetched"]):
        with pytest.raises(Exception, match="source part of the kernel tree is missing") as broken:
            releases(words, tmp_path)
        assert f"kbuildpy kernels --remove {PLAIN}, then --fetch {PLAIN}" in str(broken.value)
    call("--remove", PLAIN, capsys=capsys)
    call("--fetch", PLAIN, capsys=capsys)
    assert releases(["fetched"], tmp_path) == [PLAIN]


def test_two_at_once_do_not_disturb_each_other(archive: DebianArchive, tmp_path: Path, programs: Path) -> None:
    program(programs, "dpkg-deb", 'sleep 0.2\nexec $OWN "$@"')
    words = [sys.executable, "-m", "kbuildpy", "kernels", "--fetch"]
    both = [
        subprocess.Popen([*words, pattern], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for pattern in ("6.1*", CLOUD)
    ]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert any("another process fetches kernels" in err for _, err in said)
    assert sorted("is here already" in line for out, _ in said for line in out.splitlines()) == [False, False, True]
    assert releases(["fetched"], tmp_path) == [CLOUD, PLAIN]
    assert left() == []
