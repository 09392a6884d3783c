# SPDX-License-Identifier: GPL-2.0-only
"""Stands in for the kernel and for the loaded modules while stages run, and writes down what they ask.

It has only what `questions` can answer. Whatever else a stage reads raises `Unwatched`: a new field of `LoaderKernel`
cannot be read unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, cast

from kbuildpy.errors import KbuildError
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.kept.questions import ALL_KEYS, UNKNOWN, Answer, Answers
from kbuildpy.loader.kernel import KernelExport, LoaderKernel
from kbuildpy.loader.loaded import Loaded, Modules

if TYPE_CHECKING:
    from kbuildpy.kernel.module_facts import ModuleStruct
    from kbuildpy.loader.btf.types import BtfTypes
    from kbuildpy.signing.keyring import Keyring

RELEASE = "\0"
"""Stands for the kernel's release, which only hints contain. No string of a module contains NUL."""


class Unwatched(Exception):
    """A stage has read what there is no question for; the verdict is not kept."""


class Inquiry:
    """The questions so far, with their answers."""

    def __init__(self, so_far: Inquiry | None = None) -> None:
        self.kernel: dict[str, Answer] = dict(so_far.kernel) if so_far else {}
        """The questions to the kernel."""
        self.modules: dict[str, str] = dict(so_far.modules) if so_far else {}
        """The questions about the modules that are loaded (`about_modules`)."""


def about_modules(modules: Modules, question: str) -> str:
    """Return the answer to `all`, or to the name of a module with a space before it: a digest, "" for no module."""
    if question == "all":
        return modules.digest
    found = modules.find(question[1:])
    return "" if found is None else found.digest


def watched_kernel(answers: Answers, asked: Inquiry) -> LoaderKernel:
    """Return what stands in for the kernel of `answers`."""
    return cast(LoaderKernel, _WatchedKernel(answers, asked))


def watched_modules(modules: Modules, asked: Inquiry) -> Modules:
    """Return what stands in for `modules`."""
    return cast(Modules, _WatchedModules(modules, asked))


class _Closed:
    """Refuses what its subclasses do not define."""

    def __getattr__(self, name: str) -> NoReturn:
        raise Unwatched(f"{type(self).__name__}.{name}")

    if not TYPE_CHECKING:

        def _refuse(self, *_: object) -> NoReturn:
            raise Unwatched(type(self).__name__)

        __len__ = __iter__ = __contains__ = __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
        __getitem__ = __str__ = __repr__ = __format__ = __bool__ = _refuse


class _Source(_Closed):
    def __init__(self, answers: Answers, asked: Inquiry) -> None:
        self._answers = answers
        self._asked = asked.kernel

    def _ask(self, question: str) -> Answer:
        answer = self._answers[question]
        if answer == UNKNOWN:
            raise Unwatched(question)
        self._asked[question] = answer
        return answer


class _WatchedKernel(_Source):
    release = RELEASE

    def has(self, symbol: str) -> bool | None:
        return cast("bool | None", self._ask(f"has {symbol}"))

    def fits_vermagic(self, magic: str, *, has_crcs: bool) -> bool | None:
        return cast("bool | None", self._ask(f"vermagic {has_crcs:d} {magic}"))

    @property
    def machine(self) -> str:
        return cast(str, self._ask("machine"))

    @property
    def version(self) -> _WatchedVersion:
        return _WatchedVersion(self._ask)

    @property
    def config(self) -> object:
        return _Closed() if self._ask("config") else None

    @property
    def vermagic(self) -> str | None:
        return cast("str | None", self._ask("vermagic_string"))

    @property
    def struct_module(self) -> ModuleStruct | None:
        self._ask("struct_module")
        return self._answers.kernel.struct_module

    @property
    def exports(self) -> _WatchedExports | None:
        return _WatchedExports(self._answers, self._ask) if self._ask("exports") else None

    @property
    def keyring(self) -> Callable[[], Keyring] | None:
        return self._watched_keyring if self._ask("keyring") else None

    def _watched_keyring(self) -> Keyring:
        assert self._answers.kernel.keyring is not None
        return cast("Keyring", _WatchedKeyring(self._answers.kernel.keyring(), self._ask))

    @property
    def keyring_complete(self) -> bool:
        return bool(self._ask("keyring_complete"))

    @property
    def wants_every_version(self) -> bool | None:
        return cast("bool | None", self._ask("wants_every_version"))

    @property
    def sees_signatures(self) -> bool:
        return bool(self._ask("sees_signatures"))

    @property
    def sig_enforce(self) -> bool:
        return bool(self._ask("sig_enforce"))

    @property
    def lockdown(self) -> bool:
        return bool(self._ask("lockdown"))

    @property
    def blacklist(self) -> tuple[str, ...]:
        return tuple(self._ask("blacklist"))

    @property
    def tainted(self) -> str:
        return cast(str, self._ask("tainted"))

    @property
    def own_modules(self) -> _WatchedOwnModules | None:
        return _WatchedOwnModules(self._ask) if self._ask("own_modules") else None

    @property
    def own_types(self) -> Callable[[], BtfTypes | None] | None:
        self._ask("types")
        return None if self._answers.kernel.own_types is None else self._watched_types

    def _watched_types(self) -> BtfTypes | None:
        assert self._answers.kernel.own_types is not None
        try:
            return self._answers.kernel.own_types()
        except KbuildError as error:
            # The identity of the types is known: what failed now may work the next time.
            raise Unwatched("types") from error

    @property
    def missing(self) -> _WatchedMissing:
        return _WatchedMissing(self._ask)


