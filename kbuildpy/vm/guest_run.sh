#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The guest's process 1 for `kbuildpy run` (kbuildpy.vm.reports reads what it reports).
#
# Loads what /modules/list names, one line each: NUMBER NAME FLAGS FILE [PARAMETERS], where the flag `d` is for a module
# that has debug messages, `n` for one that the tests need, and `s` for one
# before whose init function a debugger wants to stop; runs the tests; removes the modules in reverse order.
# It reports through /dev/kmsg, so that its lines stand in the kernel log in order with the kernel's own, and
# the console shows both. Settings are variables in /modules/settings: limit (seconds that an init or exit function
# may take), console (the serial port), sections, wait, keep and each (1 or nothing), tests (their number, or nothing),
# test_limit (seconds for each), linger (seconds to go on with the modules loaded), refused (names of modules that are
# missing for the tests), watcher (a module that watches the others, and its parameters, or nothing), marker: what a
# report begins with, vouched: the first words of those reports that decide a result, and vouchers: what these end
# with, a word for each, which no module can know before it is in the log (kbuildpy.vm.vouching).
#
# An init or exit function may never return. So each call runs in the background, and answers
# through a pipe that is read with a time limit.

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mkdir -p /run

. /modules/settings
: >/modules/settings

# (Only this process makes reports with a voucher, one after the other.)
report() {
    reported=$* voucher=
    case " $vouched " in
        *" ${reported%% *} "*)
            voucher=" ${vouchers%% *}"
            vouchers=${vouchers#* }
            ;;
    esac
    # (the kernel accepts about 1000 bytes for a line)
    printf '%s%.900s%s\n' "$marker: " "$reported" "$voucher" >/dev/kmsg
    printf '%.900s\n' "$reported" >>/run/reports
}

# Repeat all reports if some were overwritten before they were printed: a module may flood the log.
repeat() {
    dmesg | grep -F "$marker: " | grep -cvF "$marker: out" >/run/logged
    [ "$(cat /run/logged)" -lt "$(grep -c . /run/reports)" ] || return
    cp /run/reports /run/repeated
    lines=0
    while IFS= read -r line; do
        report "again $line"
        # (newer kernels print in a thread, which may be late again)
        lines=$(((lines + 1) % 100))
        [ $lines != 0 ] || sleep 0.3
    done </run/repeated
    report "repeated $(grep -c . /run/repeated)"
}

calls=0

# Call the kernel for a module, and set errno: a number, `killed`, or `late`.
call() {
    calls=$((calls + 1))
    answer=/run/$calls
    mkfifo "$answer"
    exec 3<>"$answer"
    {
        module_call "$@" >"$answer.errno" &
        echo $! >"$answer.pid"
        wait $! 2>/dev/null
        read -r errno <"$answer.errno"
        echo "${errno:-killed}" >&3
    } &
    [ -z "$stops" ] || wait_for_init
    if read -r -t "$limit" errno <&3; then
        report "pid $(cat "$answer.pid")"
        report "errno $errno"
    else
        errno=late
        late "$(cat "$answer.pid")"
    fi
    exec 3>&-
    report "tainted $(cat /proc/sys/kernel/tainted)"
    lockdep
}

# Let the debugger's side set its breakpoint: tell it where the functions are that it needs, and wait for a line.
ask_to_stop() {
    report "stop $(awk '$2 == "T" && ($3 == "do_one_initcall" || $3 == "msleep") { printf "%s %s ", $3, $1 }' /proc/kallsyms)"
    read -r reply <"/dev/$console"
}

# Report the addresses of the sections of the module $name once it is about to be initialised, unless it never is. The
# debugger's side delays the call of its init function until then.
wait_for_init() {
    while [ ! -s "$answer.errno" ]; do
        if [ "$(cat "/sys/module/$name/initstate" 2>/dev/null)" = coming ] && [ -d "/sys/module/$name/sections" ]; then
            sleep 0.2 # (the kernel may be making the files)
            section_addresses
            stops= stopped=1 limit=1000000
            report "coming"
            return
        fi
        sleep 0.1
    done
}

# Whether lockdep is active: it stops for good at the first mistake, and at taints that make it unreliable.
lockdep() {
    [ ! -e /proc/lockdep_stats ] || report "lockdep $(sed -n 's/^ *debug_locks: *//p' /proc/lockdep_stats)"
}

