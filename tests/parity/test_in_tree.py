"""In-tree directories of the kernel's sources, built as external modules: hundreds of real modules.

Too slow for every run: `./run test --sweep -k in_tree`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from tests.parity.both import assert_equal, build_both, trees
from tests.parity.packages import kernel_source

pytestmark = [pytest.mark.parity, pytest.mark.sweep]


@pytest.mark.parametrize("tree", [t for t in trees() if t.version == (6, 1)], ids=lambda tree: tree.release)
@pytest.mark.parametrize(("copied", "below", "modules"), [("drivers/usb/serial", "", 53), ("net", "netfilter", 167)])
def test_an_in_tree_directory_is_the_same_bytes_as_makes(
    copied: str, below: str, modules: int, tree: KernelTree, tmp_path: Path
) -> None:
    # (net/netfilter includes headers of its neighbours.)
    source = kernel_source("6.1") / copied
    [(oracle, ours)] = build_both(tree, source, tmp_path / source.name, steps=[(below, ())])
    assert_equal(oracle, ours)
    assert len(ours.names(".ko")) == modules
