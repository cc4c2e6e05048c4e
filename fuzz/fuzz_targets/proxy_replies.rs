//! Whatever proxies answer, in whatever pieces: the way through them never panics, takes for an answer only what is one,
//! however it was cut, and comes to an end.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use nsock::{ProxyChain, Rehearsal};

/// More than the head of an HTTP answer may take, and than any answer of SOCKS.
const ANSWER_BYTES_MAX: usize = 65 << 10;

#[derive(Arbitrary, Debug)]
struct Play<'a> {
    chain: u8,
    /// Where the answers are cut, if not behind each byte.
    cuts: Vec<u8>,
    /// Whether the answers go on for ever.
    endless: bool,
    answers: &'a [u8],
}

const CHAINS: [&str; 7] = [
    "http://127.0.0.1",
    "http://joe:pw@127.0.0.1",
    "socks4://127.0.0.1",
    "socks4a://joe@127.0.0.1",
    "socks5://127.0.0.1",
    "socks5://joe:pw@127.0.0.1",
    "socks5://joe:pw@127.0.0.1,http://127.0.0.2,socks4a://127.0.0.3",
];

fn pieces<'a>(answers: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let (mut pieces, mut rest, mut cuts) = (Vec::new(), answers, cuts.iter());
    while !rest.is_empty() {
        let length = cuts.next().map_or(1, |cut| usize::from(*cut)).min(rest.len());
        let (piece, behind) = rest.split_at(length);
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

fuzz_target!(|play: Play<'_>| {
    let chain: ProxyChain = CHAINS[usize::from(play.chain) % CHAINS.len()].parse().unwrap();
    let run = |pieces: &[&[u8]]| -> Rehearsal { chain.rehearse("198.18.0.1", 80, pieces).unwrap() };
    let whole = run(&[play.answers]);
    assert!(whole.understood <= play.answers.len());
    assert_eq!(whole, run(&pieces(play.answers, &play.cuts)), "it matters how they come");
    if whole.end == Some(Ok(())) {
        // The target's bytes are no part of it, and all of the proxies' are needed.
        assert_eq!(whole, run(&[&play.answers[..whole.understood]]));
        for short in 0..whole.understood {
            assert_eq!(run(&[&play.answers[..short]]).end, None, "{short} bytes were enough");
        }
    }
    if play.endless && !play.answers.is_empty() {
        let times = chain.len() * ANSWER_BYTES_MAX / play.answers.len() + 1;
        let endless = play.answers.repeat(times);
        assert!(run(&endless.chunks(4096).collect::<Vec<_>>()).end.is_some(), "it goes on for ever");
    }
});
