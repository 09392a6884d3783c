# SPDX-License-Identifier: GPL-2.0-only
"""The help below modpost's messages: lines of undefined symbols and of section mismatches, against planted lines and
addr2line; what kernels export, against their symvers files."""

from __future__ import annotations

import difflib
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from kbuildpy.advice.near_names import NearNames
from kbuildpy.advice.uses import ModuleSources
from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import SHF_EXECINSTR
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.addr2line import addr2line
from tests.support.builds import build_both, complaints, kbuildpy
from tests.support.command_line import call
from tests.support.kernel_trees import (
    each_tree,
    newest_tree_first,
    private_tree,
    tree_of,
    tree_of_release,
    trees,
    usual_tree,
)
from tests.support.planted import Helped, build_planted, places_of, plant

pytestmark = pytest.mark.parity

KBUILD = "obj-m := drv.o other.o\ndrv-y := core.o part.o\n"
CORE = """#include <linux/module.h>
#include "shared.h"
/* not_there() in a comment */
static const char *text = "not_there";
int (*table[2])(int) = {
	NULL,
	in_table, /* @table */
};
static noinline int outer(int n)
{
	return from_header(n) + /* @header */
		twice(n); /* @one */
}
static int __init drv_init(void)
{
	int n = outer(1);
	if (text && n)
		n += not_there(n); /* @not_there */
	twice(n); /* @two */
	n += hidden(n); /* @hidden */
	n += unexported(n); /* @unexported */
	return table[n & 1](n) + blk_crypto_init_key(n); /* @config */
}
module_init(drv_init);
static noinline int __init dropped(void) { return kfre(0); } /* @dropped */
static void keeps(void) __used;
static void keeps(void)
{
	dropped(); /* @mismatch */
}
MODULE_LICENSE("GPL");
"""
SHARED = """int not_there(int);
int in_table(int);
int twice(int);
int hidden(int);
int unexported(int);
int kfre(int);
int gone(int);
int blk_crypto_init_key(int);
static inline int from_header(int n) { return gone(n); }
"""
PART = """#include <linux/module.h>
#include "shared.h"
static noinline int hidden(int n) { return n; } /* @hidden_definition */
int part(int n);
int part(int n) { return hidden(n); }
"""
OTHER = """#include <linux/module.h>
#include <linux/dma-buf.h>
int unexported(int n);
int unexported(int n) /* @unexported_definition */
{
	struct dma_buf *found = dma_buf_get(n); /* @namespace */
	return found != NULL;
}
static int __initdata early = 3; /* @early */
static int *kept __used = &early; /* @kept */
int reads(int n);
int reads(int n)
{
	return early + n; /* @reads */
}
MODULE_LICENSE("GPL");
"""
# (a static function that a header declares is an error; the declaration is for the users)
FILES = {
    "Kbuild": KBUILD,
    "core.c": CORE,
    "part.c": PART.replace('#include "shared.h"\n', ""),
    "other.c": OTHER,
    "shared.h": SHARED,
}


def helped(tree: KernelTree, place: Path, *words: str) -> tuple[Helped, dict[str, str]]:
    """The faults above, built for a kernel."""
    marks = plant(place, FILES)
    found = build_planted(tree, place, *words)
    assert found.status == 1
    return found, marks


def assert_lines(found: Helped, marks: dict[str, str], *, header: str) -> None:
    """Each symbol and each mismatch is where it was planted."""
    used = {
        "not_there": ["not_there"],
        "in_table": ["table"],
        "twice": ["one", "two"],
        "hidden": ["hidden"],
        "unexported": ["unexported"],
        "kfre": ["dropped"],
        "dma_buf_get": ["namespace"],
    }
    for symbol, names in used.items():
        assert sorted(places_of(found.about(symbol))) == sorted(marks[name] for name in names), symbol
    assert places_of(found.about("gone")) == [header]
    assert places_of(found.about("keeps -> dropped")) == [marks["mismatch"], marks["dropped"]]
    assert places_of(found.about("reads -> early")) == [marks["reads"], marks["early"]]
    assert places_of(found.about("kept -> early")) == [marks["kept"], marks["early"]]


