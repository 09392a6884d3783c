"""What each kind of device table says: facts of include/linux/mod_devicetable.h and scripts/mod/file2alias.c.

Most tables are a prefix and a run of `Part`s: a letter or two and a member's value in hexadecimal, or `*`
when the entry leaves that member open. Those are data; what is not that regular is a function below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kbuildpy.modpost.aliases import Entry
from kbuildpy.modpost.usb import usb_aliases


@dataclass(frozen=True)
class Part:
    """One piece of a regular alias: `separator`, then `member`, or `*` when it is open.

    It is open when `flag` (a member and its bits) has none of the bits set, or when it has the value `any`.
    """

    separator: str
    member: str
    flag: tuple[str, int] | None = None
    any: int | None = None

    def text(self, entry: Entry) -> str:
        """The piece for `entry`."""
        given = bool(entry[self.flag[0]] & self.flag[1]) if self.flag is not None else entry[self.member] != self.any
        return self.separator + (entry.hexadecimal(self.member) if given else "*")


@dataclass(frozen=True)
class Table:
    """One kind of table: its struct, the members that count, and how an entry turns into aliases."""

    struct: str
    members: tuple[str, ...]
    aliases: Callable[[Entry], Iterable[str]]
    label: str = ""


def regular(struct: str, prefix: str, parts: tuple[Part, ...], *, wildcard: bool = False) -> Table:
    """A table of regular aliases; `wildcard` ends them in `*`, for members of the future."""

    def aliases(entry: Entry) -> Iterator[str]:
        text = prefix + "".join(part.text(entry) for part in parts)
        yield open_ended(text) if wildcard else text

    members = dict.fromkeys(
        name for part in parts for name in ((part.flag[0],) if part.flag is not None else ()) + (part.member,)
    )
    return Table(struct, tuple(members), aliases)


def formatted(struct: str, members: tuple[str, ...], alias: Callable[[Entry], str]) -> Table:
    """A table with exactly one alias per entry."""
    return Table(struct, members, lambda entry: (alias(entry),))


def named(struct: str, prefix: str, member: str = "name") -> Table:
    """A table whose entries are names."""
    return formatted(struct, (member,), lambda entry: prefix + entry.string(member))


def open_ended(alias: str) -> str:
    """`alias` with a `*` at its end."""
    return alias if alias.endswith("*") else alias + "*"


def uuid_text(octets: bytes, *, mixed: bool = True) -> str:
    """A UUID's usual form; `mixed` says that its first three fields are little-endian (guid_t, uuid_le)."""
    if mixed:
        octets = octets[3::-1] + octets[5:3:-1] + octets[7:5:-1] + octets[8:]
    digits = octets.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _underscores(text: str) -> str:
    return text.translate(SPACES)


def _pci(entry: Entry) -> Iterator[str]:
    prefix = "pci:"
    if entry["override_only"] == 1:
        prefix = "vfio_pci:"
    elif entry["override_only"]:
        entry.table.log.warn(f"Unknown PCI driver_override alias {entry['override_only']:08X}\n")
        if not entry.table.dialect.alias_buffers:
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


def _cdx(entry: Entry) -> Iterator[str]:
    if entry["override_only"] > 1:
        entry.table.log.warn(f"Unknown CDX driver_override alias {entry['override_only']:08X}\n")
        return
    text = ("vfio_" if entry["override_only"] else "") + "cdx:" + "".join(part.text(entry) for part in CDX_PARTS)
    yield text + "c" + (entry.hexadecimal("class") if entry["class_mask"] == 0xFFFFFF else "*")


def _of(entry: Entry) -> Iterator[str]:
    name, type_, compatible = entry.string("name"), entry.string("type"), entry.string("compatible")
    alias = f"of:N{name or '*'}T{type_ or '*'}"
    if compatible:
        alias += f"{'*' if type_ else ''}C{compatible}"
    alias = _underscores(alias)
    yield alias
    yield alias + "C*"


def _acpi(entry: Entry) -> str:
    name = entry.string("id")
    if not name:
        for shift in (16, 8, 0):
            given = entry["cls_msk"] >> shift & 0xFF
            name += f"{entry['cls'] >> shift & 0xFF:02x}" if given else "??"
    return f"acpi*:{name}:*"


