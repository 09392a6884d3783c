# SPDX-License-Identifier: GPL-2.0-only
"""Aliases of the device tables that are not regular (scripts/mod/file2alias.c: the do_*_entry functions).

Each function returns the alias, or the aliases, for one entry of a table. `device_tables` says for which table each
function is. A name in parentheses is that of the function in file2alias.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.modpost import since
from kbuildpy.modpost.alias_parts import ANY16, ANY32, Part, open_ended, uuid_text
from kbuildpy.modpost.table_entry import TableEntry


def _underscores(text: str) -> str:
    return text.translate(SPACES)


def pci_aliases(entry: TableEntry) -> Iterator[str]:
    """PCI (do_pci_entry): numbers, and a class whose bytes are each given or open. An entry for VFIO, which matches
    only with driver_override, has the prefix `vfio_pci:`."""
    prefix = "pci:"
    override = entry["override_only"] if "override_only" in entry.table.layout.members else 0  # member since 5.15
    if override == 1:
        prefix = "vfio_pci:"
    elif override:
        entry.table.log.warn(f"Unknown PCI driver_override alias {override:08X}\n")
        if not entry.table.dialect.device_table_prefix:
            return
        prefix = ""
    text = prefix + "".join(part.text(entry) for part in PCI_PARTS)
    mask = entry["class_mask"]
    if any(mask >> shift & 0xFF not in (0, 0xFF) for shift in (16, 8, 0)):
        entry.table.log.warn(f"Can't handle masks in {entry.table.module}:{mask:04X}\n")
        return
    for separator, shift in (("bc", 16), ("sc", 8), ("i", 0)):
        given = mask >> shift & 0xFF == 0xFF
        text += separator + (f"{entry['class'] >> shift & 0xFF:02X}" if given else "*")
    yield open_ended(text)


def cdx_aliases(entry: TableEntry) -> Iterator[str]:
    """CDX (do_cdx_entry), AMD's bus for FPGAs: vendor, device, and, where the struct has them (since 6.7), more
    numbers and the class, which is given or open as a whole."""
    has_class = "class" in entry.table.layout.members
    if entry.table.dialect.version < since.CDX_OVERRIDES:
        yield f"cdx:v{entry['vendor']:08X}d{entry['device']:08X}d"
        return
    if entry["override_only"] > 1:
        entry.table.log.warn(f"Unknown CDX driver_override alias {entry['override_only']:08X}\n")
        return
    parts = CDX_PARTS if has_class else CDX_PARTS[:2]
    text = ("vfio_" if entry["override_only"] else "") + "cdx:" + "".join(part.text(entry) for part in parts)
    if not has_class:
        yield text
        return
    yield text + "c" + (entry.hexadecimal("class") if entry["class_mask"] == 0xFFFFFF else "*")


def of_aliases(entry: TableEntry) -> Iterator[str]:
    """Device tree (do_of_entry_multi): name, type and compatible string, in two aliases; the second one matches devices
    with more compatible strings."""
    name, type_, compatible = entry.string("name"), entry.string("type"), entry.string("compatible")
    alias = f"of:N{name or '*'}T{type_ or '*'}"
    if compatible:
        alias += f"{'*' if type_ else ''}C{compatible}"
    alias = _underscores(alias)
    yield alias
    yield alias + "C*"


def acpi_alias(entry: TableEntry) -> str:
    """ACPI (do_acpi_entry): an identifier, or a class whose bytes are each given or open."""
    name = entry.string("id")
    if not name:
        for shift in (16, 8, 0):
            given = entry["cls_msk"] >> shift & 0xFF
            name += f"{entry['cls'] >> shift & 0xFF:02x}" if given else "??"
    return f"acpi*:{name}:*"


def _pnp_id(name: str, size: int) -> Iterator[str]:
    yield f"pnp:d{name}*"
    yield f"acpi*:{_upper(name[:size])}:*"


def pnp_aliases(entry: TableEntry) -> Iterator[str]:
    """PNP (do_pnp_device_entry): two aliases, with the identifier as PNP and as ACPI spells it."""
    yield from _pnp_id(entry.string("id"), entry.size_of("id"))


def _pnp_card_ids(entry: TableEntry) -> list[str]:
    offset, length = entry.offset_of("devs"), entry.size_of("devs") // PNP_MAX_DEVICES
    names: list[str] = []
    for number in range(PNP_MAX_DEVICES):
        name = entry.string_at(offset + number * length)
        if not name:
            break
        names.append(name)
    return names


def pnp_card_aliases(entry: TableEntry) -> Iterator[str]:
    """PNP cards (do_pnp_card_entries): aliases for each device of the card that is in no earlier entry."""
    known = {name for earlier in entry.earlier() for name in _pnp_card_ids(earlier)}
    length = entry.size_of("devs") // PNP_MAX_DEVICES
    for name in _pnp_card_ids(entry):
        if name not in known:
            yield from _pnp_id(name, length)


def vio_alias(entry: TableEntry) -> str:
    """VIO (do_vio_entry), IBM's virtual devices: type and compatible string."""
    return open_ended(_underscores(f"vio:T{entry.string('type') or '*'}S{entry.string('compat') or '*'}"))


