# regrow's prompt hook for bash 3.2 and later; in ~/.bashrc: eval "$(regrow hook bash)"
# At a prompt nothing is run unless a directory here changed since the last check, or the last
# command took two seconds: it may have made something further down.

if [[ $- == *i* && -n ${HOME-} && -O $HOME ]]; then
    _regrow_hook() {
        \builtin local status="$?"
        _regrow_check || \builtin true
        _regrow_began=
        # For hooks that stand behind this one in a string. Under `set -e` it would end the shell.
        [[ $- == *e* ]] || \builtin return "$status"
    }

    _regrow_check() {
        [[ -n $_regrow_stamp ]] && _regrow_is_due || \builtin return
        \builtin type -P regrow >/dev/null || \builtin return
        # The time of what was seen last must be before the look: what appears meanwhile is next.
        { \builtin printf . >|"$_regrow_stamp"; } 2>/dev/null
        \command regrow hook --check "$_regrow_stamp" </dev/null >&2 2>/dev/null
        # A cache that can't be written must not cost a check at each prompt.
        [[ -e $_regrow_stamp ]] || _regrow_stamp=
    }

    _regrow_is_due() {
        \builtin local place="${PWD-}" home="${HOME-}"
        # The home directory and those above it are nobody's project, nor is one that all share.
        [[ $place == /?* && -n $home && $home/ != "$place"/* && ! -k $place ]] || \builtin return
        [[ -e $_regrow_stamp ]] || \builtin return 0
        [[ -n ${_regrow_began-} ]] && ((SECONDS - _regrow_began >= 2)) && \builtin return
        while [[ $place == /?* && ! $place -ef $home && ! -k $place ]]; do
            # Not `place -nt stamp`: both may have got their times in the same tick of the clock.
            [[ -e $place && ! $_regrow_stamp -nt $place ]] && \builtin return
            [[ -e $place/.git ]] && \builtin break
            place=${place%/*}
        done
        \builtin return 1
    }

    if [[ -z ${_regrow_stamp+set} ]]; then
        _regrow_stamp=${XDG_CACHE_HOME-}
        [[ $_regrow_stamp == /* ]] || _regrow_stamp=$HOME/.cache
        _regrow_stamp+=/regrow/hooks/$$-$RANDOM
        { \builtin printf . >|"$_regrow_stamp"; } 2>/dev/null || \builtin true
    fi
    # Where bash has no PS0 (before 4.4) this variable is nobody's, and long commands go unnoticed.
    if [[ ${PS0-} != *_regrow_began* ]] && \builtin shopt -q promptvars; then
        PS0=${PS0-}'${_regrow_stamp:$((_regrow_began = SECONDS, 0)):0}'
    fi
    if [[ ${PROMPT_COMMAND[*]-} != *_regrow_hook* ]]; then
        if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501)); then
            # An element of its own, never the first: others take that for all of PROMPT_COMMAND.
            PROMPT_COMMAND=("${PROMPT_COMMAND[@]-}" _regrow_hook)
        else
            PROMPT_COMMAND=${PROMPT_COMMAND:+$PROMPT_COMMAND$'\n'}_regrow_hook
        fi
    fi
fi
