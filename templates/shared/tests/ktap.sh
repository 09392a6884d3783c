# SPDX-License-Identifier: GPL-2.0-only
# Results of a test in KTAP (Documentation/dev-tools/ktap.rst), for a shell script that reads this file first:
#
#   . ./ktap.sh
#   ok "the device is there" [ -c /dev/demo ]
#   is "it answers" "42" "$(cat /dev/demo)"
#   skip "no such thing here" "the kernel has no debugfs"
#   finish
#
# Each prints one point; `finish` prints the plan and exits: 0 if no point failed, else 1.

ktap_points=0
ktap_failed=0
echo "KTAP version 1"

# ok NAME COMMAND ...: passes if COMMAND does.
ok() {
    ktap_name=$1
    shift
    ktap_points=$((ktap_points + 1))
    if "$@"; then
        echo "ok $ktap_points $ktap_name"
    else
        echo "not ok $ktap_points $ktap_name"
        echo "# failed: $*"
        ktap_failed=$((ktap_failed + 1))
    fi
}

# not COMMAND ...: passes if COMMAND fails, for `ok NAME not COMMAND ...`.
not() {
    ! "$@" 2>/dev/null
}

# is NAME EXPECTED FOUND: passes if the two are the same.
is() {
    ktap_points=$((ktap_points + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $ktap_points $1"
    else
        echo "not ok $ktap_points $1"
        printf '# expected: %s\n' "$2" | sed '2,$s/^/# /'
        printf '# found:    %s\n' "$3" | sed '2,$s/^/# /'
        ktap_failed=$((ktap_failed + 1))
    fi
}

# skip NAME REASON: there is nothing to test here.
skip() {
    ktap_points=$((ktap_points + 1))
    echo "ok $ktap_points $1 # SKIP $2"
}

# within SECONDS COMMAND ...: passes as soon as COMMAND does.
within() {
    ktap_left=$(($1 * 10))
    shift
    until "$@"; do
        ktap_left=$((ktap_left - 1))
        [ "$ktap_left" -gt 0 ] || return 1
        sleep 0.1
    done
}

finish() {
    echo "1..$ktap_points"
    [ "$ktap_failed" = 0 ]
    exit
}
