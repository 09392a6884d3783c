# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that were fetched from this machine's apt, compared with installed ones and with what make builds for them.

They are fetched into a cache of their own, so no other test sees them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.execute import Completed
from kbuildpy.kernel.fetch import movable_makefile
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.offered import OfferedKernel, offered_kernels
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.run import run
from tests.support.builds import REPRODUCIBLE, kbuildpy, make
from tests.support.guest_kernels import tree_called
from tests.support.packages import other_compiler
from tests.support.samples import SAMPLES

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(shutil.which("apt-cache") is None, reason="there is no apt"),
]
FILES = ("hello.ko", "hello.mod.c", "Module.symvers")


@pytest.fixture(scope="module")
def offered() -> dict[str, OfferedKernel]:
    """What apt offers, by release."""
    try:
        return {kernel.release: kernel for kernel in offered_kernels()}
    except KbuildError as error:
        pytest.skip(f"apt offers nothing: {error}")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of its own; what was fetched is removed in the end, for it is large."""
    place = tmp_path_factory.mktemp("cache")
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def installed(offered: dict[str, OfferedKernel]) -> str:
    """A release that is installed in the version that apt offers."""
    for tree in installed_trees().trees:
        package = f"linux-headers-{tree.release}"
        if tree.release in offered and tree.objects == Path("/usr/src", package):
            version = run(["dpkg-query", "--show", "--showformat", "${Version}", package]).text
            if version == offered[tree.release].headers[-1].version:
                return tree.release
    pytest.skip("no headers are installed in the version that apt offers")


@pytest.fixture(scope="module")
def other(offered: dict[str, OfferedKernel], installed: str) -> str:
    """A release that is not installed and shares its common headers with the installed one."""
    here = {tree.release for tree in installed_trees().trees}
    shared = set(offered[installed].headers[:-1])
    found = [name for name, item in offered.items() if shared and shared <= {*item.headers} and name not in here]
    return found[0] if found else pytest.skip(f"no other kernel shares packages with {installed}")


@pytest.fixture(scope="module")
def fetched(installed: str, other: str, cache: Path) -> dict[str, Path]:
    """Both, fetched: the object part by release."""
    done = call(cache, "kernels", "--fetch", installed, "--fetch", other, "--format", "json")
    assert done.returncode == 0, done.error_text
    facts = [json.loads(line) for line in done.text.splitlines()]
    assert [fact["missing"] for fact in facts] == [[], []]
    return {fact["release"]: Path(fact["path"]) for fact in facts}


def call(cache: Path, *words: str | Path) -> Completed:
    return kbuildpy(*words, env={"KBUILDPY_CACHE": str(cache)})


def hello(place: Path) -> Path:
    shutil.copytree(SAMPLES / "hello", place)
    return place


def made(objects: Path, directory: Path, *names: str, variables: Sequence[str] = ()) -> dict[str, bytes]:
    """What make builds in `directory` for the tree `objects`; it is cleaned afterwards."""
    done = make(open_tree(objects), directory, [REPRODUCIBLE, *variables])
    assert done.returncode == 0, done.error_text
    files = {name: (directory / name).read_bytes() for name in names or FILES}
    make(open_tree(objects), directory, goal="clean")
    return files


def test_offers_what_apt_lists_but_the_packages_that_only_bring_in_others(offered: dict[str, OfferedKernel]) -> None:
    def listed(prefix: str) -> set[str]:
        lines = run(["apt-cache", "search", "--names-only", f"^{prefix}[0-9]"]).text.splitlines()
        found = [line.split(" - ", 1) for line in lines if "meta-package" not in line]
        left_out = re.compile(r".*-(dbg|common|common-rt|signed-template)|.*[0-9]")
        return {
            name.removeprefix(prefix).removesuffix("-unsigned") for name, _ in found if not left_out.fullmatch(name)
        } | {name.removeprefix(prefix) for name, _ in found if name.endswith(("amd64", "arm64"))}

    assert {release for release, kernel in offered.items() if kernel.headers} == listed("linux-headers-")
    assert {release for release, kernel in offered.items() if kernel.image} == listed("linux-image-")


def test_a_fetched_tree_has_the_files_of_the_package_but_for_its_own_makefile(
    fetched: dict[str, Path], installed: str, offered: dict[str, OfferedKernel]
) -> None:
    root = fetched[installed].parents[2]
    sums = []
    for package in offered[installed].headers:
        # (what dpkg noted when it was installed, by the package's own list)
        lists = [
            Path(f"/var/lib/dpkg/info/{package.name}{ending}.md5sums") for ending in ("", f":{package.architecture}")
        ]
        text = next(path for path in lists if path.is_file()).read_text()
        sums += [line.split("  ", 1) for line in text.splitlines() if "usr/share/" not in line]
    wrong = [name for digest, name in sums if hashlib.md5((root / name).read_bytes()).hexdigest() != digest]
    own = f"usr/src/linux-headers-{installed}"
    assert wrong == [f"{own}/Makefile"]
    assert (root / wrong[0]).read_text() == Path("/", wrong[0]).read_text().replace("/usr/src/", "../")
    assert len(sums) > 10_000
    for name in ("scripts", "tools"):
        assert (root / own / name).readlink() == Path("/", own, name).readlink()
        assert (root / own / name).is_dir()
    for name in ("build", "source"):
        link = root / "lib/modules" / installed / name
        assert link.resolve() == root / Path("/lib/modules", installed, name).readlink().relative_to("/")


def test_a_module_for_a_fetched_kernel_has_the_bytes_of_make(
    fetched: dict[str, Path], other: str, cache: Path, tmp_path: Path
) -> None:
    directory = hello(tmp_path / "hello")
    theirs = made(fetched[other], directory)
    done = call(cache, "build", directory, "-k", other, REPRODUCIBLE)
    assert done.returncode == 0, done.error_text
    assert {name: (directory / "build" / other / name).read_bytes() for name in FILES} == theirs
    verdict = call(cache, "check", directory / "build" / other / "hello.ko", "-k", f"{other[:-2]}*")
    assert verdict.returncode == 0, verdict.text + verdict.error_text


@pytest.mark.sweep
def test_mounted_where_headers_are_installed_it_gives_the_bytes_of_the_installed_tree(
    fetched: dict[str, Path], installed: str, cache: Path, tmp_path: Path
) -> None:
    directory = hello(tmp_path / "hello")
    theirs = made(Path("/usr/src", f"linux-headers-{installed}"), directory)
    script = 'mount --bind "$1" /usr/src && shift && exec "$@"'
    words = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(fetched[installed].parent)]
    build = ["build", str(directory), "-k", f"/usr/src/linux-headers-{installed}", REPRODUCIBLE]
    env = {**os.environ, "KBUILDPY_CACHE": str(cache)}
    done = run([*words, sys.executable, "-m", "kbuildpy", *build], check=False, env=env)
    if "unshare" in done.error_text:
        pytest.skip("namespaces are refused here")
    assert done.returncode == 0, done.error_text
    assert {name: (directory / "build" / installed / name).read_bytes() for name in FILES} == theirs


@pytest.mark.sweep
def test_headers_that_name_their_own_folder_are_built_for_where_they_lie(cache: Path, tmp_path: Path) -> None:
    """Debian's from 7.2 on, which only newer systems than the tests' have in apt."""
    tree = tree_called("7.3")
    place = tmp_path / "usr/src"
    objects = place / tree.objects.name
    objects.mkdir(parents=True)
    for path in tree.objects.iterdir():
        (objects / path.name).symlink_to(path)
    (place / tree.source.name).symlink_to(tree.source)
    (objects / "Makefile").unlink()
    packed = (tree.objects / "Makefile").read_text().replace(f"{tree.objects.parent}/", "/usr/src/")
    assert packed == f"KBUILD_OUTPUT=/usr/src/{objects.name}\ninclude /usr/src/{tree.source.name}/Makefile\n"
    (objects / "Makefile").write_text(movable_makefile(packed))
    directory = hello(tmp_path / "hello")
    compiler = other_compiler(tree)
    theirs = made(objects, directory, variables=compiler)
    for _ in range(2):
        done = call(cache, "build", directory, "-k", objects, REPRODUCIBLE, *compiler)
        assert done.returncode == 0, done.error_text
        assert {name: (directory / "build" / tree.release / name).read_bytes() for name in FILES} == theirs
        # (the whole may move)
        shutil.rmtree(directory / "build")
        moved = tmp_path / "moved"
        if not moved.exists():
            (tmp_path / "usr").rename(moved)
            objects = moved / "src" / objects.name
            theirs = made(objects, directory, variables=compiler)


@pytest.mark.sweep
def test_every_kernel_that_apt_offers_is_fetched_built_for_and_checked(
    offered: dict[str, OfferedKernel], tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path_factory.mktemp("all")
    place.chmod(0o755)
    directory, cache = hello(place / "hello"), place / "cache"
    wanted = [release for release, kernel in offered.items() if kernel.headers]

    def timed(what: str, *words: str | Path) -> Completed:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = call(cache, *words)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        with capsys.disabled():
            print(f"\n{what}: {time.monotonic() - began:.1f} s, {cpu:.1f} s CPU", end="")
        assert done.returncode == 0, done.text + done.error_text
        return done

    try:
        done = timed(f"{len(wanted)} kernels fetched", "kernels", "--fetch", "*", "-q")
        assert done.text.split() == wanted
        assert timed("again", "kernels", "--fetch", "*").text.count("is here already") == len(wanted)
        # (beside the sources make's clean would remove the modules)
        outputs = [place / "first", place / "second"]
        build = ("build", directory, "-k", "fetched", REPRODUCIBLE, "-o")
        timed("built", *build, outputs[0])
        timed("built again", *build, outputs[0])
        timed("built elsewhere, with facts from the cache", *build, outputs[1])
        for release in wanted:
            objects = cache / "kernels/usr/src" / f"linux-headers-{release}"
            theirs = made(objects, directory)
            for name in FILES:
                mine = [(path / release / name).read_bytes() for path in outputs]
                assert mine == [theirs[name]] * 2, (release, name)
        modules = [outputs[0] / release / "hello.ko" for release in wanted]
        said = timed("checked", "check", *modules, "-k", "own", "--format", "json").text
        verdicts = [json.loads(line) for line in said.splitlines()]
        assert [(item["kernel"], item["accepted"]) for item in verdicts] == [(release, True) for release in wanted]
        removed = timed("removed", "kernels", "--remove", "*", "-q")
        assert sorted(removed.text.split()) == sorted(wanted)
        left = [path for path in (cache / "kernels").rglob("*") if path.is_file() and path.name != ".lock"]
        assert left == []
    finally:
        shutil.rmtree(place)


@pytest.mark.sweep
@pytest.mark.parametrize("line", ["6.1", "6.12"])
@pytest.mark.parametrize("flavour", ["", "cloud-", "rt-"], ids=["plain", "cloud", "rt"])
def test_a_module_is_loaded_in_a_fetched_kernel(
    line: str, flavour: str, offered: dict[str, OfferedKernel], cache: Path, tmp_path: Path
) -> None:
    form = re.compile(rf"{re.escape(line)}\.(0-\d+|\d+\+deb\d+)-{flavour}amd64")
    found = [name for name, item in offered.items() if form.fullmatch(name) and item.headers and item.image]
    if not found:
        pytest.skip(f"apt offers no {line} {flavour}")
    release = found[0]
    done = call(cache, "kernels", "--fetch", release, "--images")
    assert done.returncode == 0, done.error_text
    directory = hello(tmp_path / "hello")
    done = call(cache, "build", directory, "-k", release)
    assert done.returncode == 0, done.error_text
    module = directory / "build" / release / "hello.ko"
    ran = call(cache, "run", module, "-k", release, "--module", "dummy", "--format", "json")
    results = [json.loads(line) for line in ran.text.splitlines()]
    assert ran.returncode == 0, ran.text + ran.error_text
    assert [(item["kernel"], item["loaded"], item["complaints"]) for item in results if item["name"] == "hello"] == [
        (release, True, [])
    ]
    # (image and modules were those that were fetched: none was taken out of a package again)
    assert not (cache / "images").exists()
    assert not (cache / "modules").exists()
    checked = call(cache, "check", module, "-k", release, "--format", "json")
    assert json.loads(checked.text)["unchecked"] == []
    call(cache, "kernels", "--remove", release)
