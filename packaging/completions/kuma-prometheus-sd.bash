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
        completion) _kuma_prometheus_sd_offer 'bash zsh fish'; return ;;
        --cp-address) return ;;
        --name) return ;;
        --api-version) _kuma_prometheus_sd_offer 'auto v1 v1alpha1'; return ;;
        --transport) _kuma_prometheus_sd_offer 'auto grpc http'; return ;;
        --cp-token-file) _kuma_prometheus_sd_offer_files; return ;;
        --ca-cert-file) _kuma_prometheus_sd_offer_files; return ;;
        --client-cert-file) _kuma_prometheus_sd_offer_files; return ;;
        --client-key-file) _kuma_prometheus_sd_offer_files; return ;;
        --output-file) _kuma_prometheus_sd_offer_files; return ;;
        --file-mode) return ;;
        --label-style) _kuma_prometheus_sd_offer 'original kuma_sd'; return ;;
        --timeout) return ;;
        --listen-address) return ;;
        --log-level) _kuma_prometheus_sd_offer 'off error warn info debug trace'; return ;;
        --log-timestamps) _kuma_prometheus_sd_offer 'auto true false'; return ;;
        --log-format) _kuma_prometheus_sd_offer 'text json'; return ;;
    esac
    if [[ $word == -* ]]; then
        _kuma_prometheus_sd_offer '--cp-address= --name= --api-version= --transport= --cp-token-file= --ca-cert-file= --client-cert-file= --client-key-file= --tls-skip-verify --output-file= --file-mode= --label-style= --once --timeout= --listen-address= --log-level= --log-timestamps= --log-format= --help --version --detailed'
        [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
    elif ((COMP_CWORD == 1)); then
        _kuma_prometheus_sd_offer 'run check completion version help'
    fi
}

complete -F _kuma_prometheus_sd kuma-prometheus-sd
