#compdef kuma-prometheus-sd
# Completions of kuma-prometheus-sd for zsh.

_kuma-prometheus-sd() {
    local state line
    _arguments -C \
@arguments@
        '1: :->subcommand' \
        '2: :->argument'
    case $state in
        subcommand)
            local -a subcommands=(
@subcommands@
            )
            _describe subcommand subcommands
            ;;
        argument)
            case $line[1] in
@words@
            esac
            ;;
    esac
}

# From a folder of the fpath this file is the function's body; sourced, it tells of the function.
if [[ $funcstack[1] == _kuma-prometheus-sd ]]; then
    _kuma-prometheus-sd "$@"
else
    compdef _kuma-prometheus-sd kuma-prometheus-sd
fi
