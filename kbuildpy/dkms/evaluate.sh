# SPDX-License-Identifier: GPL-2.0-only
# Evaluates dkms.conf files as DKMS does, and prints what they say. Arguments: names of directives, "--", files.
# DKMS reads a value twice: once in the file, then its words again as a string in double quotes.

ulimit -c 0 -t 10 -f 65536 -n 256

__take_over() {
    local __text
    __text=$(
        . "$1" >/dev/null
        unset -f echo printf eval set local
        set -f
        for __name in "${__names[@]}"; do
            eval "__indexes=(\"\${!$__name[@]}\")"
            for __index in "${__indexes[@]}"; do
                __value=$__name[$__index]
                __words=(x${!__value}x)
                __value="${__words[*]}"
                __value=${__value#x}
                printf '%s[%s]="%s"\n' "$__name" "$__index" "${__value%x}"
            done
        done
        printf 'true # whole'
    )
    if [[ $__text != *'true # whole' ]]; then
        printf '!ended\0%s\0' "$1"
    fi
    eval "$__text"
}

__say_whether() { # NAME[INDEX], whether a text matches it
    local __pattern=${!1} __status
    [[ $2 =~ $__pattern ]] 2>/dev/null
    __status=$?
    printf '?%s\0%s\0' "$1" "$__status"
}

__names=()
while (($#)) && [[ $1 != -- ]]; do
    __names+=("$1")
    shift
done
shift
for __file; do
    __take_over "$__file"
done
for __name in "${__names[@]}"; do
    eval "__indexes=(\"\${!$__name[@]}\")"
    for __index in "${__indexes[@]}"; do
        __value=$__name[$__index]
        printf '=%s\0%s\0' "$__value" "${!__value}"
        case $__name in
        BUILD_EXCLUSIVE_ARCH) __say_whether "$__value" "$arch" ;;
        BUILD_EXCLUSIVE_KERNEL | MAKE_MATCH | PATCH_MATCH) __say_whether "$__value" "$kernelver" ;;
        esac
    done
done
printf '!done\0\0'
