# bash completion for portwatch(1)

_portwatch_tokens() {
    portwatch "$@" status --json 2>/dev/null | sed -n 's/^ *"incident": "\([A-Z2-9]*\)",*$/\1/p'
}

_portwatch_ports() {
    portwatch "$@" list 2>/dev/null | sed -n 's/^\(- \)\{0,1\}\(tcp\|udp\)6\{0,1\}  *[^ ]*:\([0-9]*\) .*$/\3\/\2/p' | sort -u
}

_portwatch_notifiers() {
    portwatch "$@" status --json 2>/dev/null | sed -n 's/^ *"name": "\([A-Za-z0-9._-]*\)",*$/\1/p'
}

_portwatch() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local commands="status list diff explain accept ack pause resume baseline history test check-config"
    local options="--json --config --state-dir --plugin-dir --help --version"
    local command="" word i
    local -a where=()
    COMPREPLY=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --config | --state-dir)
            where+=("$word" "${COMP_WORDS[i+1]}")
            ((i++))
            ;;
        --plugin-dir | --reason | --since | --until) ((i++)) ;;
        -*) ;;
        *) [[ -z $command ]] && command=$word ;;
        esac
    done

    case $previous in
    --config)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --state-dir | --plugin-dir)
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    --reason) return ;;
    --until)
        mapfile -t COMPREPLY < <(compgen -W "30m 1h 4h 1d" -- "$current")
        return
        ;;
    --since)
        mapfile -t COMPREPLY < <(compgen -W "1h 1d 7d" -- "$current")
        return
        ;;
    esac

    local words=""
    if [[ -z $command ]]; then
        words="$commands $options"
    elif [[ $current == -* ]]; then
        words=$options
        case $command in
        accept) words+=" --all --reason --until" ;;
        baseline) words+=" --reason" ;;
        history) words+=" --since --follow" ;;
        esac
    else
        case $command in
        accept) words="$(_portwatch_tokens "${where[@]}") $(_portwatch_ports "${where[@]}")" ;;
        ack) words=$(_portwatch_tokens "${where[@]}") ;;
        list | diff | explain | resume | history) words=$(_portwatch_ports "${where[@]}") ;;
        pause) [[ $previous == pause ]] && words="30m 1h 4h 1d" || words=$(_portwatch_ports "${where[@]}") ;;
        baseline)
            if [[ $previous == import ]]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
            fi
            [[ $previous == baseline ]] && words="show log diff revert export import" || words=$(_portwatch_ports "${where[@]}")
            ;;
        test) words=$(_portwatch_notifiers "${where[@]}") ;;
        check-config)
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        esac
    fi
    # What comes from the machine is matched as plain words, never expanded.
    while read -r word; do
        [[ -n $word && $word == "$current"* ]] && COMPREPLY+=("$word")
    done < <(printf '%s\n' "$words" | tr ' ' '\n')
}

complete -F _portwatch portwatch
