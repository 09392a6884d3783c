# SPDX-License-Identifier: GPL-2.0-only
"""The help below a compiler's errors. The oracle is the compiler: a source that is changed as the help says builds."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from kbuildpy.advice.compiler_messages import MissingName, missing_names
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import build_both, complaints
from tests.support.kernel_trees import newest_tree_first, tree_of, tree_of_release, usual_tree
from tests.support.packages import newer_kernel, other_compiler
from tests.support.planted import Helped, build_planted, places_of, plant

pytestmark = pytest.mark.parity

HEAD = "#include <linux/module.h>\n"
TAIL = 'MODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("x");\n'
_INCLUDE = re.compile(r"#include <[\w/.-]+>")


def module(body: str, *includes: str) -> str:
    """A module of one function, whose statements are `body`."""
    lines = "".join(f"#include <{name}>\n" for name in includes)
    return f"{HEAD}{lines}int begin(void);\nint begin(void)\n{{\n{body}\n\treturn 0;\n}}\n{TAIL}"


def take_similar(text: str, help: dict[str, Any]) -> str:
    """The source with the name that may be meant."""
    wrong = help["subject"]
    wrong = wrong if wrong.endswith(".h") else wrong.rpartition(".")[2]
    return re.sub(rf"\b{re.escape(wrong)}\b", help["similar"][0], text)


def take_include(text: str, help: dict[str, Any]) -> str:
    """The source with the header that the help names: in place of one that is not found, or besides the others."""
    line = _INCLUDE.search(help["text"][0])
    assert line
    missing = f"#include <{help['subject']}>"
    return text.replace(missing, line[0]) if missing in text else text.replace(HEAD, f"{HEAD}{line[0]}\n")


Change = Callable[[str, dict[str, Any]], str]
# Each source with the name that the help is about, and the change that it suggests.
SUGGESTED: dict[str, tuple[str, str, Change]] = {
    "misspelt": (module("	msleeep(1); /* @misspelt */", "linux/delay.h"), "msleeep", take_similar),
    "moved": (module("\tdelete_timer_sync(NULL); /* @moved */", "linux/timer.h"), "delete_timer_sync", take_similar),
    "unseen": (module("	vfree(vmalloc(2)); /* @unseen */"), "vmalloc", take_include),
    "exported": (module("\tregister_netdev(NULL); /* @exported */"), "register_netdev", take_include),
    "constant": (module("\tset_current_state(TASK_RUNING); /* @constant */"), "TASK_RUNING", take_similar),
    "type": (module("\tstruct sk_buff skb; /* @type */\n\tskb.len = 1;\n\t(void)skb;"), "sk_buff", take_include),
    "member": (
        module("\tstruct timer_list *t = NULL;\n\tt->expire = 1; /* @member */", "linux/timer.h"),
        "struct timer_list.expire",
        take_similar,
    ),
    "header": (f"{HEAD}#include <linux/kthreads.h> /* @header */\n{TAIL}", "linux/kthreads.h", take_similar),
    "elsewhere": (f"{HEAD}#include <linux/old/smp.h> /* @elsewhere */\n{TAIL}", "linux/old/smp.h", take_include),
}


@pytest.mark.parametrize("release", newest_tree_first())
def test_what_it_suggests_builds(release: str, tmp_path: Path) -> None:
    tree = tree_of_release(release)
    names = {name: f"{name}.c" for name in SUGGESTED}
    files = {names[name]: text for name, (text, _, _) in SUGGESTED.items()}
    marks = plant(tmp_path, {"Kbuild": f"obj-m := {' '.join(f'{name}.o' for name in names)}\n", **files})
    found = build_planted(tree, tmp_path)
    assert found.status == 1
    for name, (text, subject, change) in SUGGESTED.items():
        help = found.about(subject)
        assert help["files"] == [f"{name}.o"]
        assert places_of(help) == [marks[name]]
        (tmp_path / names[name]).write_text(change(text, help))
    again = build_planted(tree, tmp_path)
    assert again.status == 0, again.output


INTERFACE = {
    "struct class.owner": module("\tstruct class *c = NULL;\n\tc->owner = NULL;", "linux/device.h"),
    "class_create": module('\tclass_create(THIS_MODULE, "x");', "linux/device.h"),
    "strlcpy": module('\tchar text[4];\n\tstrlcpy(text, "x", 4);', "linux/string.h"),
    "struct platform_driver.remove": (
        f"{HEAD}#include <linux/platform_device.h>\n"
        "static int end(struct platform_device *device) { return 0; }\n"
        f"static struct platform_driver driver = {{ .remove = end }};\nmodule_platform_driver(driver);\n{TAIL}"
    ),
    "blk_crypto_init_key": module("\tblk_crypto_init_key(NULL);", "linux/blk-crypto.h"),
    "struct task_struct.css_set_rarely": module("\tcurrent->css_set_rarely = NULL;", "linux/sched.h"),
    "struct task_struct.kmsan_ctx": module("\tcurrent->kmsan_ctx.depth = 1;", "linux/sched.h"),
    # (the last variable of that name is of a struct that has such a member in 6.1 only)
    "nothing": (
        f"{HEAD}#include <linux/device.h>\nstruct mine {{ int (*owner)(int); }};\nint wrong(char *text);\n"
        "int begin(void);\nint begin(void)\n{\n\tstruct mine it = { .owner = wrong };\n\treturn it.owner(1);\n}\n"
        f"struct class it;\n{TAIL}"
    ),
}


def build_interface(tree: KernelTree, place: Path, sources: dict[str, str]) -> Helped:
    """Each source, built as a module of its own."""
    files = {f"m{number}.c": text for number, text in enumerate(sources.values())}
    plant(place, {"Kbuild": f"obj-m := {' '.join(name.replace('.c', '.o') for name in files)}\n", **files})
    return build_planted(tree, place)


def test_tells_what_the_interface_was_and_is(tmp_path: Path) -> None:
    """Between 6.1 and 6.12 these changed; each statement is looked up in the header's line that it names."""
    older, newer = tree_of("6.1"), tree_of("6.12")
    for attempt in range(3):
        found = build_interface(newer, tmp_path / str(attempt), INTERFACE)
        # (what is not found within three seconds is not told: a busy machine may take longer)
        if "strscpy" in found.about("strlcpy")["similar"]:
            break
    assert found.status == 1
    for subject in ("struct class.owner", "class_create", "strlcpy", "struct platform_driver.remove"):
        assert found.about(subject)["kernels"] == [older.release], subject
    silent = f"m{list(INTERFACE).index('nothing')}.o"
    assert f"{silent}] {silent}: the compiler failed" in found.output
    assert "Traceback" not in found.output
    assert silent not in {file for help in found.help for file in help["files"]}
    for help in found.help:
        for text in help["text"]:
            assert_in_header(text, older if older.release in text else newer)
    assert found.about("class_create")["text"] == [
        "here it is include/linux/device/class.h:{}: struct class *__must_check class_create(const char *name)".format(
            line_of(newer, "include/linux/device/class.h", "struct class * __must_check class_create")
        ),
        found.about("class_create")["text"][1],
    ]
    assert "#define class_create(owner, name)" in found.about("class_create")["text"][1]
    assert "strscpy" in found.about("strlcpy")["similar"]
    before, after = found.about("struct platform_driver.remove")["text"]
    assert before.endswith("void (*remove)(struct platform_device *)")
    assert after.endswith("int (*remove)(struct platform_device *)")
    assert found.about("blk_crypto_init_key")["configs"] == ["CONFIG_BLK_INLINE_ENCRYPTION"]
    assert found.about("struct task_struct.kmsan_ctx")["configs"] == ["CONFIG_KMSAN"]
    assert not {"CONFIG_KMSAN", "CONFIG_BLK_INLINE_ENCRYPTION"} & newer.config.keys()