def _pnp_id(name: str, size: int) -> Iterator[str]:
    yield f"pnp:d{name}*"
    yield f"acpi*:{_upper(name[:size])}:*"


def _pnp(entry: Entry) -> Iterator[str]:
    yield from _pnp_id(entry.string("id"), entry.size_of("id"))


def _pnp_card_ids(entry: Entry) -> list[str]:
    offset, length = entry.offset_of("devs"), entry.size_of("devs") // PNP_MAX_DEVICES
    names: list[str] = []
    for number in range(PNP_MAX_DEVICES):
        name = entry.string_at(offset + number * length)
        if not name:
            break
        names.append(name)
    return names


def _pnp_card(entry: Entry) -> Iterator[str]:
    known = {name for earlier in entry.earlier() for name in _pnp_card_ids(earlier)}
    length = entry.size_of("devs") // PNP_MAX_DEVICES
    for name in _pnp_card_ids(entry):
        if name not in known:
            yield from _pnp_id(name, length)


def _vio(entry: Entry) -> str:
    return open_ended(_underscores(f"vio:T{entry.string('type') or '*'}S{entry.string('compat') or '*'}"))


def _pcmcia(entry: Entry) -> str:
    text = "pcmcia:" + "".join(part.text(entry) for part in PCMCIA_PARTS)
    hashes = entry.bytes_of("prod_id_hash")
    for number, letter in enumerate("abcd"):
        given = entry["match_flags"] & 0x10 << number
        value = int.from_bytes(hashes[4 * number : 4 * number + 4], entry.table.order)
        text += f"p{letter}" + (f"{value:08X}" if given else "*")
    return open_ended(text)


class AliasBuffer:
    """An alias that grows piece by piece; newer kernels give it `ALIAS_BUFFER` bytes (alias_append)."""

    def __init__(self, entry: Entry, start: str = "") -> None:
        self._table = entry.table
        self.text = start

    def append(self, piece: str) -> None:
        """Add `piece`."""
        left = ALIAS_BUFFER - len(self.text)
        if self._table.dialect.alias_buffers and len(piece) >= left:
            raise self._table.log.fatal(
                f"alias buffer ({ALIAS_BUFFER}) overflow on append (need {len(piece)}, have {left})\n"
            )
        self.text += piece

    def append_visible(self, pattern: str) -> None:
        """Add the characters of `pattern` that may stand in an alias (dmi_ascii_filter)."""
        visible = "".join(c for c in pattern if " " < c < "\x7f" and c != ":")
        if self._table.dialect.alias_buffers and len(self.text) + len(visible) >= ALIAS_BUFFER:
            raise self._table.log.fatal("dmi_ascii_filter: alias buffer overflow\n")
        self.text += visible


def _input(entry: Entry) -> str:
    buffer = AliasBuffer(entry, "".join(part.text(entry) for part in INPUT_PARTS))
    flags = entry["flags"]
    for start, member, flag, first, last in INPUT_BITS:
        buffer.append(start)
        if flags & flag:
            bits = _bitmap(entry, member)
            for bit in range(first, last + 1):
                if bits >> bit & 1:
                    buffer.append(f"{bit:X},*")
    return f"input:{buffer.text}"


def _bitmap(entry: Entry, member: str) -> int:
    """An array of longs as one number, bit for bit."""
    octets, size = entry.bytes_of(member), entry.table.long_size
    words = (int.from_bytes(octets[at : at + size], entry.table.order) << 8 * at for at in range(0, len(octets), size))
    return sum(words)


def _dmi(entry: Entry) -> str:
    offset, length = entry.offset_of("matches"), entry.size_of("matches") // 4
    matches = []
    for start in range(offset, offset + 4 * length, length):
        # seven bits of a byte; modpost takes its own machine's bit order, also for a big-endian target
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


def _mdio(entry: Entry) -> str:
    identity, mask = entry["phy_id"], entry["phy_id_mask"]
    return "mdio:" + "".join(
        "?" if not mask >> bit & 1 else "1" if identity >> bit & 1 else "0" for bit in range(31, -1, -1)
    )


