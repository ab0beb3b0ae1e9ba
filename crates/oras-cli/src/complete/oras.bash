# Completion of oras for bash: asks oras what may stand at the cursor.

_oras_complete() {
    local rest=${COMP_LINE:0:COMP_POINT} word words=() i

    # Bash splits words at some of `:` and `=`: what stands together is put together again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i == 0)) || [[ $rest == [[:space:]]* ]]; then
            rest=${rest#"${rest%%[![:space:]]*}"}
            words+=("")
        fi
        if ((i == COMP_CWORD)); then
            word=$rest
        fi
        words[${#words[@]} - 1]+=$word
        rest=${rest#"$word"}
    done

    local program=${words[0]/#\~\//$HOME/} current=${words[${#words[@]} - 1]}
    local line directive=4 candidates=()
    while IFS= read -r line; do
        case $line in
            :[0-9]*) directive=${line#:} ;;
            *) candidates+=("${line%%$'\t'*}") ;;
        esac
    done < <("$program" __complete "${words[@]:1}" 2>/dev/null)

    # Bash replaces only what follows the last of its own breaks.
    local kept=
    if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
        kept=${current%"${current##*:}"}
    elif [[ $current == *=* && $COMP_WORDBREAKS == *=* ]]; then
        kept=${current%"${current##*=}"}
    fi
    COMPREPLY=("${candidates[@]#"$kept"}")

    if ((directive & 2)); then
        compopt -o nospace
    fi
    if ((directive & 16)); then
        compopt -o dirnames
    elif ((directive & 4)); then
        compopt +o default
    else
        compopt -o filenames
    fi
}

complete -o default -F _oras_complete oras
