# SPDX-License-Identifier: GPL-2.0-only
# Runs the tests of a guest, one after the other; guest_run.sh reads this when all modules are loaded.
#
# The settings tests and test_limit are their number and the seconds that each may take. /modules/test.NUMBER runs one.
# Its output is reported line by line, so that it is in order with the kernel's messages.

# (configfs may have come with a module)
mount -t configfs configfs /sys/kernel/config 2>/dev/null

# In newer kernels (7.3) a thread prints the log, and lines that it does not print in time are overwritten. While it
# works, it is not in state S.
printer=$(grep -l '^pr/' /proc/[0-9]*/comm 2>/dev/null | head -n 1)
printer=${printer:+${printer%comm}stat}

# Report the output in pieces that fit into one line of the kernel; too much output is a flood, and ends the test. Runs
# in a process of its own.
pump() {
    exec awk -v marker="$marker: " -v status="$1" -v printer="$printer" '
    function wait_for_printer() {
        while ((getline stat <printer) > 0) {
            close(printer)
            if (stat ~ /\) [SI] /) return
            system("sleep 0.02")
        }
    }
    {
        lines++
        bytes += length($0) + 1
        waiting += length($0) + 100
        if (printer != "" && waiting > 20000) {
            waiting = 0
            wait_for_printer()
        }
        if (lines > 20000 || bytes > 1048576) {
            print marker "flood" >"/dev/kmsg"
            print "flood" >status
            exit
        }
        while (length($0) > 230) {
            print marker "out+ " substr($0, 1, 230) >"/dev/kmsg"
            fflush("/dev/kmsg")
            $0 = substr($0, 231)
        }
        print marker "out " $0 >"/dev/kmsg"
        fflush("/dev/kmsg")
    }'
}

# Wait until the pump has reported all output. While a process that has left the session keeps the output open, it
# waits (state S) and has nothing left to report; not so while it waits for a program of its own.
drain() {
    waits=0
    while [ $waits -lt 4 ] && read -r line 2>/dev/null <"/proc/$pump/stat"; do
        read -r function 2>/dev/null <"/proc/$pump/wchan"
        case ${line##*) }$function in
            Z*) break ;;
            S*do_wait) waits=0 ;;
            S*) waits=$((waits + 1)) ;;
            *) waits=0 ;;
        esac
        sleep 0.05
    done
    kill $pump 2>/dev/null
}

uptime() {
    read -r seconds rest </proc/uptime
    echo "$seconds"
}

# The processes of session $1, or, without it, of all sessions: only tests have one.
members() {
    for stat in /proc/[0-9]*/stat; do
        read -r line 2>/dev/null <"$stat" || continue
        pid=${stat#/proc/}
        # (behind the name, which may be anything: state, parent, group, session)
        set -- "$1" ${line##*) }
        case "$2$5" in
            Z* | ?0) ;;
            ?"${1:-$5}") echo "${pid%/stat}" ;;
        esac
    done
}

# The places in the kernel of the processes that no signal has ended.
stuck() {
    for pid in $(members "$1"); do
        report "late $(sed -n 's/^State:[[:space:]]*//p' "/proc/$pid/status")"
        while read -r place; do
            report "stack $place"
        done <"/proc/$pid/stack"
    done
}

run_test() {
    answer=/run/test.$1
    mkfifo "$answer.status" "$answer.output"
    report "test $1"
    begun=$(uptime)
    exec 3<>"$answer.status"
    pump "$answer.status" <"$answer.output" &
    pump=$!
    {
        cd /tests || exit
        HOME=/root TMPDIR=/tmp PATH=/bin:/tests setsid sh "/modules/test.$1" \
            </dev/null >"$answer.output" 2>&1 3>&- &
        echo $! >"$answer.pid"
        wait $!
        echo "$?" >&3
    } 2>/dev/null &
    read -r -t "$test_limit" status <&3 || status=late
    ended=$(uptime)
    # Also its processes that still run.
    session=$(cat "$answer.pid")
    kill -KILL $(members) 2>/dev/null
    case $status in
        late | flood) read -r -t 3 killed <&3 || stuck "$session" ;;
    esac
    drain
    exec 3>&-
    report "ended $status $begun $ended"
    report "tainted $(cat /proc/sys/kernel/tainted)"
    [ -z "$each" ] || know "test$1"
}

test=0
while [ "$test" -lt "$tests" ]; do
    run_test "$test"
    test=$((test + 1))
done
# (else the module could not be removed)
umount /sys/kernel/config 2>/dev/null
