# SPDX-License-Identifier: GPL-2.0-only
"""Types and their differences against pahole; modules that gcc compiled with other types than a made-up kernel has."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

from kbuildpy.abi import module_view
from kbuildpy.abi.btf_graph import BtfGraph
from kbuildpy.abi.changed_types import ChangedTypes
from kbuildpy.abi.compare_types import Comparer, Weight
from kbuildpy.abi.explain_module import ModuleReport, Side, explain_module
from kbuildpy.abi.kernel_types import KernelTypes
from kbuildpy.abi.module_view import ModuleView
from kbuildpy.abi.text import module_lines
from kbuildpy.abi.type_graph import flat_members, size_of
from kbuildpy.abi.verdict import outcome_of
from kbuildpy.debug.subjects import read_subject
from kbuildpy.kernel.image import read_kernel
from kbuildpy.kernel.symvers import format_symvers, parse_symvers
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.exports import SymversExports
from kbuildpy.loader.kernels.own_types import types_of_image, types_of_vmlinux
from kbuildpy.loader.kernels.vmlinux import vmlinux_exports
from kbuildpy.run import run
from tests.support.builds import make
from tests.support.compiled_types import BTF_VERSION, btf_of_object, compiled, view_of
from tests.support.kernel_trees import trees
from tests.support.packages import unpacked, unpacked_kernel

pytestmark = pytest.mark.parity

MANY_FORMS = """
typedef unsigned long size_type; typedef struct { int counter; } counter_type;
enum mode { OFF, ON = 5, NEGATIVE = -3 };
struct inner { char c; long l; };
struct opaque;
struct all {
    int a:3, b:5; unsigned c:1; size_type d; counter_type e; enum mode f; struct inner g[3]; char h[2][5];
    union { long i; struct { short j, k; }; }; struct { int l; } m; int (*n)(struct all *, const char *, ...);
    struct opaque *o; struct all *p, **q; const volatile int *restrict r; _Bool s; float t; double u; long double v;
    unsigned char w; void (*x[4])(void); char y[];
};
union both { int a; struct all *b; };
struct all *all; union both both;
int declared(struct all *, enum mode); int call(void) { return declared(all, ON); }
"""


def test_dwarf_and_btf_of_one_object_are_the_same_types(tmp_path: Path) -> None:
    made = compiled(MANY_FORMS, tmp_path)
    view, btf = view_of(made), btf_of_object(made)
    compared = 0
    for (keyword, name), [described] in view.described.items():
        [number] = btf.named(keyword, name)
        found = Comparer(view.graph, btf).compare(described.offset, number)
        assert [each.words for each in found.differences if each.weight is not Weight.SPELLING] == []
        compared += 1
    assert compared == 4


# --- A module and a made-up kernel

MODULE = """
__attribute__((section(".modinfo"), used)) static char modinfo[] = "license=GPL\\0name=drv\\0vermagic=6.1.0-1 SMP ";
int declared(struct s *); extern struct s variable;
int use(struct s *s) { return declared(s) + READ; }
"""
OLD = "struct part { int x; }; struct s { int a; struct part part; struct s *next; };"
VARIANTS = {
    "the same": (OLD, "same"),
    "gained at the end": (OLD.replace("*next;", "*next; int z;"), "differs"),
    "gained in a hole": (OLD.replace("*next;", "*next;").replace("int x;", "int x; char y;"), "differs"),
    "a member moved": (OLD.replace("int a; struct part part;", "struct part part; int a;"), "differs"),
    "a member is wider": (OLD.replace("int a", "long a"), "differs"),
    "renamed": (OLD.replace("int a", "int b"), "differs"),
    "a part changed": (OLD.replace("int x", "short x"), "differs"),
    "a pointer to another type": (OLD.replace("struct s *next", "struct part *next"), "differs"),
}
KERNEL = "__attribute__((used)) int declared(struct s *s) {{ return s != 0; }}\nstruct s variable; {}"


def side(text: str, place: Path, crc: int, *, symbols: tuple[str, ...] = ("declared",), types: bool = True) -> Side:
    """A kernel with these types that exports `symbols`."""
    rows = format_symvers([(crc, symbol, "vmlinux", "EXPORT_SYMBOL", "") for symbol in symbols])
    exports = SymversExports(parse_symvers("".join(rows).encode(), place), modversions=True)
    kernel = LoaderKernel("6.1.0-1", (6, 1), "x86_64", exports=exports)
    if not types:
        return Side(kernel, None, "no types")
    btf_of_object(made := compiled(text + KERNEL.format(""), place))
    own = types_of_vmlinux(made, BTF_VERSION)
    assert own is not None
    return Side(kernel, KernelTypes(kernel, own), "")


def report(
    new: str, place: Path, *, options: tuple[str, ...] = (), crcs: tuple[int, int] = (1, 2), read: str = "s->a"
) -> ModuleReport:
    """What a module that was compiled with `OLD` meets in a kernel whose types are `new`."""
    made = compiled(OLD + MODULE.replace("READ", read), place, "drv", *options)
    return explain_module(read_subject(made), side(OLD, place / "old", crcs[0]), side(new, place / "new", crcs[1]))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_modules_own_view_is_the_same_only_if_every_type_is(variant: str, tmp_path: Path) -> None:
    text, expected = VARIANTS[variant]
    read = "s->part.x" if variant == "a part changed" else "s->a"
    found = report(text, tmp_path, read=read)
    assert found.view.state == expected
    assert [each.symbol for each in found.other_crcs] == ["declared"]
    assert outcome_of(found, None).state == "rebuild"


def test_types_that_differ_are_told_although_no_crc_does(tmp_path: Path) -> None:
    found = report(VARIANTS["a member moved"][0], tmp_path, crcs=(1, 1))
    assert not found.other_crcs
    assert outcome_of(found, None).state == "rebuild"


def test_without_debug_information_nothing_is_said_of_the_modules_types(tmp_path: Path) -> None:
    found = report(OLD, tmp_path, options=("-g0",), crcs=(1, 1))
    assert found.view.state == "unknown"
    assert outcome_of(found, None).state == "unknown"


def test_places_and_lines_of_a_changed_type_are_told(tmp_path: Path) -> None:
    text = OLD.replace("int a; struct part part;", "struct part part; int a;")
    [found] = report(text, tmp_path).view.types
    line = next(
        number for number, line in enumerate((tmp_path / "drv.c").read_text().splitlines(), 1) if "use(" in line
    )
    assert found.title == "struct s"
    assert found.symbols == ("declared",)
    assert [(each.function, each.variable, each.line) for each in found.mentions] == [("use", "s", line)]
    assert [(each.line, each.member, each.variable) for each in found.accesses] == [(line, "a", "s")]


def test_a_member_of_an_expression_whose_type_is_not_known_is_told_apart(tmp_path: Path) -> None:
    text = OLD.replace("int a; struct part part;", "struct part part; int a;")
    [found] = report(text, tmp_path, read="s->next->a").view.types
    assert [(each.member, each.variable) for each in found.accesses] == [("a", "")]


def test_a_symbol_that_is_gone_and_one_that_another_module_has_are_told_apart(tmp_path: Path) -> None:
    made = compiled(OLD + MODULE.replace("READ", "s->a"), tmp_path, "drv")
    for symbols, problem in ((("other",), "foreign"), (("declared",), "gone")):
        old = side(OLD, tmp_path / "old", 1, symbols=symbols)
        [found] = explain_module(read_subject(made), old, side(OLD, tmp_path / "new", 1, symbols=("other",))).imports
        assert found.problems == (problem,)


def test_a_symbol_that_a_header_may_have_used_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kernel").mkdir()
    header = "int declared(struct s *);\n#define look(s) declared(s)\n"
    (tmp_path / "kernel/look.h").write_text(header)
    text = OLD + MODULE.replace("int declared(struct s *);", f'\n#include "{tmp_path}/kernel/look.h"\n')
    text = text.replace("declared(s) + READ", "look(s)")
    old = side(OLD, tmp_path / "old", 1)
    new = side(OLD, tmp_path / "new", 1, symbols=("other",))
    made = compiled(text, tmp_path / "drv", "drv")

    def explained() -> ModuleReport:
        return explain_module(read_subject(made), old, new)

    [found] = explained().imports
    assert (found.problems, found.by_header) == (("gone",), True)
    outcome = outcome_of(explained(), None)
    assert outcome == ("change", "its sources may have to be changed: build it, and see (declared)")
    assert "declared: 6.1.0-2 does not export it; the module's sources do not name it, so" in "\n".join(
        module_lines(explained(), None, "6.1.0-2", verbose=False)
    )
    # Its own header is the module's, and nothing is known without its sources.
    (tmp_path / "drv/own.h").write_text(header)
    assert not explained().imports[0].by_header
    (tmp_path / "drv/own.h").unlink()
    (tmp_path / "drv/large.h").write_bytes(b"\n" * ((4 << 20) + 1))
    assert not explained().imports[0].by_header
    (tmp_path / "drv/large.h").unlink()
    monkeypatch.setattr(module_view, "_MOST_FILES", 1)
    assert not explained().imports[0].by_header
    monkeypatch.setattr(module_view, "_MOST_FILES", 100)
    assert explained().imports[0].by_header
    (tmp_path / "drv/drv.c").unlink()
    assert outcome_of(explained(), None).state == "change"


def test_what_every_module_has_of_the_kernel_is_no_source_of_its_own(tmp_path: Path) -> None:
    drv = compiled("int drv(void) { return 1; }", tmp_path / "drv", "drv")
    common = compiled("int common(void) { return 2; }", tmp_path / "kernel/scripts", "module-common")
    run(["ld", "-r", drv, common, "-o", tmp_path / "whole.o"])
    view = view_of(tmp_path / "whole.o")
    assert (view.sources, view.directory) == ((f"{tmp_path}/drv/drv.c",), f"{tmp_path}/drv")
    assert not view.is_own(f"{tmp_path}/kernel/include/linux/init.h")


def test_a_kernel_without_crcs_has_no_module_layout_and_needs_none(tmp_path: Path) -> None:
    versions = """