@pytest.mark.parametrize("release", newest_tree_first())
def test_finds_the_planted_lines_and_says_why(release: str, tmp_path: Path) -> None:
    tree = tree_of_release(release)
    found, marks = helped(tree, tmp_path)
    assert_lines(found, marks, header=marks["header"])
    assert marks["hidden_definition"] in found.about("hidden")["text"][1]
    assert found.about("hidden")["text"][1].startswith("static in drv.ko at ")
    assert found.about("unexported")["text"][1] == (
        f"defined in other.ko at {marks['unexported_definition']}, but not exported: add EXPORT_SYMBOL_GPL(unexported)"
    )
    assert found.about("kfre")["similar"] == ["kfree"]
    assert found.about("blk_crypto_init_key")["configs"] == ["CONFIG_BLK_INLINE_ENCRYPTION"]
    assert "CONFIG_BLK_INLINE_ENCRYPTION" not in tree.config
    imported = '"DMA_BUF"' if tree.version >= (6, 13) else "DMA_BUF"
    assert f"MODULE_IMPORT_NS({imported});" in found.about("dma_buf_get")["text"][1]
    lines = found.output.splitlines()
    first_help = next(number for number, line in enumerate(lines) if line.startswith("kbuildpy: help: "))
    assert not any(": modpost: " in line for line in lines[first_help:]), "help stands between modpost's own lines"
    assert found.output.count("kbuildpy: help: not_there: used at ") == 1


@pytest.mark.parametrize("release", newest_tree_first())
def test_finds_the_same_lines_without_debug_information(release: str, tmp_path: Path) -> None:
    found, marks = helped(tree_of_release(release), tmp_path, "KCFLAGS=-g0")
    image = ModuleImage.from_path(next(tmp_path.rglob("drv.o")))
    assert image.section(".debug_info") is None
    # (of an inline function in a header, the symbol table tells the function that it is in)
    outer = CORE.splitlines().index("static noinline int outer(int n)") + 1
    assert_lines(found, marks, header=f"{tmp_path}/core.c:{outer}")


