"""Asks what Kbuild would do for one module directory (`mk/directory.mk`), and remembers the answer.

The counterpart is scripts/Makefile.build. It runs under `make -n -B`: nothing is executed, everything is
named. An answer takes 10 to 60 ms; remembering it saves a no-op build that time and the start of make.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path, PurePath

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.answer import TreeAnswer
from kbuildpy.kbuild.overlay import Overlay, entry
from kbuildpy.kbuild.plan import ModulePlan, ObjectPlan, Plan, Step, plan_from_json, plan_to_json
from kbuildpy.kbuild.question import (
    check_directory_name,
    check_kbuild_file,
    check_pattern,
    digest,
    environment_key,
    make_failed,
    stamps,
)
from kbuildpy.kbuild.records import MAKEFILES, read_records
from kbuildpy.kernel.cache import read_json, write_json
from kbuildpy.run import run

# Rules whose commands are carried out here; a Kbuild file that needs any other has rules for make to run.
COMPILE_RULES = frozenset({"cc_o_c", "as_o_S"})
AFTER_COMPILE_RULES = frozenset(
    {
        "check_local_export",
        "checkdoc",
        "checksrc",
        "force_checksrc",
        "gen_ksymdeps",
        "gen_objtooldep",
        "gen_symversions_S",
        "gen_symversions_c",
        "modversions_S",
        "modversions_c",
        "objtool",
        "record_mcount",
        "undefined_syms",
        "warn_shared_object",
    }
)
LINK_RULES = frozenset({"ld_multi_m", "link_multi-m"})
_LIST_RULES = frozenset({"mod", "modules_order", "gen_order"})
NATIVE_RULES = COMPILE_RULES | AFTER_COMPILE_RULES | LINK_RULES | _LIST_RULES

_SOURCE_NAME = re.compile(r"(\.(c|S|rs|mk|h)|_shipped|^Kbuild.*|^Makefile.*)$")
# A Kbuild file that asks the shell or the file system can change its mind without changing its text.
_ASKS = re.compile(rb"\$[({]\s*(shell|wildcard|realpath|file)\b|!=|^\s*(-include|sinclude)\b", re.MULTILINE)

_PRINTS_DOT = re.compile(r'print\("\./')  # scripts/Makefile.build: cmd_mod

_NO_SOURCE = re.compile(r"No rule to make target '(.*)\.o', needed by")
_WORD_ENDS = re.compile(r"[\s'\";,=()<>|&`]+")


def ask_directory(
    answer: TreeAnswer,
    directory: Path,
    *,
    environ: Mapping[str, str],
    below: str = "",
    cache: Path | None = None,
    kbuild_file: Path | None = None,
    coming_sources: Iterable[str] = (),
    overlay: Overlay | None = None,
) -> Plan:
    """What Kbuild would do for `directory` (absolute, physical), or for its subdirectory `below` alone.

    `cache` is a file to remember the answer in, unless it is changeable; `kbuild_file` stands in for the directory's
    own Kbuild file; `coming_sources` name sources that will exist when they are needed. What the Kbuild file writes
    while it is read is written in `overlay`, or else among the sources. Raises `OverlayRefused`, `UsageError` for a
    directory that Kbuild cannot build in, and `KbuildError` with make's message, file and line for a Kbuild file
    that make refuses or a source that is missing.
    """
    check_directory_name(directory)
    if not answer.in_directory:
        check_pattern(directory)
    coming = tuple(coming_sources)
    if kbuild_file is None:
        check_kbuild_file(directory)
    key = _key(answer, directory, environ=environ, below=below, kbuild_file=kbuild_file, coming=coming)
    if cache is not None:
        known = _remembered(cache, key, overlay)
        if known is not None:
            return known
    plan = _ask(
        answer, directory, environ=environ, below=below, kbuild_file=kbuild_file, coming=coming, overlay=overlay
    )
    if cache is not None and not plan.changeable:
        makefiles = [_find(overlay, name) for name in plan.makefiles]
        listing = _listing(plan, overlay)
        value = {"key": key, "stamps": stamps(makefiles), "listing": listing, "plan": plan_to_json(plan)}
        write_json(cache, value)
    return plan


def remembered_plan(answer: TreeAnswer, directory: Path, *, environ: Mapping[str, str], cache: Path) -> Plan | None:
    """What `ask_directory` remembers in `cache` of its answer for `directory`; None if it would ask."""
    return _remembered(cache, _key(answer, directory, environ=environ), None)


def _key(
    answer: TreeAnswer,
    directory: Path,
    *,
    environ: Mapping[str, str],
    below: str = "",
    kbuild_file: Path | None = None,
    coming: tuple[str, ...] = (),
) -> str:
    question = (answer.variables, str(directory), environment_key(environ), str(kbuild_file), coming, below)
    return digest(answer.identity, answer.state, question)


def _remembered(cache: Path, key: str, overlay: Overlay | None) -> Plan | None:
    value = read_json(cache)
    if not isinstance(value, dict) or value.get("key") != key:
        return None
    try:
        if value["plan"]["changeable"]:
            return None
        same = {name: list(seen) for name, seen in stamps(value["stamps"]).items()} == value["stamps"]
        plan = plan_from_json(value["plan"])
        if not same or _listing(plan, overlay) != value["listing"]:
            return None
    except (KeyError, TypeError):
        return None
    return plan


def _find(overlay: Overlay | None, path: str) -> str:
    return overlay.find(path) if overlay else path


def _listing(plan: Plan, overlay: Overlay | None) -> str:
    """A digest of the names that make's rules choose among, in every directory that the plan looked into."""
    names = []
    for folder in plan.listed:
        found: set[str] = set()
        for place in overlay.folders(folder) if overlay else [folder]:
            with suppress(OSError), os.scandir(place) as items:
                found.update(item.name for item in items if _SOURCE_NAME.search(item.name))
        names.append(sorted(found))
    return digest(plan.listed, names)