__attribute__((section("__versions"), used)) static const struct { unsigned long crc; char name[56]; } v[] =
    {{1, "module_layout"}, {1, "declared"}};"""
    made = compiled(OLD + MODULE.replace("READ", "s->a") + versions, tmp_path, "drv")
    both, one = ("declared", "module_layout"), ("declared",)
    for symbols, expected in ((both, ["declared", "module_layout"]), (one, ["declared"])):
        new = side(OLD, tmp_path / "new", 1, symbols=symbols)
        found = explain_module(read_subject(made), side(OLD, tmp_path / "old", 1, symbols=both), new)
        assert [each.symbol for each in found.imports] == expected
        assert found.must_be_changed == ()
    without = side(OLD, tmp_path / "without", 0)
    report_of = explain_module(read_subject(made), side(OLD, tmp_path / "old", 1, symbols=both), without)
    assert "  symbols: 6.1.0-2 has no CRCs to compare" in module_lines(report_of, None, "6.1.0-2", verbose=False)


@pytest.mark.parametrize(
    ("license", "namespace", "module_namespaces", "problems"),
    [
        ("EXPORT_SYMBOL_GPL", "", "", ()),
        ("EXPORT_SYMBOL", "SPACE", "", ("namespace",)),
        ("EXPORT_SYMBOL", "SPACE", "import_ns=SPACE\\0", ()),
        ("EXPORT_SYMBOL", "module:drv", "", ()),
        ("EXPORT_SYMBOL", "module:other", "", ("namespace",)),
    ],
)
def test_a_closed_symbol_is_a_reason_to_change_the_sources(
    license: str, namespace: str, module_namespaces: str, problems: tuple[str, ...], tmp_path: Path
) -> None:
    text = MODULE.replace("READ", "s->a").replace("license=GPL\\0", f"license=GPL\\0{module_namespaces}")
    made = compiled(OLD + text, tmp_path, "drv")
    rows = format_symvers([(1, "declared", "vmlinux", license, namespace)])
    exports = SymversExports(parse_symvers("".join(rows).encode(), tmp_path), modversions=True)
    new = Side(LoaderKernel("6.1.0-2", (6, 1), "x86_64", exports=exports), None, "")
    found = explain_module(read_subject(made), side(OLD, tmp_path / "old", 1, types=False), new)
    assert found.imports[0].problems == problems
    assert (outcome_of(found, None).state == "change") == bool(problems)


# --- Two real kernels


@pytest.mark.sweep
def test_a_real_modules_view_differs_from_btf_as_from_the_module_of_the_other_kernel(tmp_path: Path) -> None:
    """The same module built for two kernels: its types against the other's BTF, and against the other build's."""
    kernels = [tree for tree in trees() if tree.version[:2] in ((6, 1), (6, 12))]
    if len(kernels) < 2:
        pytest.skip("headers of one kernel line only")
    views = []
    for tree in kernels:
        place = tmp_path / tree.release
        place.mkdir()
        (place / "Kbuild").write_text("obj-m := drv.o\n")
        (place / "drv.c").write_text(REAL)
        done = make(tree, place, ["CONFIG_DEBUG_INFO_BTF_MODULES="])
        assert done.returncode == 0, done.error_text
        subject = read_subject(place / "drv.ko")
        assert subject.debug is not None
        views.append(ModuleView(subject.debug))
    image = unpacked_kernel(kernels[1].release) / f"boot/vmlinuz-{kernels[1].release}"
    btf = graph_of(image, kernels[1].version)
    by_btf, by_dwarf = set(), set()
    for name in views[0].described.keys() & views[1].described.keys():
        own, other = (view.described[name][0].offset for view in views)
        numbers = btf.named(*name)
        if not numbers:
            continue
        if views[0].differences(own, views[1].graph, other):
            by_dwarf.add(name)
        if all(views[0].differences(own, btf, number) for number in numbers):
            by_btf.add(name)
        # (and the module of that kernel has its types)
        assert any(not views[1].differences(other, btf, number) for number in numbers), name
    assert len(by_dwarf) > 100
    assert by_btf == by_dwarf


REAL = """
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/blkdev.h>
static int use(struct net_device *dev, struct pci_dev *pci, struct gendisk *disk)
{
	return netif_running(dev) + pci->irq + disk->major + current->pid;
}
static int __init drv_init(void) { return use(NULL, NULL, NULL); }
module_init(drv_init);
MODULE_LICENSE("GPL");
"""

RELEASES = ("6.1.0-47-amd64", "6.1.0-56-amd64")


def images() -> list[Path]:
    """The images of two kernels whose CRCs differ for the most part."""
    packages = (unpacked(f"linux-image-{RELEASES[0]}-unsigned"), unpacked_kernel(RELEASES[1]))
    return [package / f"boot/vmlinuz-{release}" for package, release in zip(packages, RELEASES, strict=True)]


def graph_of(image: Path, version: tuple[int, ...] = BTF_VERSION) -> BtfGraph:
    types = types_of_image(image, version)
    assert types is not None
    return BtfGraph(types)


class Pahole:
    """What pahole prints of a kernel's types, by keyword and name; several texts where several have the name."""

    def __init__(self, image: Path, place: Path) -> None:
        vmlinux = place / f"{image.name}.elf"
        vmlinux.write_bytes(read_kernel(image).contents)
        raw = place / f"{image.name}.btf"
        run(["objcopy", "--dump-section", f".BTF={raw}", vmlinux, "/dev/null"])
        self.texts: dict[tuple[str, str], list[str]] = {}
        printed = run(["pahole", "-F", "btf", raw], timeout=300).text
        for found in re.finditer(r"^(struct|union|enum) (\w+) \{\n.*?^\}[^\n]*;", printed, re.MULTILINE | re.DOTALL):
            # (remarks about holes and padding also change with the padding of a part)
            text = re.sub(r"^\t+/\* (?!size: ).*\n", "", found[0], flags=re.MULTILINE)
            self.texts.setdefault((found[1], found[2]), []).append(re.sub(r"\n+", "\n", text))

    def sizes(self, name: tuple[str, str]) -> tuple[int, dict[str, tuple[int, int]]]:
        """The size of a type, and offset and size of its members that are no bit-fields and stand directly in it."""
        [text] = self.texts[name]
        total = re.search(r"^\t/\* size: (\d+)", text, re.MULTILINE)
        rows = re.findall(r"^\t\S.*?(\w+)(?:\[\d*\])*;\s*/\*\s+(\d+)\s+(\d+) \*/", text, re.MULTILINE)
        return int(total[1]) if total else 0, {member: (int(at), int(size)) for member, at, size in rows}


