#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The guest's process 1 (tests.vm.loading reads what it reports).
#
# Loads what /modules/list names, one line each: NAME FILE [PARAMETER ...]; removes in reverse what was
# loaded; powers off. It reports through /dev/kmsg, so that its lines stand in the kernel log in order with
# the kernel's own, and the console shows both.

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

report() {
    echo "kbuildpy: $*" >/dev/kmsg
}

loaded=
while read -r name file parameters; do
    report "insmod $name"
    message=$(insmod "$file" ${parameters:+"$parameters"} 2>&1)
    status=$? # busybox's insmod exits with the errno of finit_module(2)
    report "status $status $message"
    if [ "$status" = 0 ]; then
        report "line $(grep "^$name " /proc/modules)"
        report "taints $(cat "/sys/module/$name/taint")"
        loaded="$name $loaded"
    fi
done </modules/list

for name in $loaded; do
    report "rmmod $name"
    message=$(rmmod "$name" 2>&1)
    status=$?
    report "status $status $message"
done

report "tainted $(cat /proc/sys/kernel/tainted)"
poweroff -f
