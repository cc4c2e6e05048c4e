//! The texts of `-h` and `--help`.

/// `-h`: fits a screen of 80 columns and 24 lines.
pub const SHORT: &str = "\
Usage: scanner [options] target...
  Targets: 198.18.0.1  198.18.0.0/24  10.0.0-3.1,5  a-b  fd00::1  host.name
  -iL FILE            more targets from FILE (- is stdin); --exclude A,B and
                      --excludefile FILE leave some out; -4, -6: one family
  -sL, -sn, -Pn       list targets; only find hosts; scan all without finding
  -PS22,80 -PA -PU -PE -PP -PM   how to find them; --disable-arp-ping
  -sS -sT -sU         SYN scan (the default with privileges), TCP connect scan
                      (without), UDP scan; -sA -sW -sF -sN -sX -sM --scanflags
  -p 22,80-90,http*   ports; -p- all; -F the 100 likeliest; --top-ports N
  --exclude-ports P   leave these ports out
  -T0..-T5            pace, from paranoid to insane (default -T3); --help has
                      rates, delays, time-outs (--max-rate, --host-timeout, ...)
  -e IFACE -S ADDR    where packets leave and come from; --iflist shows both
  -n, -R              look up names never, for all (default: of hosts up)
  --dns-servers A,B   ask these name servers; --system-dns: ask the system
  --open, --reason    show open ports only; show why a port has its state
  -v, -d              tell more, tell how (-vv, -d3)
  --packet-trace      show packets, connects and DNS steps
  --packet-trace=X    X: net (packets), nsock (every event), all
  -oN -oX -oG -oJ -oH FILE, -oA BASE   write report, XML, grepable, NDJSON, HTML
  --resume RUN.ndjson go on with a run that was cut off
  -h, --help, -V      this, more of it, the version
Example: scanner --packet-trace -p 22,80,443 198.18.0.0/28
";

/// `--help`: everything, by group.
pub const LONG: &str = "\
Usage: scanner [options] target...

Finds hosts and their open ports. Options are spelled as Nmap spells them: long
ones may be abbreviated, take one dash or two, and - or _ between words.

Raw packets need CAP_NET_RAW, which root has; without it hosts and ports are
found by TCP connects. Once everything is opened, all capabilities are given up.

TARGETS
  target              An address (198.18.0.1, fd00::1, fe80::1%eth0), a prefix
                      (198.18.0.0/24, fd00::/120), octet ranges
                      (10.0.0-3.1,5,7- or 192.168.*.1), a range a-b
                      (198.18.0.1-198.18.0.9) or a host name, also with a
                      prefix (www.example.test/28). IPv4 and IPv6 mix. Each
                      address is scanned once, in the order given.
  -iL FILE            Read more targets from FILE, - for stdin: words apart by
                      white space, # starts a comment.
  --exclude A,B,...   Leave these targets out.
  --excludefile FILE  Leave out the targets in FILE.
  -4, -6              Scan IPv4 or IPv6 addresses only.

HOSTS AND NAMES
  -sL                 List the targets, with their names; send nothing to them.
  -sn                 Find hosts and scan no ports (-sP).
  -Pn                 Scan every target without finding out whether it is up.
                      Otherwise hosts on the link are asked by ARP or neighbor
                      solicitation; others by ICMP echo, SYN to 443, ACK to 80
                      and ICMP timestamp; without privileges by connects to 80
                      and 443.
  -PS[PORTS], -PA[PORTS], -PU[PORTS]
                      Ask by SYN or ACK (default port 80), by UDP (40125).
  -PE, -PP, -PM       Ask by ICMP echo, timestamp, address mask.
  --disable-arp-ping  Ask hosts on the link like all others. -PR asks for what
                      is done anyway.
  --discovery-ignore-rst
                      A reset does not prove a host up.
  -n                  Never look up the names of addresses.
  -R                  Look up the names of all targets, not only of hosts that
                      are up.
  --dns-servers A,B   Ask these servers: address, address:port or
                      [address]:port; tcp://address asks by TCP alone.
  --dns-max-rate N    Send at most N queries for names a second.
  --system-dns        Ask the system's resolver, one address at a time.
  --resolve-all       Scan every address of a name, not only the first.
  --proxies A,B,...   Connect through these proxies, one after the other:
                      http://, socks4://, socks4a:// or socks5://, with
                      user:password@ where one wants it. Pings, names and raw
                      packets would go around them and are refused. Users and
                      passwords are kept out of all files.