def _isapnp(entry: Entry) -> str:
    vendor, function = entry["vendor"], entry["function"]
    letters = ((vendor >> 2 & 0x3F), (vendor & 3) << 3 | vendor >> 13 & 7, vendor >> 8 & 0x1F)
    digits = (function >> 4 & 15, function & 15, function >> 12 & 15, function >> 8 & 15)
    return "pnp:d" + "".join(chr(64 + letter) for letter in letters) + "".join(f"{digit:x}" for digit in digits) + "*"


def _amba(entry: Entry) -> str:
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


def _x86cpu(entry: Entry) -> str:
    text = "cpu:type:x86," + "".join(part.text(entry) for part in X86CPU_PARTS) + ":feature:*"
    return text + f"{entry['feature']:04X}*" if entry["feature"] else text


def _mei(entry: Entry) -> str:
    version = "*" if entry["version"] == 0xFF else entry.hexadecimal("version")
    return f"mei:{entry.string('name') or '*'}:{uuid_text(entry.bytes_of('uuid'))}:{version}:*"


def _tbsvc(entry: Entry) -> str:
    key = entry.string("protocol_key") if entry["match_flags"] & 1 else "*"
    return open_ended(f"tbsvc:k{key}" + "".join(part.text(entry) for part in TBSVC_PARTS))


def _typec(entry: Entry) -> str:
    alias = f"typec:id{entry['svid']:04X}"
    if entry.table.dialect.typec_mode:
        alias += "m" + ("*" if entry["mode"] == 7 else entry.hexadecimal("mode"))
    return alias


def _wmi(entry: Entry) -> Iterator[str]:
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


def _ssam(entry: Entry) -> str:
    return f"ssam:d{entry['domain']:02X}c{entry['category']:02X}" + "".join(part.text(entry) for part in SSAM_PARTS)


def _upper(text: str) -> str:
    return text.translate(UPPER)


# C's isspace() and toupper() in the C locale: ASCII only.
SPACES = str.maketrans(dict.fromkeys(" \t\n\v\f\r", "_"))
UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
HYPHEN = ord("-")
ANY32, ANY16, ANY8 = 0xFFFFFFFF, 0xFFFF, 0xFF
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

