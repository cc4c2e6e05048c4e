//! What messages mean, and that no message does harm.

use std::net::IpAddr;
use std::time::Duration;

use domain::base::Message;
use proptest::prelude::*;

use super::*;
use crate::testing::{A, ANSWER, CNAME, DNAME, PTR, RRSIG, Response, raw, wire};

const SECOND: Duration = Duration::from_secs(1);

/// The question of the public transcripts.
fn asked() -> Asked {
    Asked { name: HostName::reverse([192, 168, 1, 103].into()), kind: Kind::Pointer }
}

fn query() -> Vec<u8> {
    build_query(0x1234, &asked(), Letters::AsAsked, None)
}

fn read(bytes: &[u8]) -> Result<Reply, Unusable> {
    let message = Message::from_slice(bytes).unwrap();
    assert!(is_about(bytes, &asked()));
    read_reply(message, &asked(), false)
}

fn names(texts: &[&str]) -> Records {
    Records::Names(texts.iter().map(|text| HostName::parse(text).unwrap()).collect())
}

#[test]
fn the_first_query_is_the_one_of_the_transcripts() {
    let expected =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03103\x011\x03168\x03192\x07in-addr\x04arpa\x00\
        \x00\x0c\x00\x01";
    assert_eq!(query(), expected);
    assert_eq!(query().len(), 44);
    let v6 = Asked { name: HostName::reverse("fe80::1".parse().unwrap()), kind: Kind::Pointer };
    assert_eq!(build_query(1, &v6, Letters::AsAsked, None).len(), 90);
}

#[test]
fn an_answer_repeats_name_type_and_class_in_any_case() {
    let about = |bytes: &[u8]| is_about(bytes, &asked());
    let mut loud = query();
    loud.make_ascii_uppercase();
    assert!(about(&loud));
    for (at, value) in [(13, b'2'), (41, 1), (43, 3), (5, 0), (5, 2)] {
        let mut other = query();
        other[at] = value;
        assert!(!about(&other), "byte {at}");
    }
}

#[test]
fn d03_the_ad_and_cd_bits_are_no_reason_to_lose_an_answer() {
    for flags in [0x81a0, 0x8190, 0x81f0, 0x8400, 0x8000] {
        let bytes = Response::to(&query()).ptr("h103.lan").flags(flags).done();
        assert_eq!(read(&bytes), Ok(Reply::Found(names(&["h103.lan"]), 60 * SECOND)), "{flags:#x}");
    }
}

#[test]
fn d06_an_unknown_response_code_is_not_no_such_name() {
    assert_eq!(read(&Response::rcode(&query(), 11)), Ok(Reply::Failure(ServerFault::Rcode(11))));
    assert_eq!(read(&Response::rcode(&query(), 3)), Ok(Reply::NoSuchName(None)));
}

#[test]
fn d07_records_of_other_types_are_passed_over() {
    let bytes = Response::to(&query())
        .record(&wire("168.192.in-addr.arpa"), DNAME, 9, &wire("rev.test"))
        .record(&[0xc0, 12], RRSIG, 9, &[0; 30])
        .ptr("h103.lan")
        .done();
    assert_eq!(read(&bytes), Ok(Reply::Found(names(&["h103.lan"]), 60 * SECOND)));
}

#[test]
fn d20_a_target_nobody_can_be_shown_is_no_name() {
    let bytes = Response::to(&query()).record(&[0xc0, 12], PTR, 9, &[0]).done();
    assert_eq!(read(&bytes), Ok(Reply::NoData(Some(9 * SECOND))));
    let bytes = Response::to(&query()).record(&[0xc0, 12], PTR, 9, &raw(&[b"ex\0am", b"\x1b[2J"])).done();
    let Ok(Reply::Found(Records::Names(found), _)) = read(&bytes) else { panic!("no names") };
    assert_eq!(found[0].to_string(), "ex*am.**2J");
}

#[test]
fn d21_an_alias_may_stand_behind_its_target() {
    let alias = wire("103.0-127.1.168.192.in-addr.arpa");
    let bytes = Response::to(&query())
        .record(&alias, PTR, 60, &wire("h103.lan"))
        .record(&[0xc0, 12], CNAME, 30, &alias)
        .done();
    assert_eq!(read(&bytes), Ok(Reply::Found(names(&["h103.lan"]), 30 * SECOND)));
}

#[test]
fn d28_all_names_are_kept_in_an_order_that_rotation_does_not_change() {
    let one = Response::to(&query()).ptr("b.test").ptr("a.test").ptr("B.test").done();
    let other = Response::to(&query()).ptr("a.test").ptr("b.test").done();
    assert_eq!(read(&one), Ok(Reply::Found(names(&["a.test", "b.test"]), 60 * SECOND)));
    assert_eq!(read(&one), read(&other));
}

