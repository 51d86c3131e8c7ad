# regrow's prompt hook for zsh; in ~/.zshrc: eval "$(regrow hook zsh)"
# At a prompt nothing is run unless a directory here changed since the last check, or the last
# command took two seconds: it may have made something further down.

if [[ -o interactive && -n ${HOME-} && -O $HOME ]]; then
    _regrow_preexec() {
        _regrow_began=$SECONDS
    }

    _regrow_precmd() {
        \builtin emulate -L zsh -o no_err_exit -o no_err_return
        _regrow_check
        _regrow_began=
        \builtin return 0
    }

    _regrow_check() {
        [[ -n $_regrow_stamp ]] && _regrow_is_due || \builtin return
        \builtin whence -p regrow >/dev/null || \builtin return
        # The time of what was seen last must be before the look: what appears meanwhile is next.
        { \builtin printf . >|$_regrow_stamp } 2>/dev/null
        \command regrow hook --check $_regrow_stamp </dev/null >&2 2>/dev/null
        # A cache that can't be written must not cost a check at each prompt.
        [[ -e $_regrow_stamp ]] || _regrow_stamp=
    }

    _regrow_is_due() {
        \builtin local place=$PWD
        # The home directory and those above it are nobody's project, nor is one that all share.
        [[ $place == /?* && -n ${HOME-} && $HOME/ != $place/* && ! -k $place ]] || \builtin return
        [[ -e $_regrow_stamp ]] || \builtin return 0
        [[ -n $_regrow_began ]] && (( SECONDS - _regrow_began >= 2 )) && \builtin return
        while [[ $place == /?* && ! $place -ef $HOME && ! -k $place ]]; do
            # Not `place -nt stamp`: both may have got their times in the same tick of the clock.
            [[ -e $place && ! $_regrow_stamp -nt $place ]] && \builtin return
            [[ -e $place/.git ]] && \builtin break
            place=${place%/*}
        done
        \builtin return 1
    }

    \builtin typeset -g _regrow_began=
    if [[ -z ${_regrow_stamp+set} ]]; then
        \builtin typeset -g _regrow_stamp="${XDG_CACHE_HOME-}"
        [[ $_regrow_stamp == /* ]] || _regrow_stamp=$HOME/.cache
        _regrow_stamp+=/regrow/hooks/$$-$RANDOM
        { \builtin printf . >|$_regrow_stamp } 2>/dev/null || \builtin true
    fi
    \builtin typeset -ga precmd_functions preexec_functions
    [[ "${precmd_functions[*]}" == *_regrow_precmd* ]] || precmd_functions+=(_regrow_precmd)
    [[ "${preexec_functions[*]}" == *_regrow_preexec* ]] || preexec_functions+=(_regrow_preexec)
fi
