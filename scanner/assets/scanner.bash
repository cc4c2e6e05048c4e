# Made by `cargo run -p xtask -- manual`; change the help instead.
_scanner() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    case $before in
        --excludefile|--resume|--trace-out|-iL|-oA|-oG|-oH|-oJ|-oN|-oX) COMPREPLY=($(compgen -f -- "$word")); return ;;
        --color|--data|--data-length|--data-string|--dns-max-rate|--dns-servers|--exclude|--exclude-ports|--host-timeout|--initial-rtt-timeout|--ip-options|--max-hostgroup|--max-parallelism|--max-rate|--max-retries|--max-rtt-timeout|--max-runtime|--max-scan-delay|--min-hostgroup|--min-parallelism|--min-rate|--min-rtt-timeout|--mtu|--proxies|--scan-delay|--scanflags|--seed|--shard|--spoof-mac|--stats-every|--top-ports|--trace-format|--ttl|--workers|-D|-S|-e|-g|-p) COMPREPLY=(); return ;;
    esac
    case $word in
        -*) COMPREPLY=($(compgen -W "--append-output --badsum --color --data --data-length --data-string --defeat-rst-ratelimit --disable-arp-ping --discovery-ignore-rst --dns-max-rate --dns-servers --exclude --exclude-ports --excludefile --help --host-timeout --iflist --initial-rtt-timeout --ip-options --max-hostgroup --max-parallelism --max-rate --max-retries --max-rtt-timeout --max-runtime --max-scan-delay --min-hostgroup --min-parallelism --min-rate --min-rtt-timeout --mtu --noninteractive --open --packet-trace --privileged --proxies --randomize-hosts --reason --resolve-all --resume --scan-delay --scanflags --seed --send-eth --send-ip --shard --spoof-mac --stats-every --system-dns --top-ports --trace-format --trace-out --ttl --unprivileged --version --workers -4 -6 -D -F -PA -PE -PM -PP -PS -PU -Pn -R -S -T0 -T5 -V -d -d3 -dd -e -f -g -h -iL -n -oA -oG -oH -oJ -oN -oX -p -r -sA -sF -sL -sM -sN -sS -sT -sU -sW -sX -sn -v -v3 -vv" -- "$word")) ;;
        *) COMPREPLY=($(compgen -W "convert merge diff explain" -A hostname -- "$word")) ;;
    esac
}
complete -o bashdefault -F _scanner scanner
