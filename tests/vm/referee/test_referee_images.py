# SPDX-License-Identifier: GPL-2.0-only
"""Kernels of which an archive has only the image: modules that came with them, damaged at random, are put before them
and before the loader check. There are no headers to build others with."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from kbuildpy.compression import decompress
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.find_image import find_kernel_image
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kernels.from_image import kernel_from_image
from kbuildpy.run import run
from tests.support.guest_kernels import boots_x86_64
from tests.support.packages import ONLY_IMAGES, archived_image
from tests.vm.referee.cases import Bases
from tests.vm.referee.compare import compare, defined
from tests.vm.referee.guest import ask
from tests.vm.referee.kernels import BLACKLIST, PARAMETERS
from tests.vm.referee.mutations import mutations

AT_RANDOM = 600
QUIET, RICH = "crc8", "dummy"
"""A module with exports and without init, and one with parameters, alternatives and a jump label."""

pytestmark = [pytest.mark.vm, pytest.mark.sweep, boots_x86_64]


@pytest.mark.parametrize("line", ONLY_IMAGES)
def test_we_say_what_a_kernel_between_those_with_headers_says(
    line: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    try:
        release, root = archived_image(line)
    except KbuildError as error:
        pytest.skip(f"no kernel {line} to be had: {error}")
    image = find_kernel_image(release, root=root)
    kernel = replace(kernel_from_image(image, root=root), blacklist=BLACKLIST)
    quiet, rich = (_shipped(root, release, name, tmp_path) for name in (QUIET, RICH))
    bases = Bases(KernelTree(root, root, release), rich, quiet, user=quiet, other=quiet, heir=quiet, heir_gpl=quiet)
    seed = int(request.config.option.referee_seed)
    asked, _ = defined(mutations(bases, seed, AT_RANDOM), kernel)
    compared = compare(ask(image, asked, parameters=PARAMETERS), kernel)
    assert len(compared) > AT_RANDOM / 2
    assert {0, errno.ENOEXEC} <= {item.answer.errno for item in compared}
    differences = [item for item in compared if item.differences]
    assert not differences, "\n".join(map(str, differences))


def _shipped(root: Path, release: str, name: str, scratch: Path) -> bytes:
    """A module of the kernel, without its signature and its debugging information."""
    directory = modules_directory(release, root=root)
    assert directory is not None
    file = scratch / f"{name}.ko"
    file.write_bytes(decompress(next(directory.glob(f"kernel/**/{name}.ko*")).read_bytes()))
    run(["strip", "--strip-debug", file])
    return file.read_bytes()
