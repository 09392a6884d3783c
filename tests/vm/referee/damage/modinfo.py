# SPDX-License-Identifier: GPL-2.0-only
"""What .modinfo says: vermagic, license, name, and where the module comes from."""

from __future__ import annotations

from collections.abc import Iterator

from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.ways import Damage, called, case, contents, damaged, info, rename, resized, struct_name
from tests.vm.referee.draft import Draft

BLOCKED = "blocked"
"""What the kernel is started with in module_blacklist=, between others."""

LICENSES = ("GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL")
NO_LICENSES = ("Proprietary", "gpl", "GPL ", "", "MIT", "Dual BSD", "GPL v3", "GPL\x7f", "L" * 300)


def cases(bases: Bases) -> Iterator[Case]:
    """All of them. What taints the kernel comes in an order that shows which line each taint suppresses."""
    yield from _vermagic(bases)
    yield from _name(bases.quiet)
    yield from _origin(bases.quiet)
    yield from _license(bases)
    yield from _form(bases.quiet)


def _vermagic(bases: Bases) -> Iterator[Case]:
    quiet = bases.quiet
    (magic,) = (entry[9:] for entry in Draft(quiet).modinfo() if entry.startswith("vermagic="))
    release, _, flags = magic.partition(" ")
    no_versions = rename("__versions", "__no_versions")
    others = {
        "another release": f"6.6.6 {flags}",
        "a release with letters after it": f"{release}-more {flags}",
        "another flag": f"{release} {flags}nothing ",
        "fewer flags": f"{release} SMP ",
        "the release alone": release,
        "no release": f" {flags}",
        "a blank more": f"{magic} ",
        "a blank less": magic.rstrip(),
        "nothing in it": "",
        "letters of other languages": f"{release} äöü",
        "900 letters": f"{release} " + "x" * 900,
        "2000 letters": "y" * 2000,
    }
    for what, other in others.items():
        yield case(f"vermagic/{what}", quiet, info("vermagic", other))
        if bases.has_versions:
            yield case(f"vermagic/{what}, without versions", quiet, info("vermagic", other), no_versions)
    yield case("vermagic/twice, the first is right", quiet, info("vermagic", magic, "6.6.6"))
    yield case("vermagic/twice, the second is right", quiet, info("vermagic", "6.6.6", magic))
    yield case("vermagic/missing", quiet, info("vermagic"))
    yield case("vermagic/missing once more", quiet, info("vermagic"))


def _name(quiet: bytes) -> Iterator[Case]:
    wrong: Damage = info("vermagic", "wrong")
    yield case("name/not in modinfo", quiet, info("name"))
    yield case("name/not in modinfo, and a wrong vermagic", quiet, info("name"), wrong)
    yield case("name/another one in modinfo", quiet, info("name", "loud"))
    yield case("name/another one in modinfo, and a wrong vermagic", quiet, info("name", "loud"), wrong)
    yield case("name/empty in modinfo", quiet, info("name", ""), wrong)
    yield case("name/with blanks and a percent sign", quiet, called("a b%s"))
    yield case("name/with a slash", quiet, called("a/b"))
    yield case("name/of 55 letters", quiet, called("n" * 55))
    yield case("name/empty", quiet, called(""))
    yield case("name/vmlinux", quiet, called("vmlinux"))
    yield case("name/of what is in the kernel", quiet, called("printk"))
    yield case("name/another one in the struct", quiet, struct_name(b"loud"))
    yield case("name/there already", quiet, needs=(quiet,))
    yield case("name/there already by another file", quiet, info("version", "2"), needs=(quiet,))
    yield case("name/there already, modinfo has another", quiet, info("name", "loud"), needs=(quiet,))
    yield case("name/there already, and a wrong vermagic", quiet, wrong, needs=(quiet,))
    yield case("name/blacklisted", quiet, called(BLOCKED))
    yield case("name/blacklisted in modinfo alone", quiet, info("name", BLOCKED))
    yield case("name/blacklisted in the struct alone", quiet, struct_name(BLOCKED.encode()))
    yield case("name/blacklisted, and a wrong vermagic", quiet, called(BLOCKED), wrong)
    yield case("name/the beginning of a blacklisted one", quiet, called(BLOCKED[:-1]))
    yield case("name/longer than a blacklisted one", quiet, called(BLOCKED + "x"))


def _origin(quiet: bytes) -> Iterator[Case]:
    yield case("origin/intree", quiet, info("intree", "Y"))
    yield case("origin/staging", quiet, info("staging", "Y"))
    yield case("origin/staging once more", quiet, info("staging", "Y"))
    yield case("origin/test", quiet, info("test", "Y"))
    yield case("origin/test once more", quiet, info("test", "Y"))
    yield case("origin/livepatch", quiet, info("livepatch", "Y"))
    yield case("origin/livepatch once more", quiet, info("livepatch", "Y"))
    yield case("origin/no retpoline", quiet, info("retpoline"))
    yield case("origin/no retpoline, with another value", quiet, info("retpoline", "N"))
    yield case("origin/all of it", quiet, info("intree", "Y"), info("staging", "Y"), info("test", "Y"))


def _license(bases: Bases) -> Iterator[Case]:
    quiet = bases.quiet
    for license_ in LICENSES:
        yield case(f"license/{license_}", quiet, info("license", license_))
    yield case("license/two, the first is proprietary", quiet, info("license", "Proprietary", "GPL"))
    yield case("license/two, the second is proprietary", quiet, info("license", "GPL", "Proprietary"))
    yield case("license/none", quiet, info("license"))
    for license_ in NO_LICENSES:
        yield case(f"license/{license_[:20]!r}", quiet, info("license", license_))
    for name in ("ndiswrapper", "driverloader", "lve"):
        yield case(f"license/{name} says it is GPL", quiet, called(name))
        # without what only GPL-compatible modules may use
        yield case(f"license/{name} is proprietary", bases.other, called(name), needs=(quiet,))


def first_offender(quiet: bytes) -> Case:
    """A module that lies about its license: what the kernel says of it depends on its being the first that is not
    GPL-compatible."""
    return case("license/lve is the first", quiet, called("lve"))


def _form(quiet: bytes) -> Iterator[Case]:
    entries = Draft(quiet).data(Draft(quiet).section(".modinfo"))
    yield case("modinfo/begins with zeros", quiet, contents(".modinfo", bytes(5) + entries))
    yield case("modinfo/zeros between", quiet, contents(".modinfo", entries.replace(b"\0", b"\0\0\0\0")))
    yield case("modinfo/zeros at the end", quiet, contents(".modinfo", entries + bytes(100)))
    yield case("modinfo/no zero at the end", quiet, resized(".modinfo", -1))
    yield case("modinfo/only zeros", quiet, contents(".modinfo", bytes(20)))
    yield case("modinfo/words without an equals sign", quiet, contents(".modinfo", b"license\0name\0" + entries))
    yield case("modinfo/tags that begin alike", quiet, contents(".modinfo", b"names=x\0lic=1\0" + entries))
    yield case("modinfo/one entry", damaged(quiet), contents(".modinfo", b"license=GPL\0"))
    yield case("modinfo/unknown tags", quiet, info("softdep", "pre: x"), info("firmware", "x"), info("depends", "zz"))
    yield case("modinfo/versions of the module", quiet, info("version", "1", "2"), info("srcversion", "x" * 200))
