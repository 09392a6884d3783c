"""Device tables of every module that a distribution ships, against the aliases it ships in their modinfo.

A finished `.ko` still has its tables and their symbols; what its own modpost made of them ends its `.modinfo`,
behind the aliases that the source spells out.
"""

from __future__ import annotations

import lzma
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbuildpy.elf import ModuleImage
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.aliases import Aliases, add_table, table_name
from kbuildpy.modpost.diagnostics import Log
from kbuildpy.modpost.versions import dialect_of
from tests.parity.test_modpost_oracle import TREES, layouts_of

pytestmark = [pytest.mark.parity, pytest.mark.sweep]


def shipped(tree: KernelTree) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(Path("/lib/modules", tree.release, "kernel").rglob("*.ko*")):
        contents = path.read_bytes()
        yield path, lzma.decompress(contents) if path.suffix == ".xz" else contents


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.release)
def test_shipped_aliases_are_what_the_tables_say(tree: KernelTree, tmp_path: Path) -> None:
    layouts, dialect = layouts_of(tree, tmp_path), dialect_of(tree)
    kinds: Counter[str] = Counter()
    wrong = []
    for path, contents in shipped(tree):
        image = ModuleImage(contents, str(path))
        log = Log(dialect.module_prefix, dialect.fatal_word)
        aliases = Aliases(dialect.device_table_modname, log)
        wanted = image.symbols.starting_with(b"__mod_")
        for index, row in enumerate(image.symbols.rows):
            if row[0] in wanted:
                symbol = image.symbols[index]
                name = table_name(symbol.name, with_modname=dialect.device_table_modname)
                kinds[name.device_id if name is not None else ""] += 1
                add_table(aliases, image, symbol, path.stem, dialect, lambda: layouts)
        listed = Counter(image.modinfo_values("alias"))
        if Counter(aliases.found) - listed or log.diagnostics:
            wrong.append((path, Counter(aliases.found) - listed, log.diagnostics))
        elif aliases.found and not is_suffix(aliases.found, list(image.modinfo_values("alias"))):
            wrong.append((path, Counter(), []))
    print(sum(kinds.values()), dict(kinds))
    assert not wrong
    if not kinds:
        pytest.skip(f"no modules of {tree.release} installed")


def is_suffix(found: list[str], listed: list[str]) -> bool:
    """Whether `listed` ends in `found`; the linker may have put the symbols of one table before another's."""
    return sorted(listed[-len(found) :]) == sorted(found)
