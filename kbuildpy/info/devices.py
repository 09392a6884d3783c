# SPDX-License-Identifier: GPL-2.0-only
"""Aliases in words: which devices, and which requests of the kernel or of programs, load a module.

Formats: scripts/mod/file2alias.c for devices; the requests are the arguments of request_module() in the kernel's
subsystems (`fs-%s`, `net-pf-%d`, `char-major-%d-%d`). An alias that is not known here stands as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from kbuildpy.info.alias_names import (
    DMI_FIELDS,
    HID_GROUPS,
    INPUT_BUSES,
    INPUT_EVENTS,
    PCI_CLASSES,
    PCI_SUBCLASSES,
    PROTOCOL_FAMILIES,
    SERIO_TYPES,
    USB_CLASSES,
    VIRTIO_KINDS,
    X86_VENDORS,
)


class Match(NamedTuple):
    """What an alias stands for."""

    kind: str
    """The bus, such as "USB", or what is asked for, such as "file system"; "name" for an alias of no known form."""
    words: str
    """Which devices of the bus, or which one of the kind."""


class Number(NamedTuple):
    """A number in an alias that is a run of numbers: the letters before it, its word, and names of values."""

    letters: str
    word: str
    names: Mapping[str, str] | None = None


def in_words(aliases: Iterable[str]) -> list[Match]:
    """What `aliases` stand for, each once (a device tree's entry has two aliases), in their order."""
    return list(dict.fromkeys(map(match_of, aliases)))


def match_of(alias: str) -> Match:
    """What one alias stands for."""
    prefix, colon, rest = alias.partition(":")
    prefix = prefix.removesuffix("*")
    if colon and prefix in _RUNS:
        kind, numbers, all_words = _RUNS[prefix]
        found = _pattern(prefix).fullmatch(rest)
        if found is not None:
            # (an asterisk at the end is for numbers of the future)
            *texts, last = found.groups()
            values = [_shown(text) for text in (*texts, last.rstrip("*"))]
            return Match(kind, all_words(numbers, values) or "any device")
    if colon and prefix in _IRREGULAR:
        kind, read = _IRREGULAR[prefix]
        words = read(rest)
        if words is not None:
            return Match(kind, words or "any device")
    if colon and prefix in _NAMED:
        return Match(_NAMED[prefix], rest)
    for begins, kind in _REQUESTS.items():
        if alias.startswith(begins) and alias != begins:
            return Match(kind, alias[len(begins) :])
    return _family(alias) or Match("name", alias)


@lru_cache
def _pattern(prefix: str) -> re.Pattern[str]:
    _kind, numbers, _words = _RUNS[prefix]
    return re.compile("".join(rf"{number.letters}([0-9A-F?*\[\]-]+)" for number in numbers) + r"\*?")


def _shown(text: str) -> str:
    """A value in small letters, 32 bits as 16 where that is enough; "" for one that is open."""
    if not text.strip("*"):
        return ""
    text = text.lower()
    return text[4:] if len(text) == 8 and text.startswith("0000") else text


def _each(numbers: tuple[Number, ...], values: list[str]) -> str:
    words = []
    for number, value in zip(numbers, values, strict=True):
        if value:
            name = (number.names or {}).get(value.lstrip("0") or "0")
            words.append(f"{number.word} {value}" + (f" ({name})" if name else ""))
    return ", ".join(words)


def _pci(numbers: tuple[Number, ...], values: list[str]) -> str:
    """PCI: a class is one number of up to three bytes."""
    *plain, base, sub, interface = values
    words = _each(numbers[:4], plain)
    if not base:
        return words
    key = base.lstrip("0") or "0"
    name = PCI_SUBCLASSES.get((key, sub.lstrip("0") or "0")) if sub else None
    name = name or PCI_CLASSES.get(key)
    of_class = f"class {base}{sub}{interface}" + (f" ({name})" if name else "")
    return f"{words}, {of_class}" if words else of_class


_WordsOf = Callable[[tuple[Number, ...], list[str]], str]
_V4, _D4 = Number("v", "vendor"), Number("d", "device")
_PCI_NUMBERS = (
    _V4,
    _D4,
    Number("sv", "subvendor"),
    Number("sd", "subdevice"),
    Number("bc", "class"),
    Number("sc", "subclass"),
    Number("i", "interface"),
)
_RUNS: dict[str, tuple[str, tuple[Number, ...], _WordsOf]] = {
    "usb": (
        "USB",
        (
            _V4,
            Number("p", "product"),
            Number("d", "release"),
            Number("dc", "device class", USB_CLASSES),
            Number("dsc", "device subclass"),
            Number("dp", "device protocol"),
            Number("ic", "interface class", USB_CLASSES),
            Number("isc", "interface subclass"),
            Number("ip", "interface protocol"),
            Number("in", "interface"),
        ),
        _each,
    ),
    "pci": ("PCI", _PCI_NUMBERS, _pci),
    "vfio_pci": ("PCI, when VFIO asks for it", _PCI_NUMBERS, _pci),
    "hid": (
        "HID",
        (Number("b", "bus", INPUT_BUSES), Number("g", "group", HID_GROUPS), _V4, Number("p", "product")),
        _each,
    ),
    "sdio": ("SDIO", (Number("c", "class"), _V4, _D4), _each),
    "ssb": ("SSB", (_V4, Number("id", "core"), Number("rev", "revision")), _each),
    "bcma": (
        "BCMA",
        (Number("m", "manufacturer"), Number("id", "core"), Number("rev", "revision"), Number("cl", "class")),
        _each,
    ),
    "virtio": ("virtio", (Number("d", "device", VIRTIO_KINDS), _V4), _each),
    "hdaudio": ("HD audio codec", (Number("v", "codec"), Number("r", "revision"), Number("a", "interface")), _each),
    "sdw": (
        "SoundWire",
        (Number("m", "manufacturer"), Number("p", "part"), Number("v", "version"), Number("c", "class")),
        _each,
    ),
    "serio": (
        "serio",
        (Number("ty", "type", SERIO_TYPES), Number("pr", "protocol"), Number("id", "id"), Number("ex", "extra")),
        _each,
    ),
    "ieee1394": (
        "FireWire",
        (Number("ven", "vendor"), Number("mo", "model"), Number("sp", "specifier"), Number("ver", "version")),
        _each,
    ),
    "pcmcia": (
        "PCMCIA",
        (
            Number("m", "manufacturer"),
            Number("c", "card"),
            Number("f", "function"),
            Number("fn", "function number"),
            Number("pfn", "pseudo function"),
            *(Number(f"p{letter}", f"hash of string {number}") for number, letter in enumerate("abcd", 1)),
        ),
        _each,
    ),
    "i3c": (
        "I3C",
        (
            Number("dcr", "characteristics"),
            Number("manuf", "manufacturer"),
            Number("part", "part"),
            Number("ext", "extra"),
        ),
        _each,
    ),
    "typec": ("USB Type-C mode", (Number("id", "SVID"), Number("m", "mode")), _each),
    "rapidio": ("RapidIO", (_V4, _D4, Number("av", "assembly vendor"), Number("ad", "assembly")), _each),
    "dfl": ("DFL (FPGA)", (Number("t", "type"), Number("f", "feature")), _each),
    "ipack": ("IndustryPack", (Number("f", "format"), _V4, _D4), _each),
    "amba": ("AMBA", (Number("d", "peripheral"),), _each),
    "coreboot": ("coreboot table", (Number("t", "tag"),), _each),
    "ccw": (
        "channel-attached",
        (Number("t", "control unit"), Number("m", "model"), Number("dt", "device"), Number("dm", "device model")),
        _each,
    ),
    "css": ("subchannel", (Number("t", "type"),), _each),
    "ap": ("crypto adapter", (Number("t", "type"),), _each),
    "zorro": ("Zorro", (Number("i", "id"),), _each),
    "parisc": (
        "PA-RISC",
        (Number("t", "type"), Number("hv", "version"), Number("rev", "revision"), Number("sv", "software version")),
        _each,
    ),
}


def _device_tree(rest: str) -> str | None:
    found = re.fullmatch(r"N(.*?)T(.*?)(?:C(.*?))?(?:C\*)?", rest, re.DOTALL)
    if found is None:
        return None
    name, kind, compatible = ((text or "").strip("*") for text in found.groups())
    words = (("name", name), ("type", kind), ("compatible", compatible))
    return ", ".join(f"{word} {value}" for word, value in words if value)


def _acpi(rest: str) -> str | None:
    identifier = rest.removesuffix("*").strip(":").removesuffix(":")
    if re.fullmatch(r"[0-9a-f?]{6}", identifier):
        return f"class {identifier}"
    return f"id {identifier}"


def _dmi(rest: str) -> str | None:
    words = []
    for piece in filter(lambda text: text.strip("*"), rest.split(":")):
        name = next((name for name in sorted(DMI_FIELDS, key=len, reverse=True) if piece.startswith(name)), None)
        if name is None:
            return None
        value = piece[len(name) :]
        how = "contains " if value.startswith("*") else ""
        words.append(f"{DMI_FIELDS[name]} {how}{value.strip('*')}")
    return ", ".join(words)


def _phy(rest: str) -> str | None:
    """A PHY's identifier, of which four bits that are not all given are a question mark."""
    if not re.fullmatch(r"[01?]{32}", rest):
        return None
    nibbles = [rest[start : start + 4] for start in range(0, 32, 4)]
    return f"PHY {''.join('?' if '?' in nibble else f'{int(nibble, 2):x}' for nibble in nibbles)}"


def _cpu(rest: str) -> str | None:
    found = re.fullmatch(
        r"type:(?:\*|x86,ven([0-9A-F*]+)fam([0-9A-F*]+)mod([0-9A-F*]+)):feature:\*?(?:([0-9A-F]+)\*?|,.*)?", rest
    )
    if found is None:
        return None
    vendor, family, model, feature = ((text or "").strip("*").lower() for text in found.groups())
    words = [f"vendor {X86_VENDORS.get(vendor.lstrip('0') or '0', vendor)}"] if vendor else []
    words += [f"{word} {value.lstrip('0') or '0'}" for word, value in (("family", family), ("model", model)) if value]
    # (as arch/x86/include/asm/cpufeatures.h counts them)
    words += [f"feature {int(feature, 16) // 32}*32+{int(feature, 16) % 32}"] if feature else []
    return ", ".join(words)


def _input(rest: str) -> str | None:
    found = re.fullmatch(r"b([0-9A-F*]+)v([0-9A-F*]+)p([0-9A-F*]+)e([0-9A-F*]+)-e([0-9A-F,*]*)k.*", rest)
    if found is None:
        return None
    numbers = (Number("b", "bus", INPUT_BUSES), _V4, Number("p", "product"), Number("e", "version"))
    words = _each(numbers, [_shown(text) for text in found.groups()[:4]])
    events = [item.lower() for item in re.findall(r"[0-9A-F]+", found[5])]
    has = ", ".join(INPUT_EVENTS.get(event, f"events {event}") for event in events)
    return ", ".join(filter(None, (words, f"has {has}" if has else "")))


def _plug_and_play(rest: str) -> str | None:
    return f"id {rest[1:].rstrip('*')}" if rest.startswith("d") else None


_IRREGULAR: dict[str, tuple[str, Callable[[str], str | None]]] = {
    "of": ("device tree", _device_tree),
    "acpi": ("ACPI", _acpi),
    "dmi": ("DMI", _dmi),
    "mdio": ("MDIO", _phy),
    "cpu": ("CPU", _cpu),
    "input": ("input", _input),
    "pnp": ("PNP", _plug_and_play),
}

_NAMED = {
    "platform": "platform",
    "i2c": "I2C",
    "spi": "SPI",
    "auxiliary": "auxiliary",
    "rpmsg": "rpmsg",
    "mhi": "MHI",
    "mhi_ep": "MHI endpoint",
    "wmi": "WMI",
    "vmbus": "Hyper-V",
    "tee": "TEE",
    "mei": "MEI",
    "ishtp": "ISHTP",
    "ssam": "Surface",
    "fsl-mc": "fsl-mc",
    "slim": "SLIMbus",
    "spmi": "SPMI",
    "eisa": "EISA",
    "tbsvc": "Thunderbolt service",
    "ulpi": "ULPI",
    "xen": "Xen",
    "xen-backend": "Xen backend",
    "scsi": "SCSI",
    "vchiq": "VCHIQ",
    "mcb": "MCB",
    "cdx": "CDX",
    "cxl": "CXL",
    "nd": "NVDIMM",
    "dax": "DAX",
    "mmc": "MMC",
    "dsa_tag": "DSA tag",
    "ledtrig": "LED trigger",
    "usbfunc": "USB gadget function",
}
"""Buses and kinds whose aliases are a name."""

_REQUESTS = {
    "devname:": "device node /dev/",
    "fs-": "file system",
    "crypto-": "crypto algorithm",
    "rtnl-link-": "network link kind",
    "char-major-": "character device",
    "block-major-": "block device",
    "tty-ldisc-": "line discipline",
    "netdev-": "network device",
    "net-sch-": "queueing discipline",
    "net-cls-": "traffic classifier",
    "net-act-": "traffic action",
    "snd-seq-client-": "sequencer client",
    "md-level-": "RAID level",
    "md-": "RAID",
    "dm-": "device mapper target",
    "nft-expr-": "nftables expression",
    "nft-": "nftables",
    "ipt_": "iptables",
    "ip6t_": "ip6tables",
    "ebt_": "ebtables",
    "arpt_": "arptables",
    "nfnetlink-subsys-": "nfnetlink subsystem",
    "nfct-helper-": "connection tracking helper",
    "xfrm-type-": "IPsec transform",
    "w1-family-": "1-Wire family",
    "bt-proto-": "Bluetooth protocol",
    "can-proto-": "CAN protocol",
    "team-mode-": "team mode",
    "ip_set_": "IP set",
    "tcp_": "TCP congestion control",
    "nls_": "character set",
}
"""What programs and the kernel ask for, by how the alias begins."""


def _family(alias: str) -> Match | None:
    found = re.fullmatch(r"net-pf-(\d+)(?:-proto-(\w+))?(?:-type-([\w-]+))?(?:-family-(.+))?", alias, re.DOTALL)
    if found is None:
        return None
    number, protocol, kind, family = found.groups()
    name = PROTOCOL_FAMILIES.get(number)
    words = f"family {number}" + (f" ({name})" if name else "")
    for word, value in (("protocol", protocol), ("type", kind), ("name", family)):
        words += f", {word} {value}" if value else ""
    return Match("socket", words)
