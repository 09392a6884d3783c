#!/bin/sh
# The guest's process 1 for `kbuildpy run` (kbuildpy.vm.reports reads what it reports).
#
# Loads what /modules/list names, one line each: NUMBER NAME FLAGS FILE [PARAMETERS]; removes in reverse what was
# loaded. It reports through /dev/kmsg, so that its lines stand in the kernel log in order with the kernel's own, and
# the console shows both. Settings are variables in /modules/settings: limit (seconds that an init or exit function
# may take), console (the serial port), sections, wait and keep (1 or nothing), and marker: what a report begins with,
# which no module can know.
#
# A module may never come back from its init or exit function. So each call runs in the background, and answers
# through a pipe that is read with a time limit.

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mkdir -p /run

. /modules/settings

report() {
    # (the kernel takes no more than about 1000 bytes for a line)
    printf '%s%.900s\n' "$marker: " "$*" >/dev/kmsg
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
    if read -r -t "$limit" errno <&3; then
        report "errno $errno"
    else
        errno=late
        late "$(cat "$answer.pid")"
    fi
    exec 3>&-
    report "tainted $(cat /proc/sys/kernel/tainted)"
}

# Say where the process $1 hangs. One that keeps a processor busy spoils what comes after it: that ends the boot.
late() {
    # One that sleeps again and again may be awake just now.
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

facts() {
    report "line $(grep "^$name " /proc/modules)"
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
    [ -z "$sections" ] || for file in "/sys/module/$name/sections/"* "/sys/module/$name/sections/".[!.]*; do
        [ ! -f "$file" ] || report "section ${file##*/} $(cat "$file")"
    done
}

report "ready $(uname -r)"

loaded=
while read -r number name flags file parameters; do
    report "insmod $number"
    call "$file" "$parameters"
    [ "$errno" = 0 ] || continue
    loaded="$number:$name $loaded"
    facts
done </modules/list

# What was loaded may go on in a thread, a timer or a work queue: let it begin.
sleep 0.2
report "loaded"
if [ -n "$wait" ]; then
    read -r answer <"/dev/$console"
    limit=1000000
fi
if [ -n "$keep" ]; then
    busybox --install -s /bin
    cd /modules
    report "shell"
    setsid sh -c "exec env PS1='guest# ' HOME=/ sh <>/dev/$console >&0 2>&1"
    report "left"
fi

for module in $loaded; do
    number=${module%%:*} name=${module#*:}
    report "rmmod $number"
    call "$name"
    [ "$errno" = 0 ] || report "held $(grep "^$name " /proc/modules)"
done

# ... and let what was left running behind meet its end.
sleep 0.5
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
report "tainted $(cat /proc/sys/kernel/tainted)"
report "done"
poweroff -f