#[test]
fn an_alias_without_its_target_is_to_be_asked_for() {
    let alias = wire("103.sub.test");
    let alone = Response::to(&query()).record(&[0xc0, 12], CNAME, 30, &alias);
    assert_eq!(read(&alone.clone().done()), Ok(Reply::Alias(HostName::parse("103.sub.test").unwrap())));
    assert_eq!(read(&alone.soa(60, 20).done()), Ok(Reply::NoData(Some(20 * SECOND))));
}

#[test]
fn aliases_in_a_circle_end() {
    let bytes = Response::to(&query())
        .record(&[0xc0, 12], CNAME, 30, &wire("a.test"))
        .record(&wire("a.test"), CNAME, 30, &wire("b.test"))
        .record(&wire("b.test"), CNAME, 30, &wire("a.test"))
        .done();
    assert_eq!(read(&bytes), Ok(Reply::Failure(ServerFault::EndlessAlias)));
}

#[test]
fn absence_is_kept_as_long_as_the_soa_says() {
    assert_eq!(read(&Response::to(&query()).soa(600, 300).done()), Ok(Reply::NoData(Some(300 * SECOND))));
    let gone = Response::to(&query()).flags(ANSWER | 3).soa(100, 300).done();
    assert_eq!(read(&gone), Ok(Reply::NoSuchName(Some(100 * SECOND))));
    assert_eq!(read(&Response::to(&query()).done()), Ok(Reply::NoData(None)));
}

#[test]
fn d09_of_a_truncated_answer_the_part_is_kept_apart() {
    let bytes = Response::to(&query()).ptr("part.test").flags(ANSWER | 0x0200).done();
    assert_eq!(read(&bytes), Ok(Reply::Truncated(Some(names(&["part.test"])))));
    let bytes = Response::to(&query()).flags(ANSWER | 0x0200).done();
    assert_eq!(read(&bytes), Ok(Reply::Truncated(None)));
}

#[test]
fn a_branch_alias_leads_on_where_the_server_leaves_out_the_alias_it_means() {
    let branch =
        |target: &str| Response::to(&query()).record(&wire("168.192.in-addr.arpa"), DNAME, 9, &wire(target));
    let moved = HostName::parse("103.1.rev.test").unwrap();
    assert_eq!(read(&branch("rev.test").done()), Ok(Reply::Alias(moved)));
    let whole = branch("rev.test").record(&wire("103.1.rev.test"), PTR, 60, &wire("h103.lan")).done();
    assert_eq!(read(&whole), Ok(Reply::Found(names(&["h103.lan"]), 9 * SECOND)));
    let long = ["abcdefghi."; 25].concat();
    assert_eq!(read(&branch(&long).done()), Ok(Reply::Failure(ServerFault::EndlessAlias)));
    let circle = branch("x.168.192.in-addr.arpa").done();
    assert_eq!(read(&circle), Ok(Reply::Failure(ServerFault::EndlessAlias)));
}

#[test]
fn extended_response_codes_and_complaints_about_edns() {
    let opt = |code: u32, flags: u16| {
        let mut bytes = Response::to(&query()).flags(flags).done();
        bytes[11] = 1;
        bytes.extend_from_slice(b"\0\0\x29\x04\xd0");
        bytes.extend_from_slice(&(code << 24).to_be_bytes());
        bytes.extend_from_slice(b"\0\0");
        bytes
    };
    let with_opt = |bytes: &[u8]| read_reply(Message::from_slice(bytes).unwrap(), &asked(), true);
    assert_eq!(with_opt(&opt(1, ANSWER)), Ok(Reply::Unextended), "BADVERS is 16");
    assert_eq!(with_opt(&opt(1, ANSWER | 7)), Ok(Reply::BadCookie), "BADCOOKIE is 23");
    assert_eq!(with_opt(&opt(2, ANSWER)), Ok(Reply::Failure(ServerFault::Rcode(32))));
    assert_eq!(with_opt(&Response::rcode(&query(), 1)), Ok(Reply::Unextended));
    assert_eq!(read(&Response::rcode(&query(), 1)), Ok(Reply::Failure(ServerFault::Rcode(1))));
}

