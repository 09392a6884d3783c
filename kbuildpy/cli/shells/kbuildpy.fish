# SPDX-License-Identifier: GPL-2.0-only
# fish completion of kbuildpy (kbuildpy completion fish). The answers are kbuildpy's own.

function __kbuildpy_words
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l lines (string join0 -- $before[2..] "$current" | command $before[1] completion --words words 2>/dev/null)
    set -l lead "$lines[1]"
    set -l rest "$lines[2]"
    for line in $lines[3..]
        switch $line
            case '=*'
                string sub -s 2 -- $line
            case /
                for found in (__fish_complete_directories "$rest" '')
                    printf '%s\n' "$lead$found"
                end
            case '+*'
                set -l pattern (string sub -s 2 -- $line)
                for found in (__fish_complete_path "$rest")
                    if string match -q -- $pattern (string split -m 1 \t -- $found)[1]
                        printf '%s\n' "$lead$found"
                    end
                end
        end
    end
end

complete -c kbuildpy -f -a '(__kbuildpy_words)'
