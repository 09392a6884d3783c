"""Asks a kernel tree what it decides for every external module (`mk/tree.mk`), and remembers the answer.

The counterpart is the top Makefile up to the point where it calls scripts/Makefile.build, Makefile.modpost
and Makefile.modfinal. The surprise: it is asked for a placeholder directory, whose name is replaced in
the answer afterwards, so that one answer serves every module. The placeholder module's name holds a dash,
so that what the tree makes of dashes (`-DKBUILD_MODNAME`) shows in the answer too.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kbuild.plan import Step
from kbuildpy.kbuild.question import Stamp, base_environment, digest, environment_key, make_failed, stamp, stamps
from kbuildpy.kbuild.records import MAKEFILES, read_records
from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel.compiler import cross_variables, package_of_compiler
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run

PLACEHOLDER = "zz-kbuildpy-zz"
_PLACEHOLDER_FIXED = "zz_kbuildpy_zz"
# Up to 5.18 a missing symvers file is told by a rule of its own, which `make -n` shows.
_WARNING = re.compile(r"^echo >&2 '[^']*'$", re.MULTILINE)
# pahole as Kbuild starts it, up to the file; its option for threads; and the feature that makes those harmless.
_PAHOLE = re.compile(r" -J [^;]*?--btf_base ")
_THREADS = re.compile(r"(?<!\S)(?:-j\d*|--jobs(?:=\d+)?)(?:\s+|$)")
_ORDERED = "reproducible_build"
# Programs of the tree's own that decide what an object or a module holds.
_TREE_PROGRAMS = (
    "scripts/gendwarfksyms/gendwarfksyms",
    "scripts/genksyms/genksyms",
    "scripts/gen-btf.sh",
    "scripts/recordmcount",
    "tools/bpf/resolve_btfids/resolve_btfids",
    "tools/objtool/objtool",
)
_FIXDEP = "scripts/basic/fixdep"
# What of a tree an answer depends on, besides its makefiles. (Some architectures' makefiles take a compiler option
# from the offsets.)
_WATCHED = (_FIXDEP, "include/generated/autoconf.h", "include/generated/asm-offsets.h", "Module.symvers", "vmlinux")


@dataclass(frozen=True)
class TreeAnswer:
    """What a tree decides for every external module.

    `placeholder` stands for the module directory in everything below. `environment` is what the top Makefile
    exports (only what differs from the environment it was asked in; None: taken away); `in_directory` says
    that Kbuild runs in the module's directory (since 6.13) and not in the tree's object part; `modpost`,
    `compile_mod_c`, `compile_common`, `link` are its commands after the module objects; `compiler` is the
    version text of the compiler; `programs` the programs that the tree names; `repeats_headers` says that the tree's
    fixdep writes down a header as often as the compiler names it; `warnings` is what the makefiles say to every build
    (another compiler than the kernel's). `identity` names the answer, `state`
    the makefiles and the configuration that were asked: other questions may have other answers in another state.
    """

    tree: KernelTree
    placeholder: str
    environment: Mapping[str, str | None]
    in_directory: bool
    modpost: Step
    compile_mod_c: tuple[Step, ...]
    common_object: str
    common_source: str
    compile_common: tuple[Step, ...]
    link: tuple[Step, ...]
    link_needs: tuple[str, ...]
    compiler: str
    programs: Mapping[str, str]
    makefiles: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    identity: str
    repeats_headers: bool = False
    warnings: str = ""
    state: str = ""

    def working_directory(self, directory: str) -> str:
        """Where Kbuild runs its commands for the module directory `directory`."""
        return directory if self.in_directory else str(self.tree.objects)

    def environment_for(self, environ: Mapping[str, str], directory: str) -> dict[str, str]:
        """The environment in which Kbuild runs its commands for the module directory `directory`.

        PWD names that directory, as when make is called there: Kbuild files use `$(PWD)` in paths.
        """
        env = base_environment(environ, directory)
        for name, value in self.environment.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = value.replace(self.placeholder, directory)
        return env

    def steps_for(self, steps: tuple[Step, ...], *, directory: str, module: str = "") -> tuple[Step, ...]:
        """`steps` of this answer for the module whose path below `directory`, without a suffix, is `module`."""
        folder, _, name = module.rpartition("/")
        fixed = name.replace("-", "_").replace(",", "_")

        def fill(text: str) -> str:
            if module:
                nested = f"{folder}/" if folder else ""
                text = text.replace(f"{self.placeholder}/{PLACEHOLDER}", f"{directory}/{nested}{name}")
                text = text.replace(f"{self.placeholder}/.{PLACEHOLDER}", f"{directory}/{nested}.{name}")
                text = text.replace(f"./.{PLACEHOLDER}", f"./{nested}.{name}")
                text = text.replace(PLACEHOLDER, f"{nested}{name}").replace(_PLACEHOLDER_FIXED, fixed)
                # A depfile's name has no comma (scripts/Kbuild.include: depfile).
                text = text.replace(f"/.{name}.mod.o.d", f"/.{name.replace(',', '_')}.mod.o.d")
            return text.replace(self.placeholder, directory)

        return tuple(Step(step.rule, fill(step.quiet), fill(step.command)) for step in steps)


def ask_tree(
    tree: KernelTree, *, variables: Mapping[str, str], environ: Mapping[str, str], btf_threads: bool = False
) -> TreeAnswer:
    """What `tree` decides under the make variables `variables` (as on make's command line) and `environ`.

    Modules get the BTF that Kbuild makes where KBUILD_BUILD_TIMESTAMP is set, the same every time; with `btf_threads`
    as it makes it otherwise: threads number the types, in the order in which they finish.
    The answer comes from the user's cache while the tree's makefiles, its configuration and the programs
    that it names are what they were. Raises `KbuildError` with make's own message when the tree's makefiles
    fail, or when a compiler that the tree wants is not installed; `UsageError` for an `ARCH` that it is not for.
    """
    given = tuple(sorted({**cross_variables(tree, variables, environ), **variables}.items()))
    key = digest(str(tree.objects), str(tree.source), given, environment_key(environ), own_version(), btf_threads)
    cached = cache_directory() / "trees" / f"{key}.json"
    known = read_json(cached)
    if isinstance(known, dict):
        try:
            valid = known["stamps"] == stamp_lists(known["stamps"])
            if valid:
                return _from_json(tree, known)
        except (KeyError, TypeError, ValueError):
            pass  # written by another version of kbuildpy, or damaged: ask again
    answer = _ask(tree, given, environ, btf_threads=btf_threads)
    value = _to_json(answer if btf_threads else without_btf_threads(answer))
    write_json(cached, value)
    return _from_json(tree, value)


def named_programs(answer: TreeAnswer, environ: Mapping[str, str]) -> dict[str, str]:
    """The programs that commands of this tree may start: as a command names each, and where it is."""
    found = {name: str(answer.tree.objects / name) for name in _TREE_PROGRAMS}
    for command in answer.programs.values():
        for word in command.split():
            path = shutil.which(word, path=environ.get("PATH"))
            if path:
                found[word] = path
    return found


def _ask(
    tree: KernelTree, variables: tuple[tuple[str, str], ...], environ: Mapping[str, str], *, btf_threads: bool
) -> TreeAnswer:
    in_directory = builds_in_directory(tree)
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        placeholder = str(Path(scratch).resolve() / "module")
        records, environment = Path(scratch) / "records", Path(scratch) / "environment"
        make_placeholder(tree, Path(placeholder), in_directory)
        cwd = placeholder if in_directory else str(tree.objects)
        env = base_environment(environ, cwd)
        asked = env | {
            "KBUILDPY_TREE": str(tree.objects),
            "KBUILDPY_MK": str(MAKEFILES),
            "KBUILDPY_RECORDS": str(records),
            "KBUILDPY_ENVIRONMENT": str(environment),
            "KBUILDPY_BTF_THREADS": "1" if btf_threads else "",
        }
        argv = ["make", "--no-print-directory", "-f", str(MAKEFILES / "tree.mk"), "kbuildpy-tree", f"M={placeholder}"]
        done = run([*argv, *(f"{name}={value}" for name, value in variables)], cwd=cwd, env=asked, check=False)
        text = records.read_text(errors="surrogateescape") if records.exists() else ""
        blocks = list(read_records(text))
        facts = next((block for block in blocks if "programs" in block), {})
        programs = _programs(facts.get("programs", ""))
        if done.returncode != 0 or not facts:
            _refuse_missing_compiler(tree, programs, done.error_text, environ)
            raise make_failed(f"{tree.objects}: the kernel tree's makefiles failed", done.error_text)
        _refuse_missing_compiler(tree, programs, "", environ)
        return _answer(
            tree,
            blocks=blocks,
            facts=facts,
            programs=programs,
            placeholder=placeholder,
            exported=environment.read_bytes(),
            notices=_WARNING.findall(done.text),
            asked=asked,
            cwd=cwd,
            in_directory=in_directory,
            variables=variables,
            warnings=_warnings(done.error_text),
        )


def _answer(
    tree: KernelTree,
    *,
    blocks: list[dict[str, str]],
    facts: dict[str, str],
    programs: dict[str, str],
    placeholder: str,
    exported: bytes,
    notices: list[str],
    asked: Mapping[str, str],
    cwd: str,
    in_directory: bool,
    variables: tuple[tuple[str, str], ...],
    warnings: str,
) -> TreeAnswer:
    rules: dict[str, list[dict[str, str]]] = {"post": [], "mod.o": [], "common": [], "ko": []}
    for block in blocks:
        target = block.get("target", "")
        if block.get("rule") == "modpost":
            rules["post"].append(block)
        elif target.endswith(".mod.o"):
            rules["mod.o"].append(block)
        elif target.endswith(".module-common.o"):
            rules["common"].append(block)
        elif target.endswith(".ko"):
            rules["ko"].append(block)
    if not (rules["post"] and rules["mod.o"] and rules["ko"]):
        raise KbuildError(
            f"{tree.objects}: the tree's makefiles did not say how to run modpost or link a module",
            hint="is the tree prepared for external modules? (make modules_prepare)",
        )
    own = f"{placeholder}/"
    needs = tuple(
        str(Path(cwd, word))
        for word in rules["ko"][0]["needs"].split()
        if not word.endswith(".o") and not str(Path(cwd, word)).startswith(own)
    )
    return TreeAnswer(
        tree=tree,
        placeholder=placeholder,
        environment=environment_difference(asked, exported),
        in_directory=in_directory,
        modpost=_step(rules["post"][0] | {"command": "; ".join([*notices, rules["post"][0]["command"]])}),
        compile_mod_c=tuple(map(_step, rules["mod.o"])),
        common_object=rules["common"][0]["target"] if rules["common"] else "",
        common_source=rules["common"][0]["source"] if rules["common"] else "",
        compile_common=tuple(map(_step, rules["common"])),
        link=tuple(map(_step, rules["ko"])),
        link_needs=needs,
        compiler=facts.get("compiler", ""),
        programs=programs,
        makefiles=tuple(str(Path(cwd, name)) for name in facts["makefiles"].split()),
        variables=variables,
        # The placeholder has another name each time.
        identity=digest(
            repr((facts, [sorted(block.items()) for block in blocks])).replace(placeholder, ""),
            stamps(_program_paths(programs, asked)),
        ),
        repeats_headers=_repeats_headers(tree),
        warnings=warnings,
    )


def _repeats_headers(tree: KernelTree) -> bool:
    """Whether the tree's fixdep writes down a header twice that a depfile has twice; where it cannot run (it is another
    machine's) the version tells."""
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        for name, text in (("x.d", "x.o: x.c x.h x.h\n"), ("x.c", ""), ("x.h", "")):
            Path(scratch, name).write_text(text)
        try:
            done = run([tree.objects / _FIXDEP, "x.d", "x.o", "compile"], cwd=scratch, check=False)
        except (CommandError, OSError):
            return tree.version < (6, 3)
    return done.text.count("  x.h \\\n") == 2 if done.returncode == 0 else tree.version < (6, 3)


def without_btf_threads(answer: TreeAnswer) -> TreeAnswer:
    """`answer` where pahole runs in one thread, unless it has the option that makes threads number types in order.

    Before 6.9 Kbuild always gives it threads (scripts/pahole-flags.sh), and with pahole 1.26 a time stamp does not
    take them away (scripts/Makefile.btf).
    """

    def serial(text: str) -> str:
        return text if _ORDERED in text else _THREADS.sub("", text)

    link = tuple(
        Step(step.rule, step.quiet, _PAHOLE.sub(lambda match: serial(match[0]), step.command))
        if step.rule == "btf_ko"
        else step
        for step in answer.link
    )
    flags = answer.environment.get("PAHOLE_FLAGS")
    environment = answer.environment if flags is None else {**answer.environment, "PAHOLE_FLAGS": serial(flags)}
    return replace(answer, link=link, environment=environment)


def _warnings(stderr: str) -> str:
    # make's own (a clock that is ahead) are of this run and not of the tree.
    lines = [line for line in stderr.splitlines() if line.strip() and not line.startswith(("make: ", "make["))]
    return "\n".join(lines)


def make_placeholder(tree: KernelTree, directory: Path, in_directory: bool) -> None:
    """A module directory that modpost and the final link can be asked about: all that they stat exists."""
    directory.mkdir()
    for name in ("Kbuild", f"{PLACEHOLDER}.o", f"{PLACEHOLDER}.mod.c"):
        (directory / name).touch()
    prefix = "" if in_directory else f"{directory}/"
    # Since 6.3 modules.order names .o files, before it named .ko files.
    names_objects = "%.o=%.ko" in (tree.source / "scripts/Makefile.modfinal").read_text(errors="replace")
    suffix = "o" if names_objects else "ko"
    (directory / "modules.order").write_text(f"{prefix}{PLACEHOLDER}.{suffix}\n")


def builds_in_directory(tree: KernelTree) -> bool:
    """Since 6.13 Kbuild runs in the module's directory; the top Makefile then knows KBUILD_EXTMOD_OUTPUT."""
    try:
        text = (tree.source / "Makefile").read_text(errors="replace")
    except OSError as error:
        raise KbuildError(
            f"{tree.source}/Makefile: {error.strerror}", hint="the kernel tree's source part is incomplete"
        ) from error
    return "KBUILD_EXTMOD_OUTPUT" in text


def _step(block: Mapping[str, str]) -> Step:
    return Step(block["rule"], block["quiet"], block["command"])


def _programs(text: str) -> dict[str, str]:
    names = ("CC", "LD", "NM", "OBJCOPY", "PAHOLE", "AR", "HOSTCC", "CHECK")
    return {name: value.strip() for name, value in zip(names, text.split("|"), strict=False)}


def _program_paths(programs: Mapping[str, str], env: Mapping[str, str]) -> list[str]:
    found = []
    for command in programs.values():
        for word in command.split():
            path = shutil.which(word, path=env.get("PATH"))
            if path:
                found.append(os.path.realpath(path))
    return found


def _refuse_missing_compiler(
    tree: KernelTree, programs: Mapping[str, str], stderr: str, environ: Mapping[str, str]
) -> None:
    words = {name: programs[name].split()[-1] for name in ("CC", "LD", "NM", "OBJCOPY", "AR") if programs.get(name)}
    lost = [word for word in words.values() if shutil.which(word, path=environ.get("PATH")) is None]
    if not {words.get("CC"), words.get("LD")}.intersection(lost):
        return
    choice = "CC=" if is_native(architecture_of(tree)) else "CC= or CROSS_COMPILE="
    # (with LLVM=1 everything is LLVM's: whoever lacks the one lacks the others)
    packages = dict.fromkeys(package_of_compiler(word) for word in lost)
    raise CommandError(
        f"{lost[0]}: not found, and the kernel tree {tree.objects} builds with it",
        hint=f"apt-get install {' '.join(packages)}, or choose another one with {choice}",
        stderr=stderr,
    )


def compiler_remark(answer: TreeAnswer) -> str:
    """What to say where the kernel was built by GCC and `answer` compiles with clang, or the reverse: either has
    options that the other does not know. "" where they fit."""
    config = answer.tree.config
    words = answer.programs.get("CC", "").split()
    if not words:
        return ""
    clang = "clang" in Path(words[-1]).name
    if config.get("CONFIG_CC_IS_CLANG") == "y" and not clang:
        return (
            f"kbuildpy: {answer.tree.release} was built by clang, and {words[-1]} does not know its options: say LLVM=1"
        )
    if config.get("CONFIG_CC_IS_GCC") == "y" and clang:
        return f"kbuildpy: {answer.tree.release} was built by gcc: where clang does not know an option, leave LLVM= out"
    return ""


def environment_difference(before: Mapping[str, str], exported: bytes) -> dict[str, str | None]:
    """What make changed in the environment `before`; a recipe's `env -0` printed `exported` (None: taken away)."""
    after = dict(entry.split("=", 1) for entry in exported.decode(errors="surrogateescape").split("\0") if "=" in entry)
    skip = {"_", "PWD", "OLDPWD", "SHLVL", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "MAKE_TERMOUT", "MAKE_TERMERR"}
    changed: dict[str, str | None] = {
        name: value
        for name, value in after.items()
        if name not in skip and not name.startswith("KBUILDPY_") and before.get(name) != value
    }
    changed.update({name: None for name in before if name not in after and name not in skip})
    return {name: value for name, value in changed.items() if not name.startswith("KBUILDPY_")}


def stamp_lists(names: Iterable[str]) -> dict[str, list[int]]:
    """`stamp` of each path, as JSON reads it back."""
    return {name: list(stamp(name)) for name in names}


def watched(answer: TreeAnswer) -> dict[str, Stamp]:
    """The files that `answer` depends on, in their present state."""
    tree = answer.tree
    files = [
        *answer.makefiles,
        *(str(tree.objects / name) for name in _WATCHED),
        *answer.link_needs,
        *_program_paths(answer.programs, os.environ),
    ]
    return stamps(name for name in files if not name.startswith(str(MAKEFILES)))


def own_version() -> list[tuple[str, Stamp]]:
    """The state of the makefiles that ask: another version's answers are not ours."""
    return [(name.name, stamp(name)) for name in sorted(MAKEFILES.glob("*.mk"))]


def _to_json(answer: TreeAnswer) -> dict[str, Any]:
    def steps(items: tuple[Step, ...]) -> list[list[str]]:
        return [[item.rule, item.quiet, item.command] for item in items]

    return {
        "stamps": watched(answer),
        "placeholder": answer.placeholder,
        "environment": dict(answer.environment),
        "in_directory": answer.in_directory,
        "modpost": steps((answer.modpost,)),
        "compile_mod_c": steps(answer.compile_mod_c),
        "common_object": answer.common_object,
        "common_source": answer.common_source,
        "compile_common": steps(answer.compile_common),
        "link": steps(answer.link),
        "link_needs": list(answer.link_needs),
        "compiler": answer.compiler,
        "programs": dict(answer.programs),
        "makefiles": list(answer.makefiles),
        "variables": [list(pair) for pair in answer.variables],
        "identity": answer.identity,
        "repeats_headers": answer.repeats_headers,
        "warnings": answer.warnings,
    }


def _from_json(tree: KernelTree, value: dict[str, Any]) -> TreeAnswer:
    def steps(items: list[list[str]]) -> tuple[Step, ...]:
        return tuple(Step(*item) for item in items)

    return TreeAnswer(
        tree=tree,
        placeholder=value["placeholder"],
        environment=value["environment"],
        in_directory=value["in_directory"],
        modpost=steps(value["modpost"])[0],
        compile_mod_c=steps(value["compile_mod_c"]),
        common_object=value["common_object"],
        common_source=value["common_source"],
        compile_common=steps(value["compile_common"]),
        link=steps(value["link"]),
        link_needs=tuple(value["link_needs"]),
        compiler=value["compiler"],
        programs=value["programs"],
        makefiles=tuple(value["makefiles"]),
        variables=tuple((name, text) for name, text in value["variables"]),
        identity=value["identity"],
        repeats_headers=value["repeats_headers"],
        warnings=value["warnings"],
        state=digest(sorted((name, *seen) for name, seen in value["stamps"].items())),
    )