#[test]
fn letters_of_a_query_are_mixed_and_have_to_come_back() {
    let letters = Letters::Mixed(0b10_1010_1010);
    let mixed = build_query(1, &asked(), letters, None);
    assert_eq!(&mixed[12..42], b"\x03103\x011\x03168\x03192\x07iN-aDdR\x04aRpA\0\0\x0c"[..30].as_ref());
    assert!(has_letters(&mixed, &asked(), letters));
    assert!(!has_letters(&query(), &asked(), letters) && has_letters(&query(), &asked(), Letters::AsAsked));
    assert!(!has_letters(&mixed[..20], &asked(), letters));
}

#[test]
fn records_about_other_names_say_nothing() {
    let bytes = Response::to(&query()).record(&wire("evil.test"), PTR, 9, &wire("evil.test")).done();
    assert_eq!(read(&bytes), Err(Unusable::Unrelated));
    let other_kind = Response::to(&query()).record(&[0xc0, 12], A, 9, &[1, 2, 3, 4]).done();
    assert_eq!(read(&other_kind), Ok(Reply::NoData(None)));
}

#[test]
fn what_stands_before_the_damage_is_used() {
    let good = Response::to(&query()).ptr("h103.lan");
    assert_eq!(read(&good.clone().count(0xffff).done()), Ok(Reply::Found(names(&["h103.lan"]), 60 * SECOND)));
    assert_eq!(read(&Response::to(&query()).count(1).done()), Err(Unusable::Damaged));
    let trailing = [good.done(), vec![0xff; 40]].concat();
    assert_eq!(read(&trailing), Ok(Reply::Found(names(&["h103.lan"]), 60 * SECOND)));
}

#[test]
fn hostile_names_in_records_are_refused() {
    // Where the data of the first record starts: 44 bytes of question, 12 of record.
    let targets: [&[u8]; 7] = [
        &[0xc0, 56],           // a pointer to itself
        &[0xc0, 58, 0xc0, 56], // two that point at each other
        &[1, b'a', 0xc0, 56],  // a label and then back to it
        &[0x41, b'a', 0],      // a label of type 01
        &[5, b'a', b'b'],      // a label longer than the data
        &[1, b'a', 0, 0, 0],   // data longer than the name
        &[63; 320],            // a name of 320 bytes
    ];
    for target in targets {
        let bytes = Response::to(&query()).record(&[0xc0, 12], PTR, 9, target).done();
        assert_eq!(read(&bytes), Err(Unusable::Damaged), "{target:?}");
    }
    let asked = Asked { name: HostName::parse("two.test").unwrap(), kind: Kind::A };
    let short = Response::to(&build_query(1, &asked, Letters::AsAsked, None))
        .record(&[0xc0, 12], A, 9, &[1, 2, 3])
        .done();
    assert_eq!(read_reply(Message::from_slice(&short).unwrap(), &asked, false), Err(Unusable::Damaged));
}

#[test]
fn addresses_come_in_the_servers_order_each_once() {
    let asked = Asked { name: HostName::parse("two.test").unwrap(), kind: Kind::A };
    let (one, two): (IpAddr, IpAddr) = ([198, 18, 0, 2].into(), [198, 18, 0, 1].into());
    let bytes = Response::to(&build_query(1, &asked, Letters::AsAsked, None))
        .address(one)
        .address(two)
        .address(one)
        .done();
    let reply = read_reply(Message::from_slice(&bytes).unwrap(), &asked, false);
    assert_eq!(reply, Ok(Reply::Found(Records::Addresses(vec![one, two]), 60 * SECOND)));
}

#[test]
fn a_flood_of_records_is_bounded() {
    let mut response = Response::to(&query());
    for index in 0..200 {
        response = response.ptr(&format!("n{index}.test"));
    }
    let Ok(Reply::Found(Records::Names(found), _)) = read(&response.done()) else { panic!("no names") };
    assert_eq!(found.len(), RECORDS_KEPT_MAX);
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 12..600)) {
        let message = Message::from_slice(&bytes).unwrap();
        let _ = is_about(&bytes, &asked());
        let _ = read_reply(message, &asked(), false);
    }

    #[test]
    fn damaged_answers_are_read(
        changes in proptest::collection::vec((44_usize..160, any::<u8>()), 0..6),
        end in 44_usize..200,
    ) {
        let mut bytes = Response::to(&query())
            .record(&[0xc0, 12], CNAME, 30, &wire("a.test"))
            .record(&wire("a.test"), PTR, 30, &wire("h103.lan"))
            .ptr("other.test")
            .soa(1, 2)
            .done();
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(end);
        if let Ok(Reply::Found(Records::Names(names), _)) = read(&bytes) {
            prop_assert!(!names.is_empty() && names.len() <= RECORDS_KEPT_MAX);
            prop_assert!(names.iter().all(|name| name.escaped().to_string().bytes().all(|byte| byte.is_ascii_graphic())));
        }
    }
}