def _ask(
    answer: TreeAnswer,
    directory: Path,
    *,
    environ: Mapping[str, str],
    below: str,
    kbuild_file: Path | None,
    coming: tuple[str, ...],
    overlay: Overlay | None,
) -> Plan:
    cwd = answer.working_directory(str(directory))
    begin = entry(overlay, cwd) if overlay else None
    obj = (below or ".") if answer.in_directory else str(directory / below)
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        records = Path(scratch) / "records"
        env = answer.environment_for(environ, str(directory))
        env |= {"KBUILDPY_MK": str(MAKEFILES), "KBUILDPY_RECORDS": str(records), "KBUILDPY_SOURCES": " ".join(coming)}
        if kbuild_file is not None:
            env["KBUILDPY_KBUILD_FILE"] = str(kbuild_file)
        argv = ["make", "-n", "-B", "-f", str(MAKEFILES / "directory.mk"), f"obj={obj}", "need-builtin="]
        done = run([*argv, "need-modorder=1"], cwd=cwd, env=env, check=False, begin=begin)
        written = Path(_find(overlay, str(records)))
        text = written.read_text(errors="surrogateescape") if written.exists() else ""
    if done.returncode != 0:
        said = "what the SConstruct declares" if kbuild_file else "the Kbuild file"
        hint = _missing_source_hint(done.error_text, cwd, said)
        raise make_failed(f"{directory}: make refuses {said}", done.error_text, hint=hint)
    blocks = list(read_records(text))
    return _plan(answer, directory, blocks=blocks, raw=done.text, warnings=done.error_text, obj=obj, overlay=overlay)


def _missing_source_hint(stderr: str, cwd: str, said: str) -> str:
    missing = _NO_SOURCE.search(stderr)
    if not missing:
        return ""
    from kbuildpy.similar import similar_file

    meant = similar_file(Path(cwd, f"{missing.group(1)}.c"), (".c", ".S", "_shipped"))
    return f"is {missing.group(1)}.c missing, or misspelled in {said}? {meant}".rstrip()


