#compdef oras
# Completion of oras for zsh: asks oras what may stand at the cursor.

_oras() {
    local -a lines values shown options
    local line directive=4 program=${(Q)words[1]}
    program=${program/#\~\//$HOME/}
    lines=("${(@f)$($program __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    for line in $lines; do
        if [[ $line == :<-> ]]; then
            directive=${line#:}
        elif [[ $line == *$'\t'* ]]; then
            values+=("${line%%$'\t'*}")
            shown+=("${line%%$'\t'*}  -- ${line#*$'\t'}")
        elif [[ -n $line ]]; then
            values+=("$line")
            shown+=("$line")
        fi
    done
    if (( $#values )); then
        (( directive & 2 )) && options+=(-S '')
        [[ "${shown[*]}" == *'  -- '* ]] && options+=(-l)
        compadd "${options[@]}" -d shown -a values
    elif (( directive & 16 )); then
        compset -P '*='
        _files -/
    elif (( ! (directive & 4) )); then
        compset -P '*='
        _files
    fi
}

if [[ $funcstack[1] == _oras ]]; then
    _oras "$@"
else
    compdef _oras oras
fi
