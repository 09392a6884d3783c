# SPDX-License-Identifier: GPL-2.0-only
# bash completion of kbuildpy (kbuildpy completion bash). The answers are kbuildpy's own.

_kbuildpy() {
    local line lead rest number=0 patterns=() folders='' values=()
    COMPREPLY=()
    while IFS= read -r line; do
        number=$((number + 1))
        case $number in
            1) lead=$line ;;
            2) rest=$line ;;
            *) case $line in
                =*) line=${line#=} && values+=("${line%%$'\t'*}") ;;
                /) folders=1 ;;
                +*) patterns+=("${line#+}") ;;
            esac ;;
        esac
    done < <(printf '%s\0' "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" |
        command "$1" completion --words line 2>/dev/null)
    COMPREPLY=("${values[@]}")
    if [[ ${#values[@]} == 1 && ${values[0]} == *[=:,/] ]]; then
        compopt -o nospace
    fi
    if [[ $folders || ${#patterns[@]} != 0 ]]; then
        compopt -o filenames
        while IFS= read -r line; do
            COMPREPLY+=("$lead$line")
        done < <(
            compgen -d -- "$rest"
            for line in "${patterns[@]}"; do
                compgen -f -X "!$line" -- "$rest"
            done
        )
    fi
}

complete -F _kbuildpy kbuildpy
