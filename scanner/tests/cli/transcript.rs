//! What of two transcripts has to be equal: lines with everything masked that differs from run to run, or by design.

/// The lines of a stream, masked.
pub(crate) fn masked(text: &str) -> Vec<String> {
    text.lines().map(mask).collect()
}

/// The same as a multiset: sorted.
pub(crate) fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines
}

/// Masks times, dates, latencies, names of services, DNS ids and the words that are ours.
fn mask(line: &str) -> String {
    if line.starts_with("Starting ") {
        return "Starting PRODUCT at DATE".to_owned();
    }
    if let Some(packet) = line.strip_prefix("SENT (") {
        return format!("SENT (N{}", mask_packet(packet, true));
    }
    if let Some(packet) = line.strip_prefix("RCVD (") {
        return format!("RCVD (N{}", mask_packet(packet, false));
    }
    let is_row = |cell: &str| cell.ends_with("/tcp") || cell.ends_with("/udp");
    if line.starts_with("PORT ") || line.split(' ').next().is_some_and(is_row) {
        return mask_row(line);
    }
    let line = line
        .strip_prefix("Nmap ")
        .filter(|rest| rest.starts_with("scan report for "))
        .map_or_else(|| line.to_owned(), |rest| rest.replacen('s', "S", 1));
    let line =
        line.replacen("Nmap done: ", "PRODUCT done: ", 1).replacen("scanner done: ", "PRODUCT done: ", 1);
    let line = mask_between(&line, "CONN (", "s)");
    let line = mask_between(&line, "NSOCK INFO [", "s]");
    let line = mask_between(&line, " (", "s latency)");
    let line = mask_between(&line, "scanned in ", " seconds");
    let line = if line.contains("Raw packets sent: ") { "Raw packets sent: N".to_owned() } else { line };
    let line = mask_payload(&line);
    match line.split_once(" at ") {
        Some((what, rest)) if what.starts_with("Initiating ") || what.starts_with("Completed ") => {
            let rest = rest.split_once("elapsed").map_or("", |(_, rest)| rest);
            format!("{what} at TIME{rest}")
        }
        _ => line,
    }
}

/// A packet without what is drawn at random: times, ids, sequence numbers, checksums, source ports, flow labels, and the
/// times to live of what was sent.
fn mask_packet(packet: &str, sent: bool) -> String {
    const RANDOM: [&str; 9] = ["id=", "seq=", "ack=", "csum=", "orig=", "recv=", "trans=", "flow=", "urp="];
    let words = packet.split(' ').map(|word| {
        let (start, word) = word.strip_prefix('[').map_or(("", word), |rest| ("[", rest));
        let (word, end) = word.strip_suffix(']').map_or((word, ""), |rest| (rest, "]"));
        let own = ["198.18.64.5:", "fd00:64::5:"].iter().find(|own| word.starts_with(*own));
        let name = RANDOM.iter().find(|name| word.starts_with(*name));
        let masked = match (own, name) {
            (Some(own), _) => format!("{own}PORT"),
            (None, Some(name)) => format!("{name}N"),
            (None, None) if sent && word.starts_with("ttl=") => "ttl=N".to_owned(),
            (None, None) if word.ends_with("s)") => "s)".to_owned(),
            (None, None) => word.to_owned(),
        };
        format!("{start}{masked}{end}")
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A row of a port table: one blank between its cells, and no name of a service.
fn mask_row(line: &str) -> String {
    let mut cells: Vec<&str> = line.split_whitespace().collect();
    cells[2] = "SERVICE";
    cells.join(" ")
}

/// Masks what stands between the first `before` and the next `after`, if it is a number.
fn mask_between(line: &str, before: &str, after: &str) -> String {
    let masked = line.split_once(before).and_then(|(start, rest)| {
        let (number, end) = rest.split_once(after)?;
        number.parse::<f64>().ok()?;
        Some(format!("{start}{before}N{after}{end}"))
    });
    masked.unwrap_or_else(|| line.to_owned())
}

/// The first two bytes of a DNS message are the id of the query.
fn mask_payload(line: &str) -> String {
    match line.split_once(" bytes): ") {
        Some((start, payload)) if payload.is_ascii() && payload.len() > 2 => {
            format!("{start} bytes): ID{}", &payload[2..])
        }
        _ => line.to_owned(),
    }
}

#[test]
fn only_what_differs_by_nature_is_masked() {
    let table = [
        ("Starting Nmap 7.93 ( https://nmap.org ) at 2026-11-22 11:38 UTC", "Starting PRODUCT at DATE"),
        (
            "CONN (0.0193s) TCP localhost > 198.18.64.11:22 => Connected",
            "CONN (Ns) TCP localhost > 198.18.64.11:22 => Connected",
        ),
        ("Nmap scan report for 198.18.64.11", "Scan report for 198.18.64.11"),
        ("Scan report for 198.18.64.11", "Scan report for 198.18.64.11"),
        ("Host is up, received user-set (0.00077s latency).", "Host is up, received user-set (Ns latency)."),
        (
            "SENT (0.0981s) TCP 198.18.64.5:42497 > 198.18.64.10:22 S ttl=43 id=50066 iplen=44  seq=2921 win=1024 <mss 1460>",
            "SENT (Ns) TCP 198.18.64.5:PORT > 198.18.64.10:22 S ttl=N id=N iplen=44  seq=N win=1024 <mss 1460>",
        ),
        (
            "RCVD (0.0319s) ICMP [198.18.64.10 > 198.18.64.5 Echo reply (type=0/code=0) id=43882 seq=0] IP [ttl=64 id=60786 iplen=28 ]",
            "RCVD (Ns) ICMP [198.18.64.10 > 198.18.64.5 Echo reply (type=0/code=0) id=N seq=N] IP [ttl=64 id=N iplen=28 ]",
        ),
        (
            "SENT (0.0320s) ICMP [198.18.64.5 > 198.18.64.10 Echo request (type=8/code=0) id=43 seq=0] IP [ttl=41 id=4 iplen=28 ]",
            "SENT (Ns) ICMP [198.18.64.5 > 198.18.64.10 Echo request (type=8/code=0) id=N seq=N] IP [ttl=N id=N iplen=28 ]",
        ),
        ("Host is up.", "Host is up."),
        ("81/tcp closed   hosts2-ns   conn-refused", "81/tcp closed SERVICE conn-refused"),
        (
            "Completed Ping Scan at 11:43, 1.20s elapsed (3 total hosts)",
            "Completed Ping Scan at TIME (3 total hosts)",
        ),
        (
            "Nmap done: 1 IP address (1 host up) scanned in 1.22 seconds",
            "PRODUCT done: 1 IP address (1 host up) scanned in N seconds",
        ),
    ];
    for (line, expected) in table {
        assert_eq!(mask(line), expected);
    }
}