def pcmcia_alias(entry: TableEntry) -> str:
    """PCMCIA (do_pcmcia_entry): numbers, and hashes of up to four strings."""
    text = "pcmcia:" + "".join(part.text(entry) for part in PCMCIA_PARTS)
    hashes = entry.bytes_of("prod_id_hash")
    for number, letter in enumerate("abcd"):
        given = entry["match_flags"] & 0x10 << number
        value = int.from_bytes(hashes[4 * number : 4 * number + 4], entry.table.order)
        text += f"p{letter}" + (f"{value:08X}" if given else "*")
    return open_ended(text)


class AliasBuffer:
    """An alias to which pieces are appended. Newer kernels limit it to `ALIAS_BUFFER` bytes (alias_append)."""

    def __init__(self, entry: TableEntry, start: str = "") -> None:
        self._table = entry.table
        self.text = start

    def append(self, piece: str) -> None:
        """Append `piece`. Raises `Fatal` if it does not fit (`Dialect.alias_buffers`)."""
        left = ALIAS_BUFFER - len(self.text)
        if self._table.dialect.alias_buffers and len(piece) >= left:
            raise self._table.log.fatal(
                f"alias buffer ({ALIAS_BUFFER}) overflow on append (need {len(piece)}, have {left})\n"
            )
        self.text += piece

    def append_visible(self, pattern: str) -> None:
        """Append the characters of `pattern` that are allowed in an alias (dmi_ascii_filter). Raises as `append`."""
        visible = "".join(c for c in pattern if " " < c < "\x7f" and c != ":")
        if self._table.dialect.alias_buffers and len(self.text) + len(visible) >= ALIAS_BUFFER:
            raise self._table.log.fatal("dmi_ascii_filter: alias buffer overflow\n")
        self.text += visible


def input_alias(entry: TableEntry) -> str:
    """Input devices (do_input_entry): bus, numbers, and the keys, axes, LEDs, ... that a device must have."""
    buffer = AliasBuffer(entry, "".join(part.text(entry) for part in INPUT_PARTS))
    flags = entry["flags"]
    for start, member, flag, first, last in INPUT_BITS:
        buffer.append(start)
        if flags & flag:
            bits = _bitmap(entry, member)
            for bit in range(first, last + entry.table.dialect.input_last_bit):
                if bits >> bit & 1:
                    buffer.append(f"{bit:X},*")
    return f"input:{buffer.text}"


def _bitmap(entry: TableEntry, member: str) -> int:
    """The bits of a member that is an array of longs, as one number."""
    octets, size = entry.bytes_of(member), entry.table.long_size
    words = (int.from_bytes(octets[at : at + size], entry.table.order) << 8 * at for at in range(0, len(octets), size))
    return sum(words)


