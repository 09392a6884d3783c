# SPDX-License-Identifier: GPL-2.0-only
"""Instrumented builds: beside others, and for `kbuildpy run` alone."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbuildpy.elf import ModuleImage
from kbuildpy.kernel.instrumented import is_instrumented
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import kbuildpy, listing
from tests.support.covered_module import write_covered
from tests.support.guest_kernels import one_of, tree_called

pytestmark = pytest.mark.parity


@dataclass(frozen=True)
class Built:
    """The module's directory with both builds, and what was there before the second one."""

    tree: KernelTree
    place: Path
    sources: list[str]
    plain: bytes

    @property
    def instrumented(self) -> Path:
        """The instrumented module."""
        return self.place / "build-coverage" / self.tree.release / "covered.ko"


@pytest.fixture(scope="module", params=one_of("6.1", "6.12"))
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The module built as it is, then instrumented."""
    tree = tree_called(request.param)
    place = write_covered(tmp_path_factory.mktemp("instrumented") / "covered")
    for options in ([], ["--coverage"]):
        before = listing(place)
        plain = place / "build" / tree.release / "covered.ko"
        contents = plain.read_bytes() if plain.is_file() else b""
        done = kbuildpy("build", place, "-k", tree.objects, *options)
        assert done.returncode == 0, done.error_text
    return Built(tree, place, before, contents)


def test_an_instrumented_build_leaves_the_other_one_and_the_sources_alone(built: Built) -> None:
    plain = built.place / "build" / built.tree.release / "covered.ko"
    assert plain.read_bytes() == built.plain
    assert not is_instrumented(ModuleImage.from_path(plain))
    assert [line for line in listing(built.place) if not line.startswith("build-coverage/")] == built.sources


def test_an_instrumented_module_says_so_and_has_nothing_of_gcov_to_be_found_in_a_kernel(built: Built) -> None:
    image = ModuleImage.from_path(built.instrumented)
    assert is_instrumented(image)
    assert image.section(".gcov_info") is not None
    wanted = set(run(["nm", "-u", built.instrumented]).text.split())
    assert not {name for name in wanted if "gcov" in name}
    # (modpost found them in the module that watches)
    assert "__wrap_kstrdup" in wanted
    assert not {name for name in wanted if name in ("kstrdup", "vfree", "__kmalloc", "kmalloc_trace")}
    assert "kbuildpy_guest" in run(["modinfo", "-F", "depends", built.instrumented]).text


def test_a_second_instrumented_build_has_nothing_to_do(built: Built) -> None:
    before = built.instrumented.stat().st_mtime_ns
    done = kbuildpy("build", built.place, "-k", built.tree.objects, "--coverage")
    assert done.returncode == 0
    assert "up to date" in done.text
    assert built.instrumented.stat().st_mtime_ns == before
    dry = kbuildpy("build", built.place, "-k", built.tree.objects, "--coverage", "-n")
    assert "up to date" in dry.text


def test_scons_puts_instrumented_modules_in_the_same_place(built: Built, tmp_path: Path) -> None:
    place = write_covered(tmp_path / "project")
    declared = 'env.KernelModule("covered", ["main.c", "pure.c"])'
    (place / "SConstruct").write_text(f'env = Environment(tools=["default", "kbuild"])\n{declared}\n')
    (place / "Kbuild").unlink()
    argv = [sys.executable, "-m", "SCons", "-Q", "COVERAGE=1", f"KDIR={built.tree.objects}"]
    done = run(argv, cwd=place, check=False, timeout=300)
    assert done.returncode == 0, done.error_text
    [module] = (path for path in place.rglob("covered.ko"))
    assert module == place / "build-coverage" / built.tree.release / "covered.ko"
    assert is_instrumented(ModuleImage.from_path(module))
    assert (module.parent / "pure.gcno").is_file()
    assert run([*argv, "-c"], cwd=place, check=False).returncode == 0
    assert not list(place.rglob("*.gcno")) + list(place.rglob("*.ko"))


def test_instrumented_modules_are_neither_signed_nor_installed(built: Built, tmp_path: Path) -> None:
    digest = hashlib.sha256(built.instrumented.read_bytes()).digest()
    assert kbuildpy("keygen", "-q", "-a", "p-256", "key.pem", cwd=tmp_path).returncode == 0
    signing = kbuildpy("sign", built.instrumented, "--key", "key.pem", "--cert", "key.crt", cwd=tmp_path)
    assert signing.returncode == 1
    assert "instrumented (--coverage), so it is not signed" in signing.error_text
    release = built.tree.release
    installing = kbuildpy("install", built.instrumented, "--root", tmp_path / "root", "-k", release)
    assert installing.returncode == 1
    assert "instrumented (--coverage), so it is not installed" in installing.error_text
    assert hashlib.sha256(built.instrumented.read_bytes()).digest() == digest
    assert not list(tmp_path.rglob("*.ko"))


def test_a_module_that_is_not_instrumented_has_no_coverage(built: Built) -> None:
    plain = built.place / "build" / built.tree.release / "covered.ko"
    for option in ("--coverage", "--fail-nth=1"):
        done = kbuildpy("run", plain, option)
        assert done.returncode == 2
        assert "not instrumented" in done.error_text
    done = kbuildpy("run", built.instrumented)
    assert done.returncode == 2
    assert "cannot be loaded without" in done.error_text


def test_a_source_that_does_not_compile_ends_the_run(tmp_path: Path, built: Built) -> None:
    place = write_covered(tmp_path / "broken")
    (place / "pure.c").write_text("int broken(void) { return ; \n")
    done = kbuildpy("run", place, "--coverage", "-k", built.tree.objects)
    assert done.returncode == 1
    assert "pure.c:1" in done.error_text
    assert "not built" in done.error_text
    assert "Traceback" not in done.error_text
    assert not list(place.rglob("*.ko"))