PORTS
  -sS                 TCP SYN scan, the default with privileges.
  -sT                 TCP connect scan, the default without privileges.
  -sU                 UDP scan; may stand beside a TCP scan (-sSU).
  -sA, -sW            ACK scan (filtered or not), window scan.
  -sF, -sN, -sX, -sM  FIN, null, Xmas and Maimon scan.
  --scanflags FLAGS   TCP flags of your own: SYNFIN, URGACK, 0x29.
  -p LIST             Scan these ports: 22  80-90  -100  60000-  http*  and, by
                      protocol, T:22,U:53. -p- is 1-65535; [1-1024] are those
                      of 1-1024 that have a name or are likely to be open.
  -F                  Scan the 100 likeliest ports.
  --top-ports N       Scan the N likeliest ports, with -p the N likeliest of
                      the list. Without this, -p and -F: 1000.
  --exclude-ports L   Leave out the ports of this list.

PACKETS
  -e IFACE, -S ADDR   Leave by this interface; come from this address of this
                      machine. For connects too.
  --iflist            Show interfaces and routes.
  -g PORT             Come from this port (--source-port).
  --ttl N             Time to live of probes.
  --data HEX, --data-string TEXT, --data-length N
                      What probes carry: bytes, a text, N random bytes.
  --ip-options OPT    IPv4 options: R, T, U, \"L addr ...\", \"S addr ...\", or
                      bytes such as \\x01\\x07.
  -f, --mtu N         Send IPv4 probes in fragments of 8 (-ff: 16) or N bytes.
  -D DECOY,ME,...     Send a copy of each probe from these addresses; RND:N.
  --spoof-mac MAC     Frames come from this address, vendor or, with 0, any.
  --badsum            Send wrong checksums: only what does not look answers.
  --send-eth, --send-ip
                      Send frames, or by the system's IP. By default frames
                      where the neighbor is known. The firewall of this machine
                      sees only what goes by its IP.
  --privileged, --unprivileged
                      Act as if raw packets were permitted, or were not.

PACE
  -T0 ... -T5         Paranoid, sneaky, polite, normal, aggressive, insane; by
                      number or name. The default is -T3.
  --min-rate N        Send at least N probes a second.
  --max-rate N        Send at most N probes a second.
  --scan-delay T      Wait at least T between probes to one host. Times are
                      seconds, or have a unit: 500ms, 2s, 5m, 1h.
  --max-scan-delay T  Let no host slow the scan to less than a probe in T.
  --initial-rtt-timeout T, --min-rtt-timeout T, --max-rtt-timeout T
                      Bounds of the time an answer is waited for.
  --max-retries N     Repeat an unanswered probe at most N times (0 to 255).
  --host-timeout T    Give a host up after T and report what is known; 0: never.
  --max-runtime T     End the scan after T and report what is known.
  --min-parallelism N, --max-parallelism N (-M N)
                      Bounds of the number of probes out at a time.
  --min-hostgroup N, --max-hostgroup N
                      Bounds of the number of hosts scanned at a time.
  --defeat-rst-ratelimit
                      Do not wait for hosts that limit their resets: closed
                      ports may be reported as filtered.
  -r                  Try ports by number, not in random order.
  --randomize-hosts   Try hosts in random order (-rH).
  --shard I/N         Scan the I-th of N shares of the hosts, so that N machines
                      share a scan; each host is in one share.
  --workers N         Share the ports among N threads. By default as many as
                      there are cores where the work is worth it, and one with
                      any trace or a pace that is asked for.
  --seed N            Use the probe order of an earlier run, which -d tells.

