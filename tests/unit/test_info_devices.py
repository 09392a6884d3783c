# SPDX-License-Identifier: GPL-2.0-only
"""Aliases in words. What is in each alias stands in scripts/mod/file2alias.c and include/linux/mod_devicetable.h."""

from __future__ import annotations

import time

import pytest

from kbuildpy.info.devices import Match, in_words, match_of

WORDS = {
    "usb:v067Bp2303d*dc*dsc*dp*ic*isc*ip*in*": ("USB", "vendor 067b, product 2303"),
    "usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*": (
        "USB",
        "interface class 08 (mass storage), interface subclass 06, interface protocol 50",
    ),
    "usb:v0499p*d01[0-9]*dc*dsc*dp*icFFisc*ip*in02*": (
        "USB",
        "vendor 0499, release 01[0-9]*, interface class ff (vendor specific), interface 02",
    ),
    "usb:v*p*d*dc*dsc*dp*ic*isc*ip*in*": ("USB", "any device"),
    "pci:v00008086d0000100Esv*sd*bc*sc*i*": ("PCI", "vendor 8086, device 100e"),
    "pci:v*d*sv*sd*bc01sc06i01*": ("PCI", "class 010601 (SATA)"),
    "pci:v000010DEd*sv*sd*bc03sc*i*": ("PCI", "vendor 10de, class 03 (display)"),
    "vfio_pci:v*d*sv*sd*bc*sc*i*": ("PCI, when VFIO asks for it", "any device"),
    "hid:b0003g*v0000046Dp0000C299": ("HID", "bus 0003 (USB), vendor 046d, product c299"),
    "hid:b0005g0001v*p*": ("HID", "bus 0005 (Bluetooth), group 0001 (generic)"),
    "of:N*T*Cti,am3359-tscadc": ("device tree", "compatible ti,am3359-tscadc"),
    "of:NcpusTcpu*Carm,cortex": ("device tree", "name cpus, type cpu, compatible arm,cortex"),
    "acpi*:PNP0A03:*": ("ACPI", "id PNP0A03"),
    "acpi*:0106??:*": ("ACPI", "class 0106??"),
    "dmi*:svn*LENOVO*:pvr*ThinkPad*:": ("DMI", "system vendor contains LENOVO, product version contains ThinkPad"),
    "dmi:bvnIBM:*:pnIBMSystemx3550*": ("DMI", "BIOS vendor IBM, product IBMSystemx3550"),
    "platform:gpio-keys": ("platform", "gpio-keys"),
    "i2c:lm75": ("I2C", "lm75"),
    "spi:spidev": ("SPI", "spidev"),
    "mdio:0110000000001101100001001011????": ("MDIO", "PHY 600d84b?"),
    "cpu:type:x86,ven0000fam0006mod009D:feature:*": ("CPU", "vendor Intel, family 6, model 9d"),
    "cpu:type:x86,ven*fam*mod*:feature:*0099*": ("CPU", "feature 4*32+25"),
    "cpu:type:*:feature:*0011*": ("CPU", "feature 0*32+17"),
    "virtio:d00000001v*": ("virtio", "device 0001 (network)"),
    "input:b*v*p*e*-e*3,*k*r*a*6,*m*l*s*f*w*": ("input", "has absolute axes"),
    "input:b0003v046DpC21Ee*-e*k*r*a*m*l*s*f*w*": ("input", "bus 0003 (USB), vendor 046d, product c21e"),
    "serio:ty02pr03id*ex*": ("serio", "type 02 (RS-232), protocol 03"),
    "sdio:c*v024Cd0627*": ("SDIO", "vendor 024c, device 0627"),
    "pnp:dPNP0501*": ("PNP", "id PNP0501"),
    "devname:net/tun": ("device node /dev/", "net/tun"),
    "fs-ext4": ("file system", "ext4"),
    "net-pf-10": ("socket", "family 10 (AF_INET6)"),
    "net-pf-2-proto-132-type-1": ("socket", "family 2 (AF_INET), protocol 132, type 1"),
    "net-pf-16-proto-16-family-nbd": ("socket", "family 16 (AF_NETLINK), protocol 16, name nbd"),
    "char-major-10-200": ("character device", "10-200"),
    "crypto-aes": ("crypto algorithm", "aes"),
    "rtnl-link-vxlan": ("network link kind", "vxlan"),
    # What has the form of none of them stands as it is.
    "ext3": ("name", "ext3"),
    "usb:": ("name", "usb:"),
    "usb:vXYZ": ("name", "usb:vXYZ"),
    "pci:v00008086": ("name", "pci:v00008086"),
    "of:x": ("name", "of:x"),
    "mdio:01": ("name", "mdio:01"),
    "net-pf-x": ("name", "net-pf-x"),
    "fs-": ("name", "fs-"),
    "": ("name", ""),
}


@pytest.mark.parametrize("alias", WORDS)
def test_says_which_devices_an_alias_is_for(alias: str) -> None:
    assert match_of(alias) == WORDS[alias]


def test_both_aliases_of_an_entry_of_a_device_tree_are_one_device() -> None:
    assert in_words(["of:N*T*Cacme,x", "of:N*T*Cacme,xC*", "i2c:x"]) == [
        Match("device tree", "compatible acme,x"),
        Match("I2C", "x"),
    ]


@pytest.mark.parametrize("alias", ["of:N" + "TC" * 3000 + "\n", "net-pf-1-proto-1-family-" + "-family-" * 3000 + "\n"])
def test_an_alias_that_was_made_to_take_long_does_not(alias: str) -> None:
    """A module may have any alias."""
    began = time.process_time()
    match_of(alias)
    assert time.process_time() - began < 1
