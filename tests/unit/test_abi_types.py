# SPDX-License-Identifier: GPL-2.0-only
"""What differs between two types, with what gcc makes of C text: offsets are those of the C standard's layout rules."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

import pytest

from kbuildpy.abi.btf_graph import BtfGraph
from kbuildpy.abi.changed_types import ChangedTypes, Way
from kbuildpy.abi.compare_types import Comparer, Weight
from kbuildpy.abi.text import way_words
from kbuildpy.abi.type_graph import VOID, Form, Type, TypePart, follow, spelled
from kbuildpy.errors import KbuildError
from kbuildpy.loader.btf.types import Kind, read_types
from tests.support.btf_draft import drafted, info
from tests.support.compiled_types import compiled, view_of

# Members of struct s before and after, and what is said of it.
CHANGES = {
    "gained at the end": ("int a;", "int a; int b;", {"size 4 -> 8", "gained `b` at 4"}),
    "gained in a hole": ("char a; int b;", "char a; char c; int b;", {"gained `c` at 1"}),
    "lost": ("int a; int b;", "int a;", {"size 8 -> 4", "lost `b`, which was at 4"}),
    "moved": ("int a; long b;", "long b; int a;", {"`a` moved from 0 to 8", "`b` moved from 8 to 0"}),
    "renamed": ("int a; int b;", "int a; int c;", {"`b` is called `c`"}),
    "another number": ("int a; int b;", "int a; unsigned b;", {"`b` was `int`, is `unsigned int`"}),
    "wider": (
        "int a; int b;",
        "int a; long b;",
        {"size 8 -> 16", "`b` moved from 4 to 8", "`b` was `int`, is `long int`"},
    ),
    "array": ("char a[4];", "char a[8];", {"size 4 -> 8", "`a` was `char[4]`, is `char[8]`"}),
    "array of arrays": ("int a[2][3];", "int a[2][4];", {"size 24 -> 32", "`a` was `int[2][3]`, is `int[2][4]`"}),
    "bit-field": (
        "int a:3; int b:4;",
        "int a:4; int b:4;",
        {"`a` has 3 bits, now 4 bits", "`b` moved from 0, bit 3 to 0, bit 4"},
    ),
    "in a union without a name": (
        "union { int a; struct { short b, c; }; };",
        "union { int a; struct { short b, d, c; }; };",
        {"size 4 -> 8", "gained `d` at 2", "`c` moved from 2 to 4"},
    ),
    "in a struct without a tag": ("struct { int a; } x;", "struct { int b; } x;", {"`x.a` is called `x.b`"}),
    "behind a pointer": ("struct p *a;", "struct q *a;", {"`a` was `struct p *`, is `struct q *`"}),
    "parameters of a callback": (
        "int (*f)(int);",
        "int (*f)(int, long);",
        {"`f`: takes 2 parameters, took 1"},
    ),
    "a parameter of a callback": (
        "int (*f)(int);",
        "int (*f)(long);",
        {"`f(1)` was `int`, is `long int`"},
    ),
    "what a callback returns": ("int (*f)(void);", "void (*f)(void);", {"`f()` was `int`, is `void`"}),
    "pointer to number": ("long a;", "void *a;", {"`a` was `long int`, is `void *`"}),
}
SAME = {
    "cycle": "struct s *next; struct t *up; struct { struct s *first; } list;",
    "parameter names": "int (*f)(int name);",
    "flexible array": "int n; char a[];",
    "everything": (
        "int a:3, b:5; union { long c; char d[8]; }; enum e x; struct t *t; int (*f)(struct s *, ...); char g[2][3];"
    ),
}
AROUND = "struct t {{ struct s *s; }}; enum e {{ E1, E2 = 7 }}; struct s {{ {} }}; struct s *s; struct t *t; enum e e;"


def words(old: str, new: str, place: Path, tag: str = "s", keyword: str = "struct") -> dict[str, Weight]:
    """The differences of two types of one name."""
    views = [view_of(compiled(text, place, name)) for name, text in (("old", old), ("new", new))]
    numbers = [view.described[keyword, tag][0].offset for view in views]
    local = Comparer(views[0].graph, views[1].graph).compare(*numbers)
    return {each.words: each.weight for each in local.differences}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_struct_is_told_by_what_changed(case: str, tmp_path: Path) -> None:
    old, new, expected = CHANGES[case]
    found = words(AROUND.format(old), AROUND.format(new), tmp_path)
    assert {text for text, weight in found.items() if weight in (Weight.LAYOUT, Weight.TYPE, Weight.NAME)} == expected


@pytest.mark.parametrize("case", SAME)
def test_a_struct_is_the_same_as_itself(case: str, tmp_path: Path) -> None:
    text = AROUND.format(SAME[case])
    assert not words(text, text, tmp_path)


def test_many_members_that_move_alike_are_told_once(tmp_path: Path) -> None:
    found = words("struct s { int a, b, c; } s;", "struct s { int x, a, b, c; } s;", tmp_path)
    assert "3 members from `a` on moved by +4, the first from 0 to 4" in found


def test_values_of_an_enum_are_compared(tmp_path: Path) -> None:
    old, new = "enum e { A, B, C = -1 } e;", "enum e { A, X, B, C = -1 } e;"
    assert words(old, new, tmp_path, "e", "enum").keys() == {"gained the value X = 1", "B was 1, is 2"}


def test_another_typedef_is_a_matter_of_spelling(tmp_path: Path) -> None:
    text = "typedef unsigned a_t; typedef unsigned b_t; struct s {{ {} x; }} s;"
    found = words(text.format("a_t"), text.format("b_t"), tmp_path)
    assert found == {"`x` was `a_t`, is `b_t`": Weight.SPELLING}


def test_a_type_that_is_only_declared_in_one_is_told_apart_from_a_change(tmp_path: Path) -> None:
    text = "struct t; struct s { struct t *t; } s;"
    found = words(text, f"struct t {{ int a; }}; {text}", tmp_path)
    assert found == {"struct t is complete in the new kernel, and only declared in the other": Weight.VISIBILITY}


def way(old: str, new: str, place: Path, function: str = "f") -> Way | None:
    """The shortest way from a declared function to a change in the types themselves."""
    views = [view_of(compiled(text, place, name)) for name, text in (("old", old), ("new", new))]
    changed = ChangedTypes(views[0].graph, views[1].graph)
    root = changed.add(*(view.imports[function] for view in views))
    return changed.shortest(root, hard=True)


CHAIN = """
struct far {{ {} }};
struct mid {{ struct mid *self; struct far *far; }};
struct near {{ struct mid *mid; struct other *other; }};
struct other {{ struct near *back; struct {{ struct mid *mid[2]; }} deep; }};
int f(int n, struct near *p, ...); int g(struct far by_value); int k(int (*callback)(struct mid *));
int call(struct near *p, struct far *q) {{ return f(1, p) + g(*q) + k(0); }}
"""


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("f", "parameter 2 -> struct near -> .mid -> struct mid -> .far -> struct far"),
        ("g", "parameter 1 -> struct far"),
        ("k", "parameter 1(1) -> struct mid -> .far -> struct far"),
    ],
)
def test_the_shortest_way_leads_from_the_signature_to_the_changed_type(
    function: str, expected: str, tmp_path: Path
) -> None:
    found = way(CHAIN.format("int a;"), CHAIN.format("int a, b;"), tmp_path, function)
    assert found is not None
    assert way_words(found) == expected
    assert {each.words for each in found.differences} == {"size 4 -> 8", "gained `b` at 4"}


def test_no_way_leads_anywhere_in_types_with_cycles_that_are_the_same(tmp_path: Path) -> None:
    assert way(CHAIN.format("int a;"), CHAIN.format("int a;"), tmp_path) is None


def test_a_changed_signature_is_no_way_at_all(tmp_path: Path) -> None:
    text = "{} f(int); int g(void) {{ return !!f(1); }}"
    found = way(text.format("int"), text.format("long"), tmp_path)
    assert found is not None
    assert (found.steps, [each.words for each in found.differences]) == (
        (),
        ["`return value` was `int`, is `long int`"],
    )


def test_a_type_says_which_type_in_it_changed(tmp_path: Path) -> None:
    text = (
        "struct in {{ {} }}; struct out {{ struct in in; int last; }};"
        "int f(struct out *); int g(void) {{ return f(0); }}"
    )
    found = way(text.format("int a;"), text.format("int a, b;"), tmp_path)
    assert found is not None
    assert (found.title, found.within) == ("struct out", ("struct in",))


@pytest.mark.parametrize(
    "declaration",
    ["int (*x)(struct s *, ...)", "const char *x", "char *const x", "struct s *(*x[3])(void)", "int x[2]"],
)
def test_a_type_is_spelled_as_c_declares_it(declaration: str, tmp_path: Path) -> None:
    view = view_of(compiled(f"struct s {{ {declaration}; }} s;", tmp_path))
    member = view.graph.at(view.described["struct", "s"][0].offset).parts[0]
    text = spelled(view.graph, member.type)
    again = view_of(compiled(f"typedef __typeof__({text}) t; struct s {{ t x; }} s;", tmp_path, "again"))
    other = again.graph.at(again.graph.at(again.described["struct", "s"][0].offset).parts[0].type).target
    assert text == spelled(again.graph, other)
    assert not Comparer(view.graph, again.graph).compare(member.type, other).hard


class EndlessTypes:
    """Types that no compiler makes: a struct in itself, a typedef of itself, functions that take themselves."""

    TYPES: ClassVar = {
        0: VOID,
        1: Type(Form.STRUCT, "s", 8, parts=tuple(TypePart("", 2) for _ in range(50))),
        2: Type(Form.STRUCT, "", 8, parts=tuple(TypePart("", 2) for _ in range(50)), keyword="struct"),
        3: Type(Form.ALIAS, "t", target=3, keyword="typedef"),
        4: Type(Form.STRUCT, "u", 8, parts=(TypePart("m", 3),)),
        5: Type(Form.FUNCTION, parts=tuple(TypePart("", 6) for _ in range(50))),
        6: Type(Form.POINTER, target=5),
        7: Type(Form.POINTER, target=7),
    }

    def at(self, number: int) -> Type:
        return self.TYPES[number]

    def real(self, number: int) -> tuple[int, tuple[str, ...]]:
        return follow(self, number)


@pytest.mark.parametrize("number", [1, 4, 5, 7])
def test_types_without_an_end_are_compared_in_an_instant_and_never_called_the_same(number: int) -> None:
    types = EndlessTypes()
    began = time.monotonic()
    found = Comparer(types, types).compare(number, number)
    # (of the struct in itself nothing is left out: what lies deeper is a pair of its own)
    assert found.hard or found.edges
    assert spelled(types, number)
    assert time.monotonic() - began < 5


def test_damaged_btf_is_an_error() -> None:
    sound = drafted([["", info(Kind.INT), 4, 32], ["s", info(Kind.STRUCT, 2), 8, "a", 1, 0, "b", 1, 32]])
    types = read_types(memoryview(sound.types[:-4]), sound.strings, (6, 1))
    graph = BtfGraph(types)
    [number] = graph.named("struct", "s")
    with pytest.raises(KbuildError, match="is damaged: type 2 is cut off"):
        graph.at(number)