def dmi_alias(entry: TableEntry) -> str:
    """DMI (do_dmi_entry): patterns for strings of the firmware, in a fixed order of fields."""
    offset, length = entry.offset_of("matches"), entry.size_of("matches") // 4
    matches = []
    for start in range(offset, offset + 4 * length, length):
        # The slot is a bit field of seven bits. modpost reads it in the bit order of the machine that it runs on, also
        # for a big-endian target.
        slot = entry.table.contents[entry.start + start] & 0x7F
        matches.append((slot, entry.string_at(start + 1)))
    buffer = AliasBuffer(entry)
    for prefix, field in DMI_FIELDS:
        for slot, pattern in matches:
            if slot == field:
                buffer.append(f":{prefix}*")
                buffer.append_visible(pattern)
                buffer.append("*")
    return f"dmi*{buffer.text}:"


def mdio_alias(entry: TableEntry) -> str:
    """MDIO (do_mdio_entry), Ethernet PHYs: 32 bits, each 0, 1 or open."""
    identity, mask = entry["phy_id"], entry["phy_id_mask"]
    return "mdio:" + "".join(
        "?" if not mask >> bit & 1 else "1" if identity >> bit & 1 else "0" for bit in range(31, -1, -1)
    )


def isapnp_alias(entry: TableEntry) -> str:
    """ISA PNP (do_isapnp_entry): vendor and function, decoded from the compressed form of EISA identifiers."""
    vendor, function = entry["vendor"], entry["function"]
    letters = ((vendor >> 2 & 0x3F), (vendor & 3) << 3 | vendor >> 13 & 7, vendor >> 8 & 0x1F)
    digits = (function >> 4 & 15, function & 15, function >> 12 & 15, function >> 8 & 15)
    return "pnp:d" + "".join(chr(64 + letter) for letter in letters) + "".join(f"{digit:x}" for digit in digits) + "*"


def amba_alias(entry: TableEntry) -> str:
    """AMBA (do_amba_entry): eight hexadecimal digits, each given, open, or one of a set. Raises `Fatal` for an identity
    with bits outside of the mask."""
    identity, mask = entry["id"], entry["mask"]
    if identity & mask != identity:
        raise entry.table.log.fatal(
            f"{entry.table.module}: Masked-off bit(s) of AMBA device ID are non-zero: id=0x{identity:08X}, "
            f"mask=0x{mask:08X}.  Please fix this driver.\n"
        )
    text = "amba:d"
    for shift in range(28, -1, -4):
        digit, bits = identity >> shift & 15, mask >> shift & 15
        if bits == 0:
            text += "?"
        elif bits == 15:
            text += f"{digit:X}"
        else:
            text += "[" + "".join(f"{other:X}" for other in range(16) if other & bits == digit) + "]"
    return text


def x86cpu_alias(entry: TableEntry) -> str:
    """x86 processors (do_x86cpu_entry): vendor, family, model and one feature."""
    text = "cpu:type:x86," + "".join(part.text(entry) for part in X86CPU_PARTS) + ":feature:*"
    return text + f"{entry['feature']:04X}*" if entry["feature"] else text


def mei_alias(entry: TableEntry) -> str:
    """Intel's management engine (do_mei_entry): name, UUID, version."""
    version = "*" if entry["version"] == 0xFF else entry.hexadecimal("version")
    return f"mei:{entry.string('name') or '*'}:{uuid_text(entry.bytes_of('uuid'))}:{version}:*"


def tbsvc_alias(entry: TableEntry) -> str:
    """Thunderbolt services (do_tbsvc_entry): the protocol's key, and numbers."""
    key = entry.string("protocol_key") if entry["match_flags"] & 1 else "*"
    return open_ended(f"tbsvc:k{key}" + "".join(part.text(entry) for part in TBSVC_PARTS))


def typec_alias(entry: TableEntry) -> str:
    """USB Type-C alternate modes (do_typec_entry): SVID and, up to 6.13, mode."""
    alias = f"typec:id{entry['svid']:04X}"
    if entry.table.dialect.typec_mode:
        alias += "m" + ("*" if entry["mode"] == 7 else entry.hexadecimal("mode"))
    return alias


