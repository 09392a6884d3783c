# SPDX-License-Identifier: GPL-2.0-only
"""Modules from a shared cache on a server: make's bytes and messages, also where the server lies, and nothing stale."""

from __future__ import annotations

import compileall
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.builds import collect, kbuildpy, make
from tests.support.cache_servers import CacheServer, cache_server, redis_address, s3_endpoint
from tests.support.kernel_trees import usual_tree
from tests.support.packages import kernel_source
from tests.support.scons_project import CHECKOUT

pytestmark = pytest.mark.parity

SOURCE = '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n'
ONE = {"Kbuild": "obj-m := one.o\n", "one.c": SOURCE}


@pytest.fixture(name="server")
def _server() -> Iterator[CacheServer]:
    pytest.importorskip("aiohttp")
    with cache_server() as server:
        yield server


class Machines:
    """Machines that build the same directory with the same cache, one after the other: each has new files, and, unless
    they are `alike`, a user's cache of its own and kbuildpy at another path."""

    def __init__(
        self,
        place: Path,
        files: dict[str, str],
        address: str,
        *,
        environ: dict[str, str] | None = None,
        alike: bool = False,
    ) -> None:
        self.place = place / "sources"
        self.files = dict(files)
        self.address = address
        self.environ = environ or {}
        self.alike = alike
        self.count = 0
        self.output = ""
        self.warnings: list[str] = []
        self.seconds: list[float] = []
        """What each build took."""

    def build(self, *words: str, status: int = 0) -> list[str]:
        """Build on a new machine; what was compiled, linked or written by modpost there."""
        self.count += 1
        shutil.rmtree(self.place, ignore_errors=True)
        for name, text in self.files.items():
            path = self.place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        home = self.place.with_name(f"machine{self.count}")
        home.mkdir(parents=True)
        environ = {**self.environ, "KBUILDPY_SHARED_CACHE": self.address}
        if not self.alike:
            for name in ("kbuildpy", "templates"):
                shutil.copytree(CHECKOUT / name, home / "lib" / name)
            # (as a program that is installed: its time is not that of a compilation of Python)
            compileall.compile_dir(home / "lib", quiet=1)
            environ |= {"HOME": str(home), "PYTHONPATH": str(home / "lib"), "KBUILDPY_CACHE": str(home / "cache")}
        tree = str(usual_tree().objects)
        began = time.monotonic()
        done = kbuildpy("build", self.place, "-k", tree, "-j2", *words, cwd=home, env=environ)
        self.seconds.append(time.monotonic() - began)
        self.output = done.text + done.error_text
        self.warnings += [line for line in self.output.splitlines() if "the shared cache" in line]
        assert done.returncode == status, self.output
        return sorted(
            match[1] for match in re.finditer(r"^  (?:(?:CC|LD|AS) \[M\] |MODPOST) (\S+)", self.output, re.MULTILINE)
        )

    def outputs(self) -> dict[str, bytes]:
        """What lies in the output."""
        return collect(self.place / "build" / usual_tree().release)

    def assert_like_make(self, *variables: str) -> None:
        """The output is make's, byte for byte, at the same path."""
        ours = self.outputs()
        shutil.rmtree(self.place / "build")
        done = make(usual_tree(), self.place, variables)
        assert done.returncode == 0, done.error_text
        theirs = collect(self.place)
        assert sorted(ours) == sorted(theirs)
        assert [name for name in theirs if ours[name] != theirs[name]] == []


def test_a_second_machine_takes_all_files_from_a_server_with_makes_bytes(tmp_path: Path, server: CacheServer) -> None:
    files = {
        "Kbuild": "obj-m := one.o two.o\none-y := a.o b.o\n",
        "a.c": f"{SOURCE}EXPORT_SYMBOL(one_value);\n".replace("MODULE", "int one_value(void) { return 1; }\nMODULE", 1),
        "b.c": "int one_other(void) { return 2; }\n",
        "two.c": f"int one_value(void);\n{SOURCE}int two(void) {{ return one_value(); }}\n",
    }
    for name in ("a.c", "b.c", "two.c"):
        files[name] = f'#pragma GCC diagnostic ignored "-Wmissing-prototypes"\n{files[name]}'
    machines = Machines(tmp_path, files, server.address)
    assert len(machines.build()) > 4
    first, said = machines.outputs(), machines.output
    assert machines.build() == []
    assert machines.outputs() == first
    assert machines.output.count("Retrieved `") == len(server.objects) + machines.output.count(".cmd' from cache")
    # (what programs print on standard error, "Skipping BTF generation" for one, is said again)
    about = [line for line in said.splitlines() if "BTF" in line]
    assert sorted(about) == sorted(line for line in machines.output.splitlines() if "BTF" in line)
    machines.assert_like_make()


