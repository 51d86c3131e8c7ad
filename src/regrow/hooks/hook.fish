# regrow's prompt hook for fish 3.6 and later; in config.fish: regrow hook fish | source
# After a command nothing is run unless a directory here changed since the last check, or the
# command took two seconds: it may have made something further down.

if status is-interactive
    and test -n "$HOME" -a -O "$HOME"
    and test / -nt /nonexistent 2>/dev/null # before 3.6 there is no such operator

    function _regrow_check --on-event fish_postexec
        test -n "$_regrow_stamp"; and _regrow_is_due; or return
        command -q regrow; or return
        # The time of what was seen last must be before the look: what appears meanwhile is next.
        _regrow_touch
        # By sh, because of an interpreter that is gone fish complains whatever 2>/dev/null says.
        command sh -c 'exec regrow hook --check "$1"' sh $_regrow_stamp </dev/null >&2 2>/dev/null
        # A cache that can't be written must not cost a check after each command.
        test -e $_regrow_stamp; or set -g _regrow_stamp ''
    end

    function _regrow_touch
        # As it complains of a redirection that fails.
        test -d $_regrow_directory; and test -w $_regrow_directory
        and builtin printf . >$_regrow_stamp
    end

    function _regrow_is_due
        set -l place $PWD
        set -l pattern (string escape --style=regex -- $place)
        # The home directory and those above it are nobody's project, nor is one that all share.
        test $place = /; or test -z "$HOME"; or test -k $place; and return 1
        string match -qr -- "^$pattern/" "$HOME/"; and return 1
        test -e $_regrow_stamp; or return 0
        test "$CMD_DURATION" -ge 2000; and return
        while string match -qr '[^/]' -- $place
                and not test $place -ef "$HOME"
                and not test -k $place
            # Not `place -nt stamp`: both may have got their times in the same tick of the clock.
            test -e $place; and not test $_regrow_stamp -nt $place; and return
            test -e $place/.git; and break
            # It ends in a slash: of a name's own newlines, none is the last and cut off.
            set place "$(string replace -r '[^/]+/?\z' '' -- $place)"
        end
        return 1
    end

    if not set -q _regrow_stamp
        set -g _regrow_directory $HOME/.cache/regrow/hooks
        string match -q '/*' -- "$XDG_CACHE_HOME"
        and set -g _regrow_directory $XDG_CACHE_HOME/regrow/hooks
        set -g _regrow_stamp $_regrow_directory/$fish_pid-(builtin random)
        _regrow_touch
    end
end
