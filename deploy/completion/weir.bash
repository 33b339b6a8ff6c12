# SPDX-License-Identifier: Apache-2.0
# Completion of `weir` for bash. The program is asked what it knows, so that the two cannot disagree.

_weir_words() { # first words of the indented lines of a help text
    "${COMP_WORDS[0]}" "$@" 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  *[^ ].*/\1/p'
}

_weir_options() {
    "${COMP_WORDS[0]}" "$@" --help 2>/dev/null | grep -oE -- '(^| )--[a-z][a-zA-Z0-9_-]*'
}

_weir() {
    local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} nouns=' channel group msg dlq client '
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_weir_words help) help" -- "$current")
    elif [[ $nouns == *" $command "* ]] && [ "$COMP_CWORD" -eq 2 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_weir_words help "$command")" -- "$current")
    elif [[ $current == -* ]] && [[ $nouns == *" $command "* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_weir_options "$command" "${COMP_WORDS[2]}")" -- "$current")
    elif [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_weir_options "$command")" -- "$current")
    elif [ "$command" = help ] && [ "$COMP_CWORD" -eq 2 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_weir_words help)" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}

complete -F _weir weir