# Report where the process $1 hangs. One that keeps a processor busy disturbs later steps, so it ends the boot.
late() {
    # A process that sleeps repeatedly may be awake just now.
    for try in 1 2 3 4 5; do
        state=$(grep '^State:' "/proc/$1/status")
        stack=$(cat "/proc/$1/stack")
        case $state in
            *R*) ;;
            *) [ -z "$stack" ] || break ;;
        esac
        sleep 0.1
    done
    report "late ${state#State:}"
    case $state in
        *R*)
            echo l >/proc/sysrq-trigger
            sleep 1 # (the processor may be asked by a work queue)
            report "over"
            sleep 1000
            ;;
    esac
    [ -z "$stack" ] || echo "$stack" | while read -r line; do
        report "stack $line"
    done
    kill -KILL "$1"
}

# The line of /proc/modules of the module $name. (A name is no pattern.)
line_of() {
    name=$name awk '$1 == ENVIRON["name"]' /proc/modules
}

# Reset the messages that the kernel prints once per boot: another module may have triggered them already.
say_again() {
    [ ! -e /sys/kernel/debug/clear_warn_once ] || echo 1 >/sys/kernel/debug/clear_warn_once
}

# A live patch must be switched off before its module can be removed, and all tasks must have left what it patches.
unpatch() {
    patch=/sys/kernel/livepatch/$1
    [ -e "$patch/enabled" ] || return
    echo 0 >"$patch/enabled" 2>/dev/null
    tries=$((limit * 5))
    while [ -e "$patch" ] && [ $tries -gt 0 ]; do
        sleep 0.2
        tries=$((tries - 1))
    done
    sleep 0.2 # (it holds its module a little longer)
    report "unpatched"
}

facts() {
    report "line $(line_of)"
    report "taints $(cat "/sys/module/$name/taint")"
    case $flags in
        *d*)
            control=/proc/dynamic_debug/control
            [ -e $control ] || control=/sys/kernel/debug/dynamic_debug/control
            grep -F "[$name]" $control 2>/dev/null | while read -r line; do
                report "message $line"
            done
            ;;
    esac
    [ -z "$sections" ] || section_addresses
}

# Report the addresses of the sections of the module $name.
section_addresses() {
    (cd "/sys/module/$name/sections" && grep -s . .[!.]* [!.]*) | while IFS=: read -r section at; do
        report "section $section $at"
    done
}

# List the objects that modules add to the kernel, a line for each. Only names that the kernel has copied: other names of
# a removed module lie in its memory.
things() {
    printf '%s\n' /proc/[!0-9]* /proc/driver/* /proc/fs/* /proc/irq/*/* /proc/net/* /dev/* /dev/*/* \
        /sys/block/* /sys/bus/* /sys/bus/*/devices/* /sys/bus/*/drivers/* /sys/class/* /sys/class/*/* /sys/devices/* \
        /sys/firmware/* /sys/fs/* /sys/kernel/* /sys/kernel/debug/*
    awk '{ print FILENAME ": " (FILENAME ~ /slabinfo/ ? $1 : $0) }' /proc/devices /proc/slabinfo
    for file in /proc/[0-9]*/comm; do
        read -r thread 2>/dev/null <"$file"
        case $thread in
            kworker/[!R]* | module_call) ;; # (but for kworker/R-QUEUE, the kernel has more or fewer as it likes)
            *) echo "thread: $thread" ;;
        esac
    done
}

# Add the objects that are not known yet to /run/known, each with the prefix $1.
know() {
    (things) >/run/things
    awk -v by="$1" 'NR == FNR { sub(/^[^ ]* /, ""); known[$0]; next } !($0 in known) { print by, $0 }' \
        /run/known /run/things >/run/new
    cat /run/new >>/run/known
}