def assert_in_header(text: str, tree: KernelTree) -> None:
    """The line of a header that `text` names has what is said about it."""
    match = re.search(r"((?:include|arch)/\S+\.h):(\d+)(.*)", text)
    if match is None or "members begin at" in text:
        return
    lines = (tree.source / match[1]).read_text(errors="replace").splitlines()
    name = re.findall(r"\(\*(\w+)\)\(|(\w+)\(|(\w+)$", match[3])
    words = {word for found in name for word in found if word}
    said = lines[int(match[2]) - 1]
    assert "declares it" in text or "has it only" in text or any(word in said for word in words), text


def line_of(tree: KernelTree, file: str, beginning: str) -> int:
    """The line of a header that begins with `beginning`."""
    lines = (tree.source / file).read_text().splitlines()
    [number] = [number for number, line in enumerate(lines, 1) if line.startswith(beginning)]
    return number


@pytest.mark.sweep
def test_tells_the_new_name_of_a_function_by_the_wrapper_of_an_older_kernel(tmp_path: Path) -> None:
    """On 7.3 `del_timer_sync` and `from_timer` are gone; 6.12 has them as wrappers, or under the same text."""
    tree, _ = newer_kernel()
    sources = {
        "del_timer_sync": module("\tdel_timer_sync(NULL);", "linux/timer.h"),
        "from_timer": (
            f"{HEAD}#include <linux/timer.h>\nstruct outer {{ struct timer_list t; int n; }};\n"
            "static void called(struct timer_list *t)\n{\n"
            "\tstruct outer *outer = from_timer(outer, t, t);\n\touter->n = 1;\n}\n"
            "void begin(struct outer *o);\nvoid begin(struct outer *o)\n{\n"
            f"\ttimer_setup(&o->t, called, 0);\n}}\n{TAIL}"
        ),
    }
    found = build_interface(tree, tmp_path, sources)
    assert found.about("del_timer_sync")["similar"][0] == "timer_delete_sync"
    assert found.about("from_timer")["similar"][0] == "timer_container_of"
    for number, (subject, text) in enumerate(sources.items()):
        (tmp_path / f"m{number}.c").write_text(take_similar(text, found.about(subject)))
    again = build_planted(tree, tmp_path)
    assert again.status == 0, again.output