def test_says_what_other_kernels_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a symbol that one kernel has and another one does not, picked from their symvers files."""
    # (without kernels that were fetched here)
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    tree = tree_of("6.12")
    others = [other for other in trees() if other.objects != tree.objects]
    exported = {other.release: set(symbols_of(other)) for other in (tree, *others)}
    gone = sorted(exported[others[0].release] - exported[tree.release])
    picked = [name for name in gone if name.isidentifier()][:: max(len(gone) // 6, 1)][:6]
    place = tmp_path / "m"
    place.mkdir()
    plant(place, {"Kbuild": "obj-m := x.o\n", "x.c": module_that_calls(picked)})
    found = build_planted(tree, place)
    assert len(picked) > 3
    for name in picked:
        having = [other.release for other in others if name in exported[other.release]]
        assert found.about(name)["kernels"] == having


def test_says_that_a_kernel_may_have_been_trimmed(tmp_path: Path) -> None:
    tree = open_tree(private_tree(usual_tree(), tmp_path / "tree"))
    symvers = tree.symvers.read_text().splitlines(keepends=True)
    tree.symvers.unlink()
    tree.symvers.write_text("".join(line for line in symvers if line.split("\t")[1] != "kfree"))
    source = (
        "#include <linux/slab.h>\n#include <linux/module.h>\nvoid call(void *p);\nvoid call(void *p) { kfree(p); }\n"
    )
    trim = 'CONFIG_TRIM_UNUSED_KSYMS=y\nCONFIG_UNUSED_KSYMS_WHITELIST="kept.txt"\n'
    said = []
    for name, more in (("whole", ""), ("trimmed", trim)):
        config = tree.objects / "include/config/auto.conf"
        config.write_text(config.read_text() + more)
        plant(tmp_path / name, {"Kbuild": "obj-m := x.o\n", "x.c": f'{source}MODULE_LICENSE("GPL");\n'})
        done = kbuildpy("build", tmp_path / name, "-k", tree.objects)
        assert done.returncode == 1
        assert '"kfree"' in done.error_text
        said.append([line for line in done.error_text.splitlines() if "CONFIG_TRIM_UNUSED_KSYMS" in line])
    assert said[0] == []
    assert len(said[1]) == 1 and "CONFIG_UNUSED_KSYMS_WHITELIST (kept.txt)" in said[1][0]


def test_says_the_same_words_as_make(tmp_path: Path) -> None:
    def lay_out(place: Path) -> None:
        plant(place, FILES)

    [(oracle, ours)] = build_both(usual_tree(), lay_out, tmp_path / "x")
    assert oracle.status != 0
    assert ours.status == 1
    assert complaints(ours) == complaints(oracle)
    assert "kbuildpy: help: not_there: " in ours.output


def test_a_build_without_messages_imports_nothing_of_it(tmp_path: Path) -> None:
    plant(tmp_path, {"Kbuild": "obj-m := x.o\n", "x.c": '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n'})
    script = (
        "import sys\nfrom kbuildpy.cli import main\n"
        f"try:\n    main(['build', {str(tmp_path)!r}, '-k', {str(usual_tree().objects)!r}])\n"
        "finally:\n    print('imported', [name for name in sys.modules if '.advice' in name or '.advise' in name])\n"
    )
    done = run([sys.executable, "-c", script], check=False)
    assert (tmp_path / f"build/{usual_tree().release}/x.ko").is_file()
    assert done.text.splitlines()[-1] == "imported []"


@each_tree
def test_places_of_every_reference_are_those_of_addr2line(tree: KernelTree, tmp_path: Path) -> None:
    """Of all symbols that an object needs, in every section of code."""
    plant(tmp_path, {name: text for name, text in FILES.items() if name != "part.c"} | {"Kbuild": "obj-m := core.o\n"})
    kbuildpy("build", tmp_path, "core.o", "-k", str(tree.objects))
    path = next(tmp_path.rglob("core.o"))
    image = ModuleImage.from_path(path)
    sources = (f"{tmp_path}/core.c",)
    opened = ModuleSources(image, sources)
    oracle = addr2line(path, tmp_path)
    names = [symbol.name for symbol in image.undefined]
    checked = 0
    for name, references in opened.references(names).items():
        for reference in references:
            if not reference.section.flags & SHF_EXECINSTR:
                continue
            [chain] = oracle.chains(reference.section.name, [reference.offset])
            own = next(((function, file, line) for function, file, line in chain if file in sources), None)
            if own is None:
                continue
            [place] = opened.places(name, [reference])
            assert (place.function, place.file, place.line) == own
            checked += 1
    assert checked > 8


def test_near_names_are_those_that_a_search_through_all_finds() -> None:
    """The names that are left out before letters are compared are not among the best ones."""
    names = symbols_of(usual_tree())
    known = NearNames(names)
    for name in random.Random(3).sample([name for name in names if len(name) > 6], 2):
        for typo in (name[:3] + name[4:], name[:2] + name[3] + name[2] + name[4:]):
            scores = {other: likeness(other, typo) for other in names if other != typo}
            [first, *_] = known.nearest(typo)
            assert scores[first] == max(scores.values()) or first == name, typo


def likeness(one: str, other: str) -> float:
    """The share of letters that two names have in common, in order."""
    return difflib.SequenceMatcher(None, one.lower(), other.lower(), autojunk=False).ratio()


def test_names_whose_words_moved_are_near() -> None:
    known = NearNames(symbols_of(usual_tree()))
    assert known.nearest("delete_timer_sync") == ("timer_delete_sync",)
    assert known.nearest("setup_timer_on_stack_key_nothing_like_it") == ()


def test_help_with_500_undefined_symbols_takes_no_time(tmp_path: Path) -> None:
    names = random.Random(1).sample([name for name in symbols_of(usual_tree()) if name.isidentifier()], 500)
    plant(tmp_path, {"Kbuild": "obj-m := x.o\n", "x.c": module_that_calls([f"{name}_x" for name in names])})
    before = time.process_time()
    done = call("build", tmp_path, "-k", str(usual_tree().objects), cwd=tmp_path)
    spent = time.process_time() - before
    assert done.error_text.count(": used at ") == 10
    assert spent < 4, "the whole build, without the compiler"


def module_that_calls(names: Sequence[str]) -> str:
    """A module that declares functions itself, and calls them."""
    declared = "".join(f"extern void {name}(void);\n" for name in names)
    calls = "".join(f"\t{name}();\n" for name in names)
    body = f"static int __init i(void)\n{{\n{calls}\treturn 0;\n}}\nmodule_init(i);\n"
    return f'#include <linux/module.h>\n{declared}{body}MODULE_LICENSE("GPL");\n'


def symbols_of(tree: KernelTree) -> list[str]:
    """The symbols that a kernel exports, as its symvers file says without any code of ours."""
    return [line.split("\t")[1] for line in tree.symvers.read_text().splitlines()]
