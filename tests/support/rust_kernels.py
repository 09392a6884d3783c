# SPDX-License-Identifier: GPL-2.0-only
"""A small kernel with Rust, and the programs that build it and its modules.

The cheapest machine in which the whole chain works is Debian 12 as it is, with gcc. rustc, the sources of its library
and libclang come out of Debian 12's own packages (rustc-web, rust-web-src, libclang1-19); bindgen out of Debian 13's,
with that Debian's C library, because Debian 12 has none that is new enough. All are unpacked, none is installed: 150 MB
to download. A machine that has rustc, its sources and bindgen (Debian 13 may have them) uses those.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.packages import NEWEST, unpacked_together
from tests.support.small_kernels import small_kernel

RUSTC = "1.85"
"""The rustc of Debian 12 and 13 that the kernel is built with: the least that it takes."""


def rust_kernel() -> KernelTree:
    """The tree of a small kernel with Rust, with its image, for use in `rust_programs()`. It is built when it is asked
    for first, 13 minutes of one processor; the test is skipped where it cannot be built."""
    return small_kernel(NEWEST, "rust", environ=rust_environment())


def rust_environment() -> Mapping[str, str]:
    """The variables of the environment with which programs for Rust are found, and the library of gendwarfksyms; the
    test is skipped where they are not to be had."""
    if _has_own_programs():
        return {}
    try:
        own = _of_this_debian()
        bindgen = unpacked_together("rust-bindgen", ["bindgen", "libc6", "libgcc-s1"], line=NEWEST)
    except KbuildError as error:
        pytest.skip(f"no rustc and bindgen to be had: {error}")
    programs = own / "wrapped"
    if not programs.is_dir():
        _wrap(own, bindgen, programs)
    library = next(own.glob("usr/lib/*/libdw.so")).parent
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "C_INCLUDE_PATH": str(own / "usr/include"),
        "LIBRARY_PATH": str(library),
    }


@contextmanager
def rust_programs() -> Iterator[None]:
    """Let this process and those that it starts find the programs for Rust."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in rust_environment().items():
            patch.setenv(name, value)
        yield


def _has_own_programs() -> bool:
    """Whether this machine has a rustc with the sources of its library, and a bindgen."""
    if not (shutil.which("rustc") and shutil.which("bindgen") and Path("/usr/include/elfutils/libdw.h").is_file()):
        return False
    sysroot = run(["rustc", "--print", "sysroot"], check=False).text.strip()
    return Path(sysroot, "lib/rustlib/src/rust/library/core/src/lib.rs").is_file()


def _of_this_debian() -> Path:
    """The directory that Debian 12's packages are unpacked in. Raises `KbuildError` where apt has no such rustc."""
    offered = [line.split("|")[1].strip() for line in run(["apt-cache", "madison", "rustc-web"]).text.splitlines()]
    version = next((each for each in offered if each.startswith(f"{RUSTC}.")), "")
    if not version:
        raise KbuildError(f"apt has no rustc-web {RUSTC}")
    versioned = ("rustc-web", f"libstd-rust-web-{RUSTC}", "libstd-rust-web-dev", "rust-web-src", "rustfmt-web")
    packages = [f"{name}={version}" for name in (*versioned, "rust-web-clippy")]
    return unpacked_together("rust-programs", [*packages, "libclang1-19", "libllvm19", "libdw-dev", "libdw1"])


def _wrap(own: Path, bindgen: Path, place: Path) -> None:
    """Write programs to the folder `place` that start those of `own` with their libraries, and `bindgen` with its C
    library as well."""
    library = next(own.glob("usr/lib/*/libclang-19.so.1")).parent
    newer = next(bindgen.glob("usr/lib/*/libc.so.6")).parent
    system = f"/{library.relative_to(own)}"
    loader = next(newer.glob("ld-linux-*.so.*"))
    calls = {
        name: f"LD_LIBRARY_PATH={library} exec {own}/usr/bin/{name}" for name in ("rustc", "rustfmt", "clippy-driver")
    }
    calls["bindgen"] = (
        f"LIBCLANG_PATH={library} exec {loader} --library-path {newer}:{library}:{system} {bindgen}/usr/bin/bindgen"
    )
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    unfinished.mkdir()
    for name, call in calls.items():
        (unfinished / name).write_text(f'#!/bin/sh\n{call} "$@"\n')
        (unfinished / name).chmod(0o755)
    unfinished.rename(place)