REPORT
  --open              Show only open ports, and hosts that have any.
  --reason            Show what each state was concluded from.
  -v, -vv, -v3        Tell more; -v0 writes nothing to stdout.
  -d, -dd, -d3        Tell how the scan works, and more with each level.
                      -d3 includes --packet-trace.
  --packet-trace      Show packets and connects on stdout and the steps of name
                      lookups on stderr.
  --packet-trace=X    net: packets and connects only; nsock: the events of all
                      parts; all: everything. The value needs the =.
  -oN FILE            Write the report, trace included, to FILE; - is stdout.
  -oX FILE, -oG FILE  Write XML, or lines per host, for readers of Nmap's files.
  -oJ FILE            Write a line of JSON per event: a journal, in which every
                      port is as soon as it is known. All these files are whole
                      at every moment, for the hosts that are done.
  -oH FILE            Write a page for browsers: one file that needs no others,
                      with tables that can be sorted.
  -oA BASE            Write all but the page: BASE.nmap, .xml, .gnmap, .ndjson.
                      In names %H %M %S %m %d %y %Y, %T (%H%M%S), %R (%H%M), %D
                      (%m%d%y), %F (%Y-%m-%d) stand for the time, %% for %.
  --stats-every T     Tell every T how far the scan is, and when it may be done.
  --noninteractive    Leave the terminal alone: no keys, no status line.
  --append-output     Add to files that are there instead of writing them
                      afresh.
  --resume FILE       Go on with the run whose journal FILE is, to the port. Its
                      targets and options are taken over; pace and reports may
                      be changed, what would make it another scan may not.
  --color X           Show states in colors: always, never, or auto, which is
                      on a terminal unless the environment has NO_COLOR.
  --trace-format X    classic, or bracket: everything in brackets.
  --trace-out FILE    Write every trace record to FILE as a line of JSON.

  -h                  Print a summary of this.
  --help              Print this.
  -V, --version       Print the version.

JOURNALS
  scanner convert RUN.ndjson -oX FILE    Write a run in any of the other forms.
  scanner merge A.ndjson B.ndjson ...    Put runs together, each host once.
  scanner diff A B [--json]              Compare runs, journals or XML; exits
                                         with 0 same, 1 different, 2 trouble.
  scanner explain RUN.ndjson HOST:PORT   Why has the port this state?

KEYS, WHILE A SCAN RUNS ON A TERMINAL
  v V  tell more, less    d D  of how the scan works    p P  show packets or not
  ?    the keys           any other: how far it is      Ctrl-C  stop and report

EXIT STATUS
  0 done - 1 failed - 2 usage error, nothing scanned - 3 done, but some targets
  or ports could not be looked at - 4 not permitted - 129 terminal closed - 130
  interrupted - 143 terminated

EXAMPLES
  scanner -sT --packet-trace 127.0.0.1
  scanner -F --open 198.18.0.0/24 --exclude 198.18.0.1
  scanner -p- -T4 -n -Pn -oN report.txt host.name
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_fits_a_screen() {
        assert!(SHORT.lines().count() <= 24);
        for line in SHORT.lines().chain(LONG.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn no_text_needs_the_option_above_it() {
        let texts = LONG.lines().filter_map(|line| line.strip_prefix("  -")?.split_once("  "));
        for (option, text) in texts {
            let text = text.trim();
            let fragment = text.starts_with('-') || text.contains(", --") || text.contains("them up");
            assert!(!fragment, "-{option}: {text}");
        }
    }

    #[test]
    fn every_option_is_in_both_texts() {
        let options = "-sS -sT -sU -sA -sW -sF -sN -sX -sM -sn -sL --scanflags -PS -PA -PU -PE -PP -PM \
            --disable-arp-ping -p -F --top-ports --exclude-ports -iL --exclude --excludefile -Pn -n -R --dns-servers \
            --system-dns -T0 --open --reason -v -d -4 -6 -e -S --iflist --packet-trace -oN -oX -oG -oJ -oH -oA --help -h -V";
        let long_only = "--max-retries --seed --min-rate --max-rate --scan-delay --max-scan-delay --initial-rtt-timeout \
            --min-rtt-timeout --max-rtt-timeout --host-timeout --max-runtime --min-parallelism --max-parallelism \
            --min-hostgroup --max-hostgroup --defeat-rst-ratelimit -r --randomize-hosts --shard -g --ttl --data --data-string --data-length --ip-options \
            -f --mtu -D --spoof-mac --badsum --send-eth --send-ip --privileged --unprivileged --trace-format --trace-out -PR \
            --discovery-ignore-rst --dns-max-rate --resolve-all --proxies --color --workers";
        for option in long_only.split_whitespace() {
            assert!(LONG.contains(option), "{option} in --help");
        }
        for option in options.split_whitespace() {
            assert!(SHORT.contains(option), "{option} in -h");
            assert!(LONG.contains(option), "{option} in --help");
        }
    }
}