def wmi_aliases(entry: TableEntry) -> Iterator[str]:
    """WMI (do_wmi_entry): a GUID, which the table has as text. No alias for an invalid GUID, but a warning."""
    guid = entry.string("guid_string")
    octets = guid.encode("utf-8", "surrogateescape")
    if len(octets) != 36:
        entry.table.log.warn(f"Invalid WMI device id 'wmi:{guid}' in '{entry.table.module}'\n")
        return
    if entry.table.dialect.wmi_upper_case:
        for at, octet in enumerate(octets):
            if octet != HYPHEN if at in (8, 13, 18, 23) else octet not in HEXADECIMAL:
                letter = bytes([octet]).decode("utf-8", "surrogateescape")
                entry.table.log.warn(
                    f"Invalid character {letter} inside WMI GUID string '{guid}' in '{entry.table.module}'\n"
                )
                return
        guid = _upper(guid)
    yield f"wmi:{guid}"


def ssam_alias(entry: TableEntry) -> str:
    """Surface devices (do_ssam_entry): domain, category, and target, instance and function, each given or open."""
    return f"ssam:d{entry['domain']:02X}c{entry['category']:02X}" + "".join(part.text(entry) for part in SSAM_PARTS)


def _upper(text: str) -> str:
    return text.translate(UPPER)


# These act as C's isspace() and toupper() in the C locale: on ASCII characters only.
SPACES = str.maketrans(dict.fromkeys(" \t\n\v\f\r", "_"))
UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
HYPHEN = ord("-")
PNP_MAX_DEVICES = 8
ALIAS_BUFFER = 256

PCI_PARTS = (
    Part("v", "vendor", any=ANY32),
    Part("d", "device", any=ANY32),
    Part("sv", "subvendor", any=ANY32),
    Part("sd", "subdevice", any=ANY32),
)
CDX_PARTS = (
    Part("v", "vendor", any=ANY16),
    Part("d", "device", any=ANY16),
    Part("sv", "subvendor", any=ANY16),
    Part("sd", "subdevice", any=ANY16),
)
PCMCIA_PARTS = (
    Part("m", "manf_id", flag=("match_flags", 0x1)),
    Part("c", "card_id", flag=("match_flags", 0x2)),
    Part("f", "func_id", flag=("match_flags", 0x4)),
    Part("fn", "function", flag=("match_flags", 0x8)),
    Part("pfn", "device_no", flag=("match_flags", 0x100)),
)
INPUT_PARTS = (
    Part("b", "bustype", flag=("flags", 0x1)),
    Part("v", "vendor", flag=("flags", 0x2)),
    Part("p", "product", flag=("flags", 0x4)),
    Part("e", "version", flag=("flags", 0x8)),
)
INPUT_BITS = (
    ("-e*", "evbit", 0x10, 0, 0x1F),
    ("k*", "keybit", 0x20, 0x71, 0x2FF),
    ("r*", "relbit", 0x40, 0, 0x0F),
    ("a*", "absbit", 0x80, 0, 0x3F),
    ("m*", "mscbit", 0x100, 0, 0x07),
    ("l*", "ledbit", 0x200, 0, 0x0F),
    ("s*", "sndbit", 0x400, 0, 0x07),
    ("f*", "ffbit", 0x800, 0, 0x7F),
    ("w*", "swbit", 0x1000, 0, 0x10),
)
DMI_FIELDS = (
    ("bvn", 1),
    ("bvr", 2),
    ("bd", 3),
    ("br", 4),
    ("efr", 5),
    ("svn", 6),
    ("pn", 7),
    ("pvr", 8),
    ("rvn", 13),
    ("rn", 14),
    ("rvr", 15),
    ("cvn", 18),
    ("ct", 19),
    ("cvr", 20),
)
X86CPU_PARTS = (
    Part("ven", "vendor", any=ANY16),
    Part("fam", "family", any=0),
    Part("mod", "model", any=0),
)
TBSVC_PARTS = (
    Part("p", "protocol_id", flag=("match_flags", 0x2)),
    Part("v", "protocol_version", flag=("match_flags", 0x4)),
    Part("r", "protocol_revision", flag=("match_flags", 0x8)),
)
SSAM_PARTS = (
    Part("t", "target", flag=("match_flags", 0x1)),
    Part("i", "instance", flag=("match_flags", 0x2)),
    Part("f", "function", flag=("match_flags", 0x4)),
)