@pytest.mark.parametrize("place", ["inc/deep/own.h", "inc/deep/own.h in deep", "inc/own.h in old", "own.h in old"])
def test_names_the_folder_of_a_header_of_the_module(place: str, tmp_path: Path) -> None:
    header, _, folder = place.partition(" in ")
    name = f"{folder}/own.h" if folder else "own.h"
    files = {"Kbuild": "obj-m := sub/x.o\n", "sub/x.c": f'{HEAD}#include "{name}"\n{TAIL}', header: "#define OWN 1\n"}
    plant(tmp_path, files)
    found = build_planted(usual_tree(), tmp_path)
    [text] = found.about(name)["text"]
    line = re.search(r"ccflags-y \+= \S+", text)
    assert line
    (tmp_path / "Kbuild").write_text(f"obj-m := sub/x.o\n{line[0]}\n")
    _, renamed, other = text.partition(" finds it as ")
    if renamed:
        (tmp_path / "sub/x.c").write_text(files["sub/x.c"].replace(name, other))
    assert build_planted(usual_tree(), tmp_path).status == 0


COMPILERS = [name for name in ("gcc", "gcc-14", "clang", "clang-14", "clang-19") if shutil.which(name)]
WRONG = {
    ("function", "fun", ""): "int f(void) { return fun(1); }",
    ("arguments", "two", ""): "int two(int a, int b); int f(void) { return two(1); }",
    ("arguments", "one", ""): "int one(int a); int f(void) { return one(1, 2); }",
    ("arguments", "MAC", ""): "#define MAC(a, b) (a)\nint f(void) { return MAC(1); }",
    ("arguments", "MORE", ""): "#define MORE(a) (a)\nint f(void) { return MORE(1, 2); }",
    ("name", "CONST", ""): "int f(void) { return CONST; }",
    ("name", "OUTER", ""): "int f = OUTER;",
    ("type", "own_t", ""): "own_t f(void);",
    ("type", "tag", ""): "struct tag; int f(struct tag *t) { return t->x; }",
    ("type", "sized", ""): "struct sized; int f(void) { return sizeof(struct sized); }",
    ("member", "y", "tag"): "struct tag { int x; }; int f(struct tag *t) { return t->y; }",
    ("member", "z", "other"): "struct other { int x; }; struct other f = { .z = 1 };",
    ("member", "w", "aliased"): "typedef struct aliased { int x; } own; int f(const own *t) { return t->w; }",
    ("header", "linux/none.h", ""): "#include <linux/none.h>\nint f;",
}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_recognises_the_messages_of_a_compiler(compiler: str, tmp_path: Path) -> None:
    options = ["-std=gnu11", "-Werror=implicit-function-declaration", "-fsyntax-only", "-fdiagnostics-color=never"]
    for (kind, name, of), text in WRONG.items():
        (tmp_path / "x.c").write_text(f"{text}\n")
        done = run([compiler, *options, "x.c"], check=False, cwd=tmp_path, env={**os.environ, "LC_ALL": "C"})
        assert done.returncode != 0
        found = missing_names(done.error_text)
        line = len(text.splitlines()) if kind != "header" else 1
        assert found == [MissingName(kind, name, "x.c", line, of)], done.error_text