class _Part(_Closed):
    def __init__(self, ask: Callable[[str], Answer]) -> None:
        self._ask = ask


class _WatchedVersion(_Part):
    def _compared(self, comparison: str, version: Any) -> bool:
        return bool(self._ask(f"version {comparison} {'.'.join(map(str, version))}"))

    def __lt__(self, version: object) -> bool:
        return self._compared("lt", version)

    def __le__(self, version: object) -> bool:
        return self._compared("le", version)

    def __gt__(self, version: object) -> bool:
        return self._compared("gt", version)

    def __ge__(self, version: object) -> bool:
        return self._compared("ge", version)

    def __getitem__(self, place: slice) -> tuple[int, ...]:
        if place != slice(None, 2):
            raise Unwatched("version")
        return tuple(self._ask("line"))


class _WatchedExports(_Part):
    def __init__(self, answers: Answers, ask: Callable[[str], Answer]) -> None:
        super().__init__(ask)
        self._answers = answers

    def __bool__(self) -> bool:
        return True

    def find(self, symbol: str) -> KernelExport | None:
        answer = self._ask(f"export {symbol}")
        if answer is None:
            return None
        owner, _, gpl_only, namespace, proprietary, has_crc = answer
        crc = cast(int, _WatchedCrc(symbol, self._ask)) if has_crc else None
        return KernelExport(owner, crc, gpl_only, namespace, proprietary)


class _WatchedCrc(_Closed):
    """A CRC of the kernel, which may only be compared with one of the module."""

    def __init__(self, symbol: str, ask: Callable[[str], Answer]) -> None:
        self._symbol = symbol
        self._ask = ask

    def __eq__(self, crc: object) -> bool:
        if not isinstance(crc, int):
            raise Unwatched("crc")
        return bool(self._ask(f"crc {self._symbol} {crc}"))


class _WatchedKeyring(_Part):
    kernel = RELEASE

    def __init__(self, keyring: Keyring, ask: Callable[[str], Answer]) -> None:
        super().__init__(ask)
        self._keyring = keyring

    def whole(self) -> Keyring:
        self._ask(f"keys {ALL_KEYS}")
        return self._keyring

    def restricted_to(self, identifiers: frozenset[bytes]) -> Keyring:
        self._ask(f"keys {' '.join(sorted(item.hex() for item in identifiers))}")
        return self._keyring.restricted_to(identifiers)


class _WatchedOwnModules(_Part):
    def __bool__(self) -> bool:
        return True

    def needs(self, name: str) -> tuple[str, ...] | None:
        answer = self._ask(f"needs {name}")
        return None if answer is None else tuple(answer)

    def is_built_in(self, name: str) -> bool | None:
        return cast("bool | None", self._ask(f"built_in {name}"))


class _WatchedMissing(_Part):
    def get(self, fact: Fact, default: str) -> str:
        assert default == ""
        return cast(str, self._ask(f"missing {fact.name}"))


class _WatchedModules(_Closed):
    def __init__(self, modules: Modules, asked: Inquiry) -> None:
        self._modules = modules
        self._asked = asked.modules

    def _ask(self, question: str) -> None:
        self._asked[question] = about_modules(self._modules, question)

    def find(self, name: str) -> Loaded | None:
        self._ask(f" {name}")
        return self._modules.find(name)

    @property
    def loaded(self) -> tuple[Loaded, ...]:
        self._ask("all")
        return self._modules.loaded

    @property
    def refused(self) -> tuple[str, ...]:
        self._ask("all")
        return self._modules.refused