@pytest.mark.sweep
def test_a_server_that_lies_changes_no_byte_and_is_told_once(tmp_path: Path, server: CacheServer) -> None:
    machines = Machines(tmp_path, ONE, server.address, alike=True)
    machines.build()
    server.mood = "damaged"
    assert "one.ko" in machines.build()
    assert machines.output.count("kbuildpy: warning: the shared cache") == 1
    machines.assert_like_make()


@pytest.mark.sweep
def test_only_signed_objects_are_taken_and_readers_store_nothing(tmp_path: Path, server: CacheServer) -> None:
    key, public = str(tmp_path / "cache.key"), str(tmp_path / "cache.pub")
    run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key])
    run(["openssl", "pkey", "-in", key, "-pubout", "-out", public])
    machines = Machines(tmp_path, ONE, server.address, alike=True)
    machines.build("--cache-readonly")
    assert server.objects == {}
    machines.build()
    unsigned = dict(server.objects)
    assert "one.o" in machines.build("--cache-key", public)
    assert server.objects == unsigned
    assert "not signed by the key of this cache" in machines.output
    assert "one.o" in machines.build("--cache-key", key)
    assert server.objects.keys() == unsigned.keys() and server.objects != unsigned
    assert machines.build("--cache-key", public) == []


HIDDEN = {
    "Kbuild": "obj-m := all.o\nall-y := warns.o data.o shadow.o foreign.o hidden.o\n"
    "LINUXINCLUDE := -I$(src)/first $(LINUXINCLUDE)\n"
    "CFLAGS_foreign.o := -I$(src)/../outside\n",
    "warns.c": f"{SOURCE}static int unused_here;\n#warning told by the compiler\n",
    "data.S": '.section .rodata\n.incbin "BLOB"\n',
    "shadow.c": f"{SOURCE}#include <linux/cdev.h>\n",
    "foreign.c": f'#include "foreign.h"\n{SOURCE}int foreign = FOREIGN;\n',
    "hidden.c": f'#define NAME "hidden.h"\n#include NAME\n{SOURCE}int hidden = HIDDEN;\n',
    "hidden.h": "#define HIDDEN 1\n",
    "blob": "one\n",
    "../outside/foreign.h": "#define FOREIGN 1\n",
}


def test_what_no_key_can_tell_is_never_taken_stale(tmp_path: Path) -> None:
    """A header behind a macro, one outside of the directory, one that hides a kernel header, a file that the assembler
    reads: each changes on the second machine, without that a source does."""
    files = HIDDEN | {"data.S": HIDDEN["data.S"].replace("BLOB", str(tmp_path / "sources/blob"))}
    machines = Machines(tmp_path, files, str(tmp_path / "cache"), alike=True)
    assert len(machines.build()) > 7
    warned = [line for line in machines.output.splitlines() if "told by the compiler" in line]
    assert warned
    # Nothing has changed: all but what the assembler has read is taken, with the compiler's warnings.
    assert machines.build() == ["data.o"]
    assert [line for line in machines.output.splitlines() if "told by the compiler" in line] == warned
    machines.files |= {
        "hidden.h": "#define HIDDEN 2\n",
        "blob": "two\n",
        "../outside/foreign.h": "#define FOREIGN 2\n",
    }
    linked = {"Module.symvers", "all.o", "all.mod.o", "all.ko"}
    assert {*machines.build()} - linked == {"hidden.o", "data.o", "foreign.o"}
    kernels_own = (usual_tree().source / "include/linux/kobject.h").read_text()
    machines.files["first/linux/kobject.h"] = (
        f"{kernels_own}#ifndef SEEN\n#define SEEN\nstatic int __used seen = 5;\n#endif\n"
    )
    assert "shadow.o" in machines.build()
    machines.assert_like_make()


