# SPDX-License-Identifier: GPL-2.0-only
"""Names for the numbers in aliases: classes of USB and PCI, buses of HID, kinds of virtio and others.

Sources: include/linux/usb/ch9.h and include/uapi/linux/usb/ch9.h, include/linux/pci_ids.h, include/uapi/linux/input.h,
include/linux/hid.h, include/uapi/linux/virtio_ids.h, include/uapi/linux/serio.h, arch/x86/include/asm/processor.h,
include/linux/socket.h, include/uapi/linux/netlink.h. Keys are hexadecimal as aliases have them, in small letters,
without zeros in front.
"""

from __future__ import annotations

USB_CLASSES = {
    "1": "audio",
    "2": "communications",
    "3": "HID",
    "5": "physical interface",
    "6": "still image",
    "7": "printer",
    "8": "mass storage",
    "9": "hub",
    "a": "CDC data",
    "b": "smart card",
    "d": "content security",
    "e": "video",
    "f": "personal healthcare",
    "10": "audio and video",
    "dc": "diagnostic",
    "e0": "wireless controller",
    "ef": "miscellaneous",
    "fe": "application specific",
    "ff": "vendor specific",
}

PCI_CLASSES = {
    "0": "unclassified",
    "1": "mass storage",
    "2": "network",
    "3": "display",
    "4": "multimedia",
    "5": "memory",
    "6": "bridge",
    "7": "communication",
    "8": "system peripheral",
    "9": "input",
    "a": "docking station",
    "b": "processor",
    "c": "serial bus",
    "d": "wireless",
    "e": "intelligent I/O",
    "f": "satellite",
    "10": "encryption",
    "11": "signal processing",
    "12": "accelerator",
}

PCI_SUBCLASSES = {
    ("1", "1"): "IDE",
    ("1", "4"): "RAID",
    ("1", "6"): "SATA",
    ("1", "7"): "SAS",
    ("1", "8"): "NVMe",
    ("2", "0"): "Ethernet",
    ("3", "0"): "VGA",
    ("4", "3"): "HD audio",
    ("6", "4"): "PCI bridge",
    ("7", "0"): "serial port",
    ("8", "5"): "SD host",
    ("c", "0"): "FireWire",
    ("c", "3"): "USB",
    ("c", "5"): "SMBus",
}

INPUT_BUSES = {
    "1": "PCI",
    "3": "USB",
    "4": "HIL",
    "5": "Bluetooth",
    "6": "virtual",
    "10": "ISA",
    "11": "i8042",
    "13": "RS-232",
    "18": "I2C",
    "19": "host",
    "1c": "SPI",
    "1d": "RMI",
    "1e": "CEC",
    "1f": "Intel ISHTP",
    "20": "AMD SFH",
}

HID_GROUPS = {
    "1": "generic",
    "2": "multitouch",
    "3": "sensor hub",
    "4": "multitouch of Windows 8",
    "100": "Synaptics RMI",
    "101": "Wacom",
    "102": "Logitech DJ",
    "103": "Steam",
    "104": "Logitech 27 MHz",
    "105": "Vivaldi",
}

INPUT_EVENTS = {
    "1": "keys",
    "2": "relative axes",
    "3": "absolute axes",
    "4": "miscellaneous",
    "5": "switches",
    "11": "LEDs",
    "12": "sounds",
    "14": "repetition",
    "15": "force feedback",
}

VIRTIO_KINDS = {
    "1": "network",
    "2": "block",
    "3": "console",
    "4": "entropy",
    "5": "balloon",
    "7": "rpmsg",
    "8": "SCSI",
    "9": "9P",
    "b": "remoteproc serial",
    "10": "GPU",
    "12": "input",
    "13": "vsock",
    "14": "crypto",
    "17": "IOMMU",
    "18": "memory",
    "19": "sound",
    "1a": "file system",
    "1b": "persistent memory",
    "1d": "wireless simulator",
    "20": "SCMI",
    "22": "I2C adapter",
    "28": "Bluetooth",
    "29": "GPIO",
}

SERIO_TYPES = {"1": "i8042", "2": "RS-232", "3": "HIL", "5": "PS/2 pass-through", "6": "i8042 with translation"}

X86_VENDORS = {"0": "Intel", "1": "Cyrix", "2": "AMD", "3": "UMC", "5": "Centaur", "9": "Hygon", "a": "Zhaoxin"}

PROTOCOL_FAMILIES = {
    "1": "AF_UNIX",
    "2": "AF_INET",
    "3": "AF_AX25",
    "4": "AF_IPX",
    "5": "AF_APPLETALK",
    "8": "AF_ATMPVC",
    "9": "AF_X25",
    "10": "AF_INET6",
    "11": "AF_ROSE",
    "15": "AF_KEY",
    "16": "AF_NETLINK",
    "17": "AF_PACKET",
    "20": "AF_ATMSVC",
    "21": "AF_RDS",
    "24": "AF_PPPOX",
    "26": "AF_LLC",
    "28": "AF_MPLS",
    "29": "AF_CAN",
    "30": "AF_TIPC",
    "31": "AF_BLUETOOTH",
    "33": "AF_RXRPC",
    "35": "AF_PHONET",
    "36": "AF_IEEE802154",
    "38": "AF_ALG",
    "39": "AF_NFC",
    "40": "AF_VSOCK",
    "41": "AF_KCM",
    "42": "AF_QIPCRTR",
    "43": "AF_SMC",
    "44": "AF_XDP",
    "45": "AF_MCTP",
}
"""Decimal, as in the aliases."""

DMI_FIELDS = {
    "bvn": "BIOS vendor",
    "bvr": "BIOS version",
    "bd": "BIOS date",
    "br": "BIOS release",
    "efr": "firmware release",
    "svn": "system vendor",
    "pn": "product",
    "pvr": "product version",
    "rvn": "board vendor",
    "rn": "board",
    "rvr": "board version",
    "cvn": "chassis vendor",
    "ct": "chassis type",
    "cvr": "chassis version",
    "sku": "product SKU",
    "pfm": "product family",
}
"""(scripts/mod/file2alias.c: dmi_fields; drivers/firmware/dmi-id.c)"""