@pytest.mark.sweep
def test_layouts_and_changes_of_real_kernels_are_those_that_pahole_prints(tmp_path: Path) -> None:
    """Each struct and union that has one definition in both kernels: its layout; and whether it differs at all."""
    paths = images()
    graphs = [graph_of(path) for path in paths]
    printed = [Pahole(path, tmp_path) for path in paths]
    layouts = 0
    for name, texts in printed[0].texts.items():
        if name[0] != "struct" or len(texts) != 1 or len(graphs[0].named(*name)) != 1:
            continue
        [number] = graphs[0].named(*name)
        size, members = printed[0].sizes(name)
        ours = {part.name: part for part in flat_members(graphs[0], number) if not part.width}
        assert graphs[0].at(number).size == size, name
        for member, (at, length) in members.items():
            if member in ours:
                assert (ours[member].offset // 8, size_of(graphs[0], ours[member].type)) == (at, length), (name, member)
                layouts += 1
    assert layouts > 20_000
    comparer = Comparer(graphs[0], graphs[1])
    wrong, differing = [], 0
    for name in printed[0].texts.keys() & printed[1].texts.keys():
        pairs = [(graph.named(*name), each.texts[name]) for graph, each in zip(graphs, printed, strict=True)]
        if any(len(numbers) != 1 or len(texts) != 1 for numbers, texts in pairs):
            continue
        found = comparer.compare(pairs[0][0][0], pairs[1][0][0])
        # (pahole shows no more than whether a struct is declared or defined by its pointers: no visibility)
        told = any(each.weight is not Weight.VISIBILITY for each in found.differences)
        differs = pairs[0][1] != pairs[1][1]
        differing += differs
        if differs and not told and not _embedded_differs(comparer, found.edges):
            wrong.append(name)
        if told and not differs:
            wrong.append(name)
    assert not wrong
    assert differing > 50


def _embedded_differs(comparer: Comparer, edges: object) -> bool:
    """Whether a part of a struct differs: pahole prints the parts without a tag in full."""
    assert isinstance(edges, list)
    pending = list(edges)
    for _ in range(1000):
        if not pending:
            return False
        edge = pending.pop()
        if not comparer.old.at(edge.old).name:
            local = comparer.compare(edge.old, edge.new)
            if local.differences:
                return True
            pending += local.edges
    return False


@pytest.mark.sweep
def test_thirty_explanations_drawn_at_random_are_in_what_pahole_prints(tmp_path: Path) -> None:
    """Each step of the way is a member (or parameter) in pahole's text; the type at its end differs there."""
    paths = images()
    graphs = [graph_of(path) for path in paths]
    printed = [Pahole(path, tmp_path) for path in paths]
    changed = ChangedTypes(*graphs)
    roots = {}
    exported = [vmlinux_exports(read_kernel(path).contents, path.name) or [] for path in paths]
    crcs = [{symbol: crc for crc, symbol, *_ in rows} for rows in exported]
    for name in crcs[0].keys() & crcs[1].keys():
        if crcs[0][name] != crcs[1][name] and all(len(graph.functions(name)) == 1 for graph in graphs):
            roots[name] = changed.add(*(graph.functions(name)[0] for graph in graphs))
    leading = {name: way for name, root in roots.items() if (way := changed.shortest(root, hard=True))}
    assert len(leading) > 5_000
    checked = 0
    for name in Random(16).sample(sorted(leading), 60):
        way = leading[name]
        titles = [step.title for step in way.steps]
        if any(len(title.split()) != 2 or (*title.split(),) not in printed[0].texts for title in titles):
            continue
        for step, title in zip(way.steps[1:], titles, strict=False):
            keyword, tag = title.split()
            member = re.sub(r"\(.*", "", step.label).rpartition(".")[2]
            assert any(re.search(rf"\b{member}\b", text) for text in printed[0].texts[keyword, tag]), (name, step)
        keyword, tag = titles[-1].split()
        assert printed[0].texts[keyword, tag] != printed[1].texts[keyword, tag], (name, way)
        checked += 1
    assert checked >= 30


def test_types_without_a_change_lead_nowhere(tmp_path: Path) -> None:
    made = compiled(MANY_FORMS, tmp_path)
    graphs = [btf_of_object(made), btf_of_object(made)]
    changed = ChangedTypes(*graphs)
    root = changed.add(*(graph.functions("call")[0] for graph in graphs))
    assert changed.shortest(root, hard=False) is None