# Whether $1 belongs to a device that a driver of the kernel has bound only now: to identify a mouse takes seconds. (The
# parent of such a device has a driver of the kernel; the parent of one that a module has left behind has none.)
is_late() {
    case $1 in
        /dev/*)
            if [ -d "$1" ]; then
                set -- "$1"/*
                is_late "$1"
                return
            fi
            kind=char
            [ ! -b "$1" ] || kind=block
            device=/sys/dev/$kind/$((0x$(stat -c %t "$1"))):$((0x$(stat -c %T "$1")))
            ;;
        /sys/*) device=$1 ;;
        *) return 1 ;;
    esac
    device=$(readlink -f "$device")
    parent=${device%/*}
    [ ! -e "$device/driver" ] || [ -e "$parent/driver" ] || return 1
    while [ "$device" != "${device#/sys/devices/}" ]; do
        if [ -e "$device/driver" ]; then
            [ ! -e "$device/driver/module/initstate" ] && ! grep -qxF "$device/driver" /run/bound
            return
        fi
        device=${device%/*}
    done
    return 1
}

# Report the objects that do not belong to the kernel, with the number of the module that created them, or `test` and the
# number of the test; with - if the guest did not search after each step.
remaining() {
    (things) >/run/things
    awk -v each="$each" 'NR == FNR { by = $1; sub(/^[^ ]* /, ""); known[$0] = by; next }
        !($0 in known) { known[$0] = each ? "kernel" : "-" }
        known[$0] != "kernel" { print known[$0], $0 }' /run/known /run/things |
        grep -m 100 . | while read -r line; do
        is_late "${line#* }" || report "remains $line"
    done
}

[ -z "$tests$keep" ] || . /modules/setup.sh

# (it counts as a part of the kernel)
[ -z "$watcher" ] || insmod $watcher || echo "kbuildpy: the module that watches was refused" >/dev/kmsg

report "ready $(uname -r)"
lockdep
echo "kernel" >/run/known
[ -n "$keep" ] || {
    know kernel
    find /sys/devices -name driver >/run/bound
}

kunit=/sys/kernel/debug/kunit
suites=$(echo $kunit/*)
loaded= stops= stopped=
while read -r number name flags file parameters; do
    report "insmod $number"
    say_again
    stops=
    case $flags in *s*) [ -n "$stopped" ] || { stops=1 && ask_to_stop; } ;; esac
    call "$file" "$parameters"
    stops=
    if [ "$errno" = 0 ]; then
        loaded="$number:$name $loaded"
        facts
    else
        case $flags in *n*) refused="$refused $name" ;; esac
    fi
    [ -z "$each" ] || know "$number"
done </modules/list

# A module may continue in a thread, a timer or a work queue: give it time to begin.
sleep 0.2
report "loaded"
if [ -n "$wait" ]; then
    read -r answer <"/dev/$console"
    limit=1000000
fi
if [ -n "$keep" ]; then
    cd /modules
    report "shell"
    setsid sh -c "exec env PS1='guest# ' HOME=/ sh <>/dev/$console >&0 2>&1"
    report "left"
fi
# KUnit's results of the modules' suites in debugfs, if it has them: its messages in the log may be switched off.
for suite in $kunit/*; do
    case " $suites " in *" $suite "*) continue ;; esac
    while IFS= read -r line; do
        report "kunit ${suite##*/} $line"
    done <"$suite/results"
done

if [ -n "$tests" ]; then
    if [ -n "$refused" ]; then
        report "untested$refused"
    else
        . /modules/tests.sh
        report "tested"
    fi
fi
if [ -n "$linger" ]; then
    report "linger"
    sleep "$linger"
fi

set -f # (a name is no pattern here either)
set -- $loaded
set +f
for module; do
    number=${module%%:*} name=${module#*:}
    report "rmmod $number"
    say_again
    unpatch "$name"
    call "$name"
    [ "$errno" = 0 ] || report "held $(line_of)"
done

# ... and give leftovers that still run time to fail: a timer is seldom set for more than a second.
sleep 2
kmemleak=/sys/kernel/debug/kmemleak
if [ -n "$loaded" ] && [ -e $kmemleak ]; then
    # Only what is older than five seconds is reported (mm/kmemleak.c: MSECS_MIN_AGE), and a second look is surer.
    sleep 6
    echo scan >$kmemleak
    echo scan >$kmemleak
    while read -r line; do
        report "leak $line"
    done <$kmemleak
fi
if [ -n "$watcher" ]; then
    seen=${watcher%% *}
    seen=${seen##*/}
    while IFS= read -r line; do
        report "seen $line"
    done <"/proc/${seen%.ko}" && report "watched"
fi
report "tainted $(cat /proc/sys/kernel/tainted)"
if [ -z "$keep" ]; then
    remaining
    # Leftovers here point to freed memory. Reading them kills the reader, and the log shows the oops.
    for table in filesystems crypto ioports iomem; do
        cat /proc/$table
    done >/dev/null 2>&1
    (echo /proc/sys/*/* /proc/sys/*/*/*) >/dev/null
fi
repeat
report "done"
poweroff -f