def _plan(
    answer: TreeAnswer,
    directory: Path,
    *,
    blocks: list[dict[str, str]],
    raw: str,
    warnings: str,
    obj: str,
    overlay: Overlay | None,
) -> Plan:
    cwd = answer.working_directory(str(directory))
    by_target: dict[str, list[dict[str, str]]] = {}
    for block in blocks:
        if "rule" in block:
            by_target.setdefault(block["target"], []).append(block)
    top = next((block for block in blocks if "directory" in block), {})
    wanted = [name for block in blocks if "directory" in block for name in block["modules"].split()]
    # (make says `modules.order` for `./modules.order`.)
    orders = _orders(by_target, "modules.order" if obj == "." else f"{obj}/modules.order")
    modules = tuple(_module(target, by_target, cwd) for target in _in_order(dict.fromkeys(wanted), orders[0][1]))
    _refuse_two_of_one_name(modules, directory)
    names = dict.fromkeys(name for module in modules for name in module.objects)
    objects = tuple(_object(name, by_target, directory=directory, cwd=cwd, overlay=overlay) for name in names)
    makefiles = _own_makefiles(answer, blocks, cwd)
    known = {target for module in modules for target in module.objects} | {module.target for module in modules}
    recipes = _raw_recipes(raw)
    foreign = [
        block
        for block in blocks
        if "rule" in block
        and block["rule"] not in NATIVE_RULES
        and not (block["rule"] == "copy" and block["target"] in known)
    ]
    folders = {str(directory)} | {str(Path(cwd, obj.source).parent) for obj in objects if obj.source}
    return Plan(
        directory=str(directory),
        modules=modules,
        objects=objects,
        orders=orders,
        extra_symbols=tuple(top.get("extra-symbols", "").split()),
        makefiles=tuple(sorted(makefiles)),
        listed=tuple(sorted(folders)),
        warnings=warnings,
        custom=bool(recipes or foreign),
        needed=_needed(by_target, foreign, recipes),
        changeable=any(_asks(_find(overlay, name)) for name in makefiles),
    )


def _step(block: Mapping[str, str]) -> Step:
    return Step(block["rule"], block["quiet"], block["command"])


def _module(target: str, by_target: Mapping[str, list[dict[str, str]]], cwd: str) -> ModulePlan:
    links = [block for block in by_target.get(target, ()) if block["rule"] in LINK_RULES]
    # (make leaves out the "./" of a target, the command that writes the .mod file does not)
    lists = by_target.get(f"{target.removesuffix('.o')}.mod", ())
    prefix = "./" if any(_PRINTS_DOT.search(block["command"]) for block in lists) else ""
    if not links:
        return ModulePlan(target, (), (), prefix)
    parts = tuple(word for word in links[0]["needs"].split() if not word.endswith(".mod"))
    rest = [block for block in by_target[target] if block["rule"] in LINK_RULES | AFTER_COMPILE_RULES]
    return ModulePlan(target, parts, tuple(map(_step, rest)), prefix)


def _object(
    target: str,
    by_target: Mapping[str, list[dict[str, str]]],
    *,
    directory: Path,
    cwd: str,
    overlay: Overlay | None,
) -> ObjectPlan:
    blocks = [block for block in by_target.get(target, ()) if block["rule"] in COMPILE_RULES | {"copy"}]
    if blocks:
        after = [block for block in by_target[target] if block["rule"] in AFTER_COMPILE_RULES]
        return ObjectPlan(target, blocks[0]["source"], tuple(map(_step, [blocks[0], *after])))
    path = Path(os.path.normpath(Path(cwd, target)))
    if Path(_find(overlay, f"{path}_shipped")).is_file():
        return ObjectPlan(target, f"{target}_shipped", (Step("copy", f"COPY    {target}", ""),))
    if Path(_find(overlay, str(path))).is_file():
        return ObjectPlan(target, target, ())  # an object that came with the sources
    others = {block["rule"] for block in by_target.get(target, ())}
    if "rustc_o_rs" in others:
        raise KbuildError(
            f"{directory}: {path.stem}.rs: modules in Rust are not supported",
            hint="build this module with make -C KDIR M=DIR modules",
        )
    if others:
        return ObjectPlan(target, "", ())  # a rule of the Kbuild file's own makes it
    return ObjectPlan(target, "", ())


