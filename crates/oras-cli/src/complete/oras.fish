# Completion of oras for fish: asks oras what may stand at the cursor.

function __oras_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l current (commandline --current-token --cut-at-cursor)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    set -l directive 4
    for line in ($program __complete $words[2..-1] "$current" 2>/dev/null)
        if string match -qr '^:\d+$' -- $line
            set directive (string sub -s 2 -- $line)
        else
            echo $line
        end
    end
    if test (math "bitand($directive, 16)") -ne 0
        __fish_complete_directories $current ''
    else if test (math "bitand($directive, 4)") -eq 0
        __fish_complete_path $current
    end
end

complete --command oras --no-files --keep-order --arguments '(__oras_complete)'
