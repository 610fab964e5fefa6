# Completions of kuma-prometheus-sd for bash.

_kuma_prometheus_sd() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    # To bash the = of --flag=value is a word of its own.
    if [[ $word == '=' ]]; then
        word=
    elif [[ $previous == '=' ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi

    _kuma_prometheus_sd_offer() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word"); }
    _kuma_prometheus_sd_offer_files() {
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames 2>/dev/null
    }

    COMPREPLY=()
    case $previous in
@values@
    esac
    if [[ $word == -* ]]; then
        _kuma_prometheus_sd_offer '@flags@'
        [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
    elif ((COMP_CWORD == 1)); then
        _kuma_prometheus_sd_offer '@subcommands@'
    fi
}

complete -F _kuma_prometheus_sd kuma-prometheus-sd
