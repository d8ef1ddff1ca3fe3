#!/bin/bash
# completion.sh COMPLETION PROGRAM: what bash offers, with the built program.
set -u
source "$1"
program=$2
portwatch() { "$program" "$@"; }
failures=0

expect() { # expect "words typed" "pattern the offers match"
    read -ra COMP_WORDS <<<"$1"
    [[ $1 == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _portwatch
    if [[ ! " ${COMPREPLY[*]} " =~ $2 ]]; then
        echo "\"$1\" offers \"${COMPREPLY[*]}\", not $2"
        failures=$((failures + 1))
    fi
}

expect "portwatch acc" "^ accept $"
expect "portwatch --st" "^ --state-dir $"
expect "portwatch history --f" "^ --follow $"
expect "portwatch list --f" "^  $"
expect "portwatch baseline " "^ show log diff revert export import $"
expect "portwatch accept 443/tcp --unt" "^ --until $"
expect "portwatch accept 443/tcp --until 1" "^ 1h 1d $"
expect "portwatch pause 1" "^ 1h 1d $"
expect "portwatch --config /etc/portwatch.conf sta" "^ status $"

# Every subcommand of the program is offered, and every offered one exists.
offered=$(COMP_WORDS=(portwatch "") COMP_CWORD=1 && _portwatch && printf '%s\n' "${COMPREPLY[@]}" | grep -v ^-- | sort)
known=$("$program" --help | sed -n 's/^  \([a-z][a-z-]*\).*/\1/p' | sort)
if [[ $offered != "$known" ]]; then
    echo "offered and known differ:"
    diff <(echo "$offered") <(echo "$known")
    failures=$((failures + 1))
fi

# What is expected and gone is what explain is asked about.
portwatch() {
    printf '%s\n' 'PROTO  ADDRESS       OWNER' 'tcp6   :::80         web (user www)' '' 'Expected, but not there:' \
        '- tcp  0.0.0.0:7071  myapp (user app)' '- udp  0.0.0.0:5353  dns'
}
expect "portwatch explain " "^ 5353/udp 7071/tcp 80/tcp $"
exit $((failures > 0))