def _refuse_two_of_one_name(modules: tuple[ModulePlan, ...], directory: Path) -> None:
    """Two modules of one name cannot both be loaded (scripts/modules-check.sh; its words)."""
    by_name: dict[str, list[str]] = {}
    for module in modules:
        by_name.setdefault(Path(module.name).name, []).append(f"{module.name}.ko")
    for name, found in by_name.items():
        if len(found) > 1:
            raise KbuildError(
                "the following would cause module name conflict:\n  " + "\n  ".join(found),
                hint=f"rename one of the modules called {name} in {directory}",
            )


def _orders(by_target: Mapping[str, list[dict[str, str]]], top: str) -> tuple[tuple[str, str], ...]:
    """Every modules.order with its text, as the recipes would write it: `echo NAME` and `cat FILE`."""

    def lines(target: str) -> list[str]:
        found: list[str] = []
        for block in by_target.get(target, ()):
            if block["rule"] not in ("modules_order", "gen_order"):
                continue
            words = shlex.split(block["command"].replace(";", " ; "))
            for verb, name in pairwise(words):
                if verb == "echo":
                    found.append(name)
                elif verb == "cat":
                    found.extend(lines(name))
        return found

    nested = [target for target in by_target if target.endswith("/modules.order") and target != top]
    return tuple((target, "".join(f"{name}\n" for name in lines(target))) for target in (top, *nested))


def _in_order(targets: Iterable[str], order: str) -> list[str]:
    """Module objects as modules.order has them, which modpost reads: a subdirectory's stand where it is descended to,
    not after the directory's own."""
    names = dict.fromkeys(PurePath(name).with_suffix("") for name in order.split("\n") if name)
    place = {name: number for number, name in enumerate(names)}
    return sorted(targets, key=lambda target: place.get(PurePath(target).with_suffix(""), len(place)))


def _own_makefiles(answer: TreeAnswer, blocks: list[dict[str, str]], cwd: str) -> set[str]:
    found = {
        os.path.normpath(Path(cwd, name))
        for block in blocks
        if "makefiles" in block
        for name in block["makefiles"].split()
    }
    outside = (str(MAKEFILES) + "/", f"{answer.tree.source}/", f"{answer.tree.objects}/")
    return {name for name in found if not name.startswith(outside)}


def _asks(makefile: str) -> bool:
    try:
        return _ASKS.search(Path(makefile).read_bytes()) is not None
    except OSError:
        return True


def _raw_recipes(raw: str) -> list[str]:
    """The commands that make printed and that are neither ours (`:`) nor a descent into a subdirectory."""
    descending = False
    found = []
    for line in raw.splitlines():
        text = line.strip()
        if descending or ("directory.mk obj=" in text and text.startswith(("make", "/", "gmake"))):
            descending = text.endswith("\\")
        elif text not in ("", ":", "@:") and not text.startswith(("make: ", "make[")):
            found.append(text)
    return found


def _needed(
    by_target: Mapping[str, list[dict[str, str]]], foreign: Iterable[Mapping[str, str]], recipes: Iterable[str]
) -> tuple[str, ...]:
    """What make must make by Kbuild's rules because rules of the Kbuild file's own read it."""
    waiting = [word for block in foreign for word in block["needs"].split()]
    waiting += [word for recipe in recipes for word in _WORD_ENDS.split(recipe)]
    found: dict[str, None] = {}
    while waiting:
        word = waiting.pop()
        blocks = by_target.get(word, [])
        if word not in found and any(block["rule"] in NATIVE_RULES for block in blocks):
            found[word] = None
            waiting += [need for block in blocks for need in block["needs"].split()]
    return tuple(sorted(found))
