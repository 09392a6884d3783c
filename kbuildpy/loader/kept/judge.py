# SPDX-License-Identifier: GPL-2.0-only
"""Gives verdicts on module files: from kept facts, or else by running the stages, which adds to the facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from kbuildpy.kernel.module_files import packed_head, read_packed, unpacked
from kbuildpy.kernel.stated import stated_needs
from kbuildpy.loader.kept.facts import (
    Beginning,
    Facts,
    KeptVerdict,
    beginning_to_json,
    ending_to_json,
    new_facts,
    verdict_at,
)
from kbuildpy.loader.kept.forms import Json, loaded_to_json, places_to_json, verdict_from_json, verdict_to_json
from kbuildpy.loader.kept.questions import Answers
from kbuildpy.loader.kept.store import VerdictStore
from kbuildpy.loader.kept.symbols_again import run_again, state_of
from kbuildpy.loader.kept.watch import Inquiry, Unwatched, watched_kernel, watched_modules
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.known import is_loader_known
from kbuildpy.loader.load_module import AFTER_SYMBOLS, SYMBOLS, before_symbols, begin, load_module, result, run
from kbuildpy.loader.loaded import Modules
from kbuildpy.loader.verdict import Verdict

_DAMAGED = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What reading facts raises that are not as they were written."""


class ModuleOnDisk:
    """A module file."""

    def __init__(self, path: Path) -> None:
        """Raises `KbuildError` for a file that cannot be read."""
        self.path = path
        self._packed = read_packed(path)
        self.facts: Facts | None = None

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the file."""
        return sha256(self._packed).hexdigest()

    @cached_property
    def contents(self) -> bytes:
        """The module, decompressed. Raises `KbuildError`."""
        return unpacked(self._packed, self.path)

    @cached_property
    def head(self) -> bytes:
        """The beginning of a compressed file, as the kernel sees it; empty for another file."""
        return packed_head(self._packed)

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the modules that it depends on."""
        return stated_needs(self.contents) if self.facts is None else self.facts.needs


class Judge:
    """Gives the verdicts of some kernels; facts are kept in a store, if there is one."""

    def __init__(self, kernels: Sequence[LoaderKernel], store: VerdictStore | None) -> None:
        self._answers = [Answers(kernel) for kernel in kernels]
        self._store = store

    def open(self, path: Path) -> ModuleOnDisk:
        """Return the module file `path`, with its facts. Raises `KbuildError` for a file that cannot be read."""
        module = ModuleOnDisk(path)
        value = self._store.read(module.digest) if self._store else None
        if value is not None:
            try:
                module.facts = Facts(value)
                return module
            except _DAMAGED:
                pass
        needs = stated_needs(module.contents)
        if self._store is not None:
            module.facts = Facts(new_facts(needs))
        return module

    def judge(self, module: ModuleOnDisk, number: int, modules: Modules, args: str) -> tuple[Verdict, Modules]:
        """Return the verdict of kernel `number`, and the modules that are loaded afterwards, as `load_module`."""
        answers = self._answers[number]
        kernel = answers.kernel
        if module.facts is None or not is_loader_known(kernel.version, kernel.machine):
            return load_module(module.contents, kernel, modules, args, file=str(module.path), packed=module.head)
        try:
            found = _find(module, module.facts, answers, modules, args)
        except _DAMAGED:
            module.facts = Facts(new_facts(stated_needs(module.contents)))
            found = None
        try:
            found = found or _run(module, module.facts, answers, modules, args)
        except Exception:
            # Something was asked that there is no question for. Whatever it was: the stages alone know better.
            return load_module(module.contents, kernel, modules, args, file=str(module.path), packed=module.head)
        return found.verdict, modules if found.loaded is None else replace(
            modules, loaded=(found.loaded, *modules.loaded)
        )

    def keep(self, module: ModuleOnDisk) -> None:
        """Write what has been added to the facts of `module`."""
        if self._store is not None and module.facts is not None and module.facts.is_changed:
            self._store.write(module.digest, module.facts.value)
            module.facts.is_changed = False


def _find(module: ModuleOnDisk, facts: Facts, answers: Answers, modules: Modules, args: str) -> KeptVerdict | None:
    """The verdict that the facts tell, without the module's contents; None if they do not."""
    beginning = facts.beginning(answers, modules, args)
    if beginning is None:
        return None
    found = verdict_at(beginning, answers, modules, file=str(module.path))
    if found is not None:
        return found
    asked = Inquiry()
    try:
        info, end = run_again(
            beginning.value["state"],
            beginning.places,
            watched_kernel(answers, asked),
            watched_modules(modules, asked),
            args,
            packed=module.head,
        )
        if end is None:
            return None
        verdict, _ = result(info, "", end)
        return _end(module, facts, beginning, answers, asked, verdict_to_json(verdict), None)
    except Unwatched:
        return None


def _run(module: ModuleOnDisk, facts: Facts, answers: Answers, modules: Modules, args: str) -> KeptVerdict:
    """The verdict of the stages; what they ask is added to the facts. Raises `Unwatched`."""
    asked = Inquiry()
    info = begin(
        module.contents,
        watched_kernel(answers, asked),
        watched_modules(modules, asked),
        args,
        packed=module.head,
    )
    end = run(info, before_symbols(info))
    if end is not None:
        verdict, _ = result(info, "", end)
        early = verdict_to_json(verdict)
        beginning = facts.add_beginning(
            beginning_to_json(asked, args, places_to_json(verdict), verdict=early, state=None)
        )
        shown = verdict_from_json(early, beginning.places, file=str(module.path), kernel=answers.kernel.release)
        return KeptVerdict(shown, None)
    state = state_of(info)
    if state is None:
        raise Unwatched("symbols")
    known = facts.beginning(answers, modules, args)
    before = Inquiry(asked)
    end = run(info, (SYMBOLS, *AFTER_SYMBOLS))
    verdict, loaded = result(info, "", end)
    told = verdict_to_json(verdict)
    places = places_to_json(verdict)
    beginning = known or facts.add_beginning(beginning_to_json(before, args, places, verdict=None, state=state))
    return _end(module, facts, beginning, answers, asked, told, loaded_to_json(loaded))


def _end(
    module: ModuleOnDisk,
    facts: Facts,
    beginning: Beginning,
    answers: Answers,
    asked: Inquiry,
    verdict: Json,
    loaded: Json | None,
) -> KeptVerdict:
    ending = ending_to_json(beginning, answers, asked, verdict, loaded)
    facts.add_ending(beginning, ending)
    kernel = answers.kernel.release
    shown = verdict_from_json(verdict, beginning.places, file=str(module.path), kernel=kernel)
    return KeptVerdict(shown, beginning.loaded(ending))