TABLES: dict[str, Table] = {
    "usb": Table(
        "usb_device_id",
        (
            "match_flags",
            "idVendor",
            "idProduct",
            "bcdDevice_lo",
            "bcdDevice_hi",
            "bDeviceClass",
            "bDeviceSubClass",
            "bDeviceProtocol",
            "bInterfaceClass",
            "bInterfaceSubClass",
            "bInterfaceProtocol",
            "bInterfaceNumber",
        ),
        usb_aliases,
    ),
    "of": Table("of_device_id", ("name", "type", "compatible"), _of),
    "pnp": Table("pnp_device_id", ("id",), _pnp),
    "pnp_card": Table("pnp_card_device_id", ("devs",), _pnp_card, label="pnp"),
    "hid": regular(
        "hid_device_id",
        "hid:",
        (
            Part("b", "bus", any=ANY16),
            Part("g", "group", any=0),
            Part("v", "vendor", any=ANY32),
            Part("p", "product", any=ANY32),
        ),
    ),
    "ieee1394": regular(
        "ieee1394_device_id",
        "ieee1394:",
        (
            Part("ven", "vendor_id", flag=("match_flags", 0x1)),
            Part("mo", "model_id", flag=("match_flags", 0x2)),
            Part("sp", "specifier_id", flag=("match_flags", 0x4)),
            Part("ver", "version", flag=("match_flags", 0x8)),
        ),
        wildcard=True,
    ),
    "pci": Table(
        "pci_device_id",
        ("vendor", "device", "subvendor", "subdevice", "class", "class_mask", "override_only"),
        _pci,
    ),
    "ccw": regular(
        "ccw_device_id",
        "ccw:",
        (
            Part("t", "cu_type", flag=("match_flags", 0x1)),
            Part("m", "cu_model", flag=("match_flags", 0x2)),
            Part("dt", "dev_type", flag=("match_flags", 0x4)),
            Part("dm", "dev_model", flag=("match_flags", 0x8)),
        ),
        wildcard=True,
    ),
    "ap": formatted("ap_device_id", ("dev_type",), lambda entry: f"ap:t{entry['dev_type']:02X}*"),
    "css": formatted("css_device_id", ("type",), lambda entry: f"css:t{entry['type']:01X}"),
    "serio": regular(
        "serio_device_id",
        "serio:",
        (
            Part("ty", "type", any=ANY8),
            Part("pr", "proto", any=ANY8),
            Part("id", "id", any=ANY8),
            Part("ex", "extra", any=ANY8),
        ),
        wildcard=True,
    ),
    "acpi": formatted("acpi_device_id", ("id", "cls", "cls_msk"), _acpi),
    "pcmcia": formatted(
        "pcmcia_device_id",
        ("match_flags", "manf_id", "card_id", "func_id", "function", "device_no", "prod_id_hash"),
        _pcmcia,
    ),
    "vio": formatted("vio_device_id", ("type", "compat"), _vio),
    "input": formatted(
        "input_device_id",
        ("flags", "bustype", "vendor", "product", "version", *(member for _, member, _, _, _ in INPUT_BITS)),
        _input,
    ),
    "eisa": formatted("eisa_device_id", ("sig",), lambda entry: f"eisa:s{entry.string('sig')}*"),
    "parisc": regular(
        "parisc_device_id",
        "parisc:",
        (
            Part("t", "hw_type", any=ANY8),
            Part("hv", "hversion", any=ANY16),
            Part("rev", "hversion_rev", any=ANY8),
            Part("sv", "sversion", any=ANY32),
        ),
        wildcard=True,
    ),
    "sdio": regular(
        "sdio_device_id",
        "sdio:",
        (Part("c", "class", any=ANY8), Part("v", "vendor", any=ANY16), Part("d", "device", any=ANY16)),
        wildcard=True,
    ),
    "ssb": regular(
        "ssb_device_id",
        "ssb:",
        (Part("v", "vendor", any=ANY16), Part("id", "coreid", any=ANY16), Part("rev", "revision", any=ANY8)),
        wildcard=True,
    ),
    "bcma": regular(
        "bcma_device_id",
        "bcma:",
        (
            Part("m", "manuf", any=ANY16),
            Part("id", "id", any=ANY16),
            Part("rev", "rev", any=ANY8),
            Part("cl", "class", any=ANY8),
        ),
        wildcard=True,
    ),
    "virtio": regular(
        "virtio_device_id",
        "virtio:",
        (Part("d", "device", any=ANY32), Part("v", "vendor", any=ANY32)),
        wildcard=True,
    ),
    "vmbus": formatted("hv_vmbus_device_id", ("guid",), lambda entry: f"vmbus:{entry.bytes_of('guid').hex()}"),
    "rpmsg": named("rpmsg_device_id", "rpmsg:"),
    "i2c": named("i2c_device_id", "i2c:"),
    "i3c": regular(
        "i3c_device_id",
        "i3c:",
        (
            Part("dcr", "dcr", flag=("match_flags", 0x1)),
            Part("manuf", "manuf_id", flag=("match_flags", 0x2)),
            Part("part", "part_id", flag=("match_flags", 0x4)),
            Part("ext", "extra_info", flag=("match_flags", 0x8)),
        ),
    ),
    "slim": formatted(
        "slim_device_id",
        ("manf_id", "prod_code"),
        lambda entry: f"slim:{entry['manf_id']:x}:{entry['prod_code']:x}:*",
    ),
    "spi": named("spi_device_id", "spi:"),
    "dmi": formatted("dmi_system_id", ("matches",), _dmi),
    "platform": named("platform_device_id", "platform:"),
    "mdio": formatted("mdio_device_id", ("phy_id", "phy_id_mask"), _mdio),
    "zorro": regular("zorro_device_id", "zorro:", (Part("i", "id", any=ANY32),)),
    "isapnp": formatted("isapnp_device_id", ("vendor", "function"), _isapnp),
    "ipack": regular(
        "ipack_device_id",
        "ipack:",
        (Part("f", "format", any=ANY8), Part("v", "vendor", any=ANY32), Part("d", "device", any=ANY32)),
        wildcard=True,
    ),
    "amba": formatted("amba_id", ("id", "mask"), _amba),
    "mipscdmm": formatted("mips_cdmm_device_id", ("type",), lambda entry: f"mipscdmm:t{entry['type']:02X}*"),
    "x86cpu": formatted("x86_cpu_id", ("feature", "family", "model", "vendor"), _x86cpu),
    "cpu": formatted("cpu_feature", ("feature",), lambda entry: f"cpu:type:*:feature:*{entry['feature']:04X}*"),
    "mcb": formatted("mcb_device_id", ("device",), lambda entry: f"mcb:16z{entry['device']:03d}"),
    "mei": formatted("mei_cl_device_id", ("name", "uuid", "version"), _mei),
    "rapidio": regular(
        "rio_device_id",
        "rapidio:",
        (
            Part("v", "vid", any=ANY16),
            Part("d", "did", any=ANY16),
            Part("av", "asm_vid", any=ANY16),
            Part("ad", "asm_did", any=ANY16),
        ),
        wildcard=True,
    ),
    "ulpi": formatted(
        "ulpi_device_id", ("vendor", "product"), lambda entry: f"ulpi:v{entry['vendor']:04x}p{entry['product']:04x}"
    ),
    "hdaudio": regular(
        "hda_device_id",
        "hdaudio:",
        (Part("v", "vendor_id", any=0), Part("r", "rev_id", any=0), Part("a", "api_version", any=0)),
        wildcard=True,
    ),
    "sdw": regular(
        "sdw_device_id",
        "sdw:",
        (
            Part("m", "mfg_id", any=0),
            Part("p", "part_id", any=0),
            Part("v", "sdw_version", any=0),
            Part("c", "class_id", any=0),
        ),
        wildcard=True,
    ),
    "fslmc": formatted(
        "fsl_mc_device_id",
        ("vendor", "obj_type"),
        lambda entry: f"fsl-mc:v{entry['vendor']:08X}d{entry.string('obj_type')}",
    ),
    "tbsvc": formatted(
        "tb_service_id",
        ("match_flags", "protocol_key", "protocol_id", "protocol_version", "protocol_revision"),
        _tbsvc,
    ),
    "typec": formatted("typec_device_id", ("svid", "mode"), _typec),
    "tee": formatted(
        "tee_client_device_id",
        ("uuid",),
        lambda entry: open_ended(f"tee:{uuid_text(entry.bytes_of('uuid'), mixed=False)}"),
    ),
    "wmi": Table("wmi_device_id", ("guid_string",), _wmi),
    "mhi": named("mhi_device_id", "mhi:", "chan"),
    "mhi_ep": named("mhi_device_id", "mhi_ep:", "chan"),
    "auxiliary": named("auxiliary_device_id", "auxiliary:"),
    "ssam": formatted("ssam_device_id", ("match_flags", "domain", "category", "target", "instance", "function"), _ssam),
    "dfl": formatted(
        "dfl_device_id",
        ("type", "feature_id"),
        lambda entry: open_ended(f"dfl:t{entry['type']:04X}f{entry['feature_id']:04X}"),
    ),
    "ishtp": formatted(
        "ishtp_device_id", ("guid",), lambda entry: f"ishtp:{{{uuid_text(entry.bytes_of('guid')).upper()}}}"
    ),
    "cdx": Table(
        "cdx_device_id",
        ("vendor", "device", "subvendor", "subdevice", "class", "class_mask", "override_only"),
        _cdx,
    ),
    "vchiq": named("vchiq_device_id", "vchiq:"),
    "coreboot": formatted("coreboot_device_id", ("tag",), lambda entry: f"coreboot:t{entry['tag']:08X}"),
}

STRUCTS: dict[str, tuple[str, ...]] = {table.struct: table.members for table in TABLES.values()}