def test_recognises_what_gcc_says_of_callbacks_and_variables(tmp_path: Path) -> None:
    text = (
        "struct ops { int (*end)(int); }; void wrong(int *p);\nstruct ops mine = { .end = wrong };\n"
        "struct gone;\nvoid f(void)\n{\n\tstruct gone g;\n}\n"
        "struct outer { struct ops ops; };\nstruct outer nested = { .ops.end = wrong };\n"
        "struct ops many[2] = {\n{ .end = wrong } };\n"
    )
    (tmp_path / "x.c").write_text(text)
    options = ["-Werror=incompatible-pointer-types", "-fsyntax-only"]
    done = run(["gcc", *options, "x.c"], check=False, cwd=tmp_path, env={**os.environ, "LC_ALL": "C"})
    assert missing_names(done.error_text) == [
        MissingName("callback", "end", "x.c", 2, "mine"),
        MissingName("storage", "g", "x.c", 6),
        # (of a nested one, the struct would have to be found first)
        MissingName("callback", "end", "x.c", 11, "many"),
    ]


def test_says_the_same_words_as_make_and_nothing_where_nothing_is_known(tmp_path: Path) -> None:
    files = {
        "Kbuild": "obj-m := x.o y.o\n",
        "x.c": module("\tqqqqq_wwwww_zzzzz(1);\n\treturn 1 +;"),
        "y.c": f"{HEAD}#error not here\n{TAIL}",
    }

    def lay_out(place: Path) -> None:
        plant(place, files)

    [(oracle, ours)] = build_both(usual_tree(), lay_out, tmp_path / "x")
    assert oracle.status != 0
    assert ours.status == 1
    assert set(complaints(ours)) <= set(complaints(oracle))
    assert "kbuildpy: help: " not in ours.output


def test_tells_as_much_in_a_language_of_the_user(tmp_path: Path) -> None:
    """The second run of the compiler speaks English; what the user saw stays as it was."""
    plant(tmp_path, {"Kbuild": "obj-m := x.o\n", "x.c": module("\tmsleeep(1);", "linux/delay.h")})
    with mock.patch.dict(os.environ, {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "GCC_COLORS": "1"}):
        found = build_planted(usual_tree(), tmp_path)
    assert found.about("msleeep")["similar"] == ["msleep"]
    assert other_compiler(usual_tree()) == []