def test_a_module_is_not_taken_after_a_linker_script_or_another_modules_license_changed(tmp_path: Path) -> None:
    """Neither changes the objects: the link reads the script, and the kernel's answer depends on the other module."""
    files = {
        "Kbuild": "obj-m := one.o two.o\none-y := a.o b.o\nldflags-y := -T $(src)/one.lds\n",
        "b.c": "",
        "a.c": f"#include <linux/kobject.h>\n{SOURCE}int two_value(void);\nint use(void);\n"
        'int use(void) { return kobject_create_and_add("x", NULL) ? two_value() : 0; }\n',
        "two.c": f"{SOURCE}int two_value(void);\nint two_value(void) {{ return 2; }}\nEXPORT_SYMBOL(two_value);\n",
        "one.lds": "SECTIONS { .first 0 : { *(.first) } }\n",
    }
    machines = Machines(tmp_path, files, str(tmp_path / "cache"), alike=True)
    machines.build()
    assert machines.build() == []
    machines.files["one.lds"] = "SECTIONS { .first 0 : { *(.first) BYTE(1) } }\n"
    assert {"one.o", "one.ko"} <= {*machines.build()}
    machines.assert_like_make()
    machines.files["two.c"] = files["two.c"].replace('"GPL"', '"Proprietary"')
    assert "one.ko" in machines.build(status=1)
    assert "one.ko: refused" in machines.output and "(taints: PO)" in machines.output


def test_another_checkout_takes_all_where_the_place_is_mapped_away(tmp_path: Path) -> None:
    """Each with the bytes that make has for the place; what names the place is made there."""
    files = {
        "Kbuild": "obj-m := one.o\none-y := a.o b.o\n",
        "a.c": f"{SOURCE}int one_value(int x);\nint one_value(int x)\n{{\n\tWARN_ON(x);\n\treturn x;\n}}\n"
        "EXPORT_SYMBOL(one_value);\n",
        "b.c": "int one_other(void);\nint one_other(void)\n{\n\treturn 2;\n}\n",
    }
    did = []
    for name in ("a", "longer"):
        machines = Machines(tmp_path / name, files, str(tmp_path / "cache"), alike=True)
        variable = f"KCFLAGS=-ffile-prefix-map={machines.place}=."
        did.append(machines.build(variable))
    assert len(did[0]) > 3 and did[1] == []
    assert os.fsencode(machines.place) in machines.outputs()["Module.symvers"]
    machines.assert_like_make(variable)


@pytest.mark.sweep
@pytest.mark.parametrize("mood", ["hangs", "dies", "endless", "slow"])
def test_a_bad_server_costs_a_bounded_time(tmp_path: Path, server: CacheServer, mood: str) -> None:
    machines = Machines(tmp_path, ONE, server.address, alike=True)
    began = time.monotonic()
    machines.build("--cache-readonly")
    alone = time.monotonic() - began
    machines.build()
    server.mood = mood
    began = time.monotonic()
    machines.build()
    took = time.monotonic() - began
    print(f"\n{mood}: {took:.1f} s, {alone:.1f} s with an empty cache")
    assert took < 2 * alone + 20
    assert machines.output.count("kbuildpy: warning: the shared cache") in (0 if mood == "slow" else 1, 1)
    machines.assert_like_make()


@contextmanager
def _cache(kind: str, place: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of an empty cache of a kind, and variables for the environment."""
    if kind == "http":
        with cache_server() as server:
            yield server.address, {}
    elif kind == "redis":
        with redis_address(place) as address:
            yield address, {}
    elif kind == "s3":
        with s3_endpoint("bucket") as variables:
            yield "s3://bucket/cache", variables
    else:
        yield str(place / "cache"), {}


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["http", "redis", "s3", "directory"])
def test_53_modules_of_a_second_checkout_take_a_fifth_of_the_time(tmp_path: Path, kind: str) -> None:
    source = kernel_source("6.1") / "drivers/usb/serial"
    files = {path.name: path.read_text() for path in source.iterdir() if path.is_file()}
    with _cache(kind, tmp_path) as (address, environ):
        machines = Machines(tmp_path, files, address, environ=environ)
        machines.build()
        did = machines.build()
    took = machines.seconds
    print(f"\n{kind}: built in {took[0]:.1f} s, taken in {took[1]:.1f} s")
    assert did == [], machines.warnings
    assert took[1] < took[0] / 5
    machines.assert_like_make()
