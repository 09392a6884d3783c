# SPDX-License-Identifier: GPL-2.0-only
"""The kinds of device tables (include/linux/mod_devicetable.h, scripts/mod/file2alias.c).

The aliases of a regular table are a prefix and a series of `Part`s: each has letters and the value of a member in
hexadecimal, or `*` if the entry leaves the member open. Irregular tables have functions in `irregular_tables` and
`usb`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kbuildpy.modpost.alias_parts import ANY8, ANY16, ANY32, Part, open_ended, uuid_text
from kbuildpy.modpost.irregular_tables import (
    INPUT_BITS,
    acpi_alias,
    amba_alias,
    cdx_aliases,
    dmi_alias,
    input_alias,
    isapnp_alias,
    mdio_alias,
    mei_alias,
    of_aliases,
    pci_aliases,
    pcmcia_alias,
    pnp_aliases,
    pnp_card_aliases,
    ssam_alias,
    tbsvc_alias,
    typec_alias,
    vio_alias,
    wmi_aliases,
    x86cpu_alias,
)
from kbuildpy.modpost.table_entry import TableEntry
from kbuildpy.modpost.usb import usb_aliases


@dataclass(frozen=True)
class Table:
    """One kind of device table."""

    struct: str
    """The name of the struct of an entry."""
    members: tuple[str, ...]
    """The members of the struct that the aliases depend on."""
    aliases: Callable[[TableEntry], Iterable[str]]
    """Returns the aliases of an entry."""
    label: str = ""
    """The name of the kind in messages, if it differs."""


def regular(struct: str, prefix: str, parts: tuple[Part, ...], *, wildcard: bool = False) -> Table:
    """A table of regular aliases. With `wildcard` they end in `*`, so that they still match when a later kernel adds
    parts to device names."""

    def aliases(entry: TableEntry) -> Iterator[str]:
        text = prefix + "".join(part.text(entry) for part in parts)
        yield open_ended(text) if wildcard else text

    members = dict.fromkeys(
        name for part in parts for name in ((part.flag[0],) if part.flag is not None else ()) + (part.member,)
    )
    return Table(struct, tuple(members), aliases)


def formatted(struct: str, members: tuple[str, ...], alias: Callable[[TableEntry], str]) -> Table:
    """A table with exactly one alias per entry."""
    return Table(struct, members, lambda entry: (alias(entry),))


def named(struct: str, prefix: str, member: str = "name") -> Table:
    """A table whose aliases are `prefix` and the text of `member`."""
    return formatted(struct, (member,), lambda entry: prefix + entry.string(member))


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
    "of": Table("of_device_id", ("name", "type", "compatible"), of_aliases),
    "pnp": Table("pnp_device_id", ("id",), pnp_aliases),
    "pnp_card": Table("pnp_card_device_id", ("devs",), pnp_card_aliases, label="pnp"),
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
        pci_aliases,
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
    "acpi": formatted("acpi_device_id", ("id", "cls", "cls_msk"), acpi_alias),
    "pcmcia": formatted(
        "pcmcia_device_id",
        ("match_flags", "manf_id", "card_id", "func_id", "function", "device_no", "prod_id_hash"),
        pcmcia_alias,
    ),
    "vio": formatted("vio_device_id", ("type", "compat"), vio_alias),
    "input": formatted(
        "input_device_id",
        ("flags", "bustype", "vendor", "product", "version", *(member for _, member, _, _, _ in INPUT_BITS)),
        input_alias,
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
    "dmi": formatted("dmi_system_id", ("matches",), dmi_alias),
    "platform": named("platform_device_id", "platform:"),
    "mdio": formatted("mdio_device_id", ("phy_id", "phy_id_mask"), mdio_alias),
    "zorro": regular("zorro_device_id", "zorro:", (Part("i", "id", any=ANY32),)),
    "isapnp": formatted("isapnp_device_id", ("vendor", "function"), isapnp_alias),
    "ipack": regular(
        "ipack_device_id",
        "ipack:",
        (Part("f", "format", any=ANY8), Part("v", "vendor", any=ANY32), Part("d", "device", any=ANY32)),
        wildcard=True,
    ),
    "amba": formatted("amba_id", ("id", "mask"), amba_alias),
    "mipscdmm": formatted("mips_cdmm_device_id", ("type",), lambda entry: f"mipscdmm:t{entry['type']:02X}*"),
    "x86cpu": formatted("x86_cpu_id", ("feature", "family", "model", "vendor"), x86cpu_alias),
    "cpu": formatted("cpu_feature", ("feature",), lambda entry: f"cpu:type:*:feature:*{entry['feature']:04X}*"),
    "mcb": formatted("mcb_device_id", ("device",), lambda entry: f"mcb:16z{entry['device']:03d}"),
    "mei": formatted("mei_cl_device_id", ("name", "uuid", "version"), mei_alias),
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
        tbsvc_alias,
    ),
    "typec": formatted("typec_device_id", ("svid", "mode"), typec_alias),
    "tee": formatted(
        "tee_client_device_id",
        ("uuid",),
        lambda entry: open_ended(f"tee:{uuid_text(entry.bytes_of('uuid'), mixed=False)}"),
    ),
    "wmi": Table("wmi_device_id", ("guid_string",), wmi_aliases),
    "mhi": named("mhi_device_id", "mhi:", "chan"),
    "mhi_ep": named("mhi_device_id", "mhi_ep:", "chan"),
    "auxiliary": named("auxiliary_device_id", "auxiliary:"),
    "ssam": formatted(
        "ssam_device_id", ("match_flags", "domain", "category", "target", "instance", "function"), ssam_alias
    ),
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
        cdx_aliases,
    ),
    "vchiq": named("vchiq_device_id", "vchiq:"),
    "coreboot": formatted("coreboot_device_id", ("tag",), lambda entry: f"coreboot:t{entry['tag']:08X}"),
}

STRUCTS: dict[str, tuple[str, ...]] = {table.struct: table.members for table in TABLES.values()}
