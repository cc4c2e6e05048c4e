use super::*;
use crate::target::TargetSpec;
use proptest::prelude::*;

fn add(set: &mut TargetSet, word: &str, purpose: Purpose) {
    match TargetSpec::parse(word).unwrap() {
        TargetSpec::V4Range { first, last } => set.add_v4(first, last, purpose),
        TargetSpec::V4Pattern(pattern) => set.add_pattern(&pattern, purpose).unwrap(),
        TargetSpec::V6Range { first, last, .. } => set.add_v6(first, last, 0, purpose),
        TargetSpec::Name { .. } => panic!("{word} is a name"),
    }
}

fn set(words: &[&str], excluded: &[&str]) -> TargetSet {
    let mut set = TargetSet::default();
    excluded.iter().for_each(|word| add(&mut set, word, Purpose::LeaveOut));
    words.iter().for_each(|word| add(&mut set, word, Purpose::Scan));
    set
}

#[test]
fn a_large_prefix_costs_one_block() {
    let set = set(&["10.0.0.0/8"], &[]);
    assert_eq!(set.len(), 1 << 24);
    assert_eq!(set.blocks.len() + set.patterns.len() + set.v4.iter().count(), 2);
    let split = self::set(&["10.0.0.0/8"], &["10.1.0.0/16", "10.3.3.3"]);
    assert_eq!(split.len(), (1 << 24) - (1 << 16) - 1);
    assert_eq!(split.blocks.len(), 3);
}

#[test]
fn a_sparse_pattern_costs_one_block() {
    let set = set(&["*.*.*.1"], &[]);
    assert_eq!(set.len(), 1 << 24);
    assert_eq!((set.blocks.len(), set.patterns.len()), (1, 1));
    let first: Vec<String> = set.iter().take(3).map(|address| address.to_string()).collect();
    assert_eq!(first, ["0.0.0.1", "0.0.1.1", "0.0.2.1"]);
}

#[test]
fn neighbors_given_one_by_one_are_joined() {
    let mut set = TargetSet::default();
    for number in 0..10_000_u32 {
        set.add_v4((0x0a00_0000 + number).into(), (0x0a00_0000 + number).into(), Purpose::Scan);
    }
    assert_eq!((set.blocks.len(), set.v4.iter().count(), set.len()), (1, 1, 10_000));
}

#[test]
fn loopback_is_known_without_a_look_at_each_address() {
    let words = ["127.0.0.1", "127.0.0.0/8", "::1", "127.*.*.1", "127.0.0.1-127.255.255.255"];
    assert!(words.iter().all(|word| set(&[word], &[]).is_loopback()));
    assert!(set(&words, &["127.0.0.0/9"]).is_loopback());
    for other in ["126-127.*.*.1", "127-128.*.*.1", "127.0.0.1-128.0.0.0", "::/127", "fd00::1", "198.18.0.1"]
    {
        assert!(!set(&["127.0.0.1", other], &[]).is_loopback(), "{other}");
    }
}

#[test]
fn all_addresses_of_both_families_can_be_counted() {
    assert_eq!(set(&["0.0.0.0/0"], &[]).len(), 1 << 32);
    assert_eq!(set(&["::/0"], &[]).len(), u128::MAX);
    let mut last = Cursor { block: 0, offset: u128::from(u32::MAX) };
    let all = set(&["0.0.0.0/0"], &[]);
    assert_eq!(all.next_after(&mut last).unwrap().to_string(), "255.255.255.255");
    assert_eq!(all.next_after(&mut last), None);
    assert_eq!(all.next_after(&mut last), None);
}

#[test]
fn patterns_and_ranges_that_overlap_are_counted_once() {
    let set = set(
        &["10.0-255.0-255.1", "10.1.0.0/16", "10.0-255.0-255.1-2", "10.0.0.0/30"],
        &["10.0-255.7.1", "10.1.1.0-10.1.1.3"],
    );
    let mut seen = std::collections::BTreeSet::new();
    for address in &set {
        assert!(seen.insert(address), "{address} comes twice");
        assert!(set.contains(address));
    }
    assert_eq!(seen.len() as u128, set.len());
    let ours = |text: &str| seen.contains(&Address::new(text.parse().unwrap()));
    assert!(
        ours("10.200.3.1") && ours("10.200.3.2") && ours("10.1.9.9") && ours("10.0.0.0") && ours("10.9.7.2")
    );
    assert!(!ours("10.9.7.1") && !ours("10.1.7.1") && !ours("10.1.1.1") && !ours("10.2.0.3"));
}

#[test]
fn too_many_sparse_patterns_are_refused() {
    let mut set = TargetSet::default();
    let mut refused = false;
    for last in 0..=u8::MAX {
        let TargetSpec::V4Pattern(pattern) = TargetSpec::parse(&format!("*.*.0-99.{last}")).unwrap() else {
            panic!("no pattern")
        };
        refused |= set.add_pattern(&pattern, Purpose::Scan).is_err();
    }
    assert!(refused);
    assert!(set.patterns.len() <= PATTERNS_MAX);
}

/// Words about a corner of the address space small enough to be listed, sparse patterns among them.
fn word() -> impl Strategy<Value = String> {
    let octets = prop_oneof![Just("0-7"), Just("0,2,4,6"), Just("1,3"), Just("5"), Just("0-3")];
    let sparse = [octets.clone(), octets.clone(), octets];
    prop_oneof![
        sparse.prop_map(|[second, third, fourth]| format!("10.{second}.{third}.{fourth}")),
        (0u8..8, 0u8..8, 0u8..8, 22u8..=32).prop_map(|(b, c, d, bits)| format!("10.{b}.{c}.{d}/{bits}")),
        (0u8..8, 0u8..8, 0u8..8, 0u8..40)
            .prop_map(|(b, c, d, width)| format!("10.{b}.{c}.{d}-10.{b}.{c}.{}", d + width)),
        (0u32..16, 0u32..16).prop_map(|(first, width)| format!("fd00::{first:x}-fd00::{:x}", first + width)),
    ]
}

/// Adds as [`add`] does, but keeps even small patterns as patterns.
fn add_sparse(set: &mut TargetSet, word: &str, purpose: Purpose) {
    match TargetSpec::parse(word).unwrap() {
        TargetSpec::V4Pattern(pattern) => {
            set.add_sparse_pattern(&pattern, purpose).unwrap();
        }
        _ => add(set, word, purpose),
    }
}

fn walk_is_sound(set: &TargetSet, words: &[String], excluded: &[String]) -> Result<(), TestCaseError> {
    let mut expected: Vec<Address> = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for word in excluded {
        known.extend(self::set(&[word], &[]).iter());
    }
    for word in words {
        expected.extend(self::set(&[word], &[]).iter().filter(|address| known.insert(*address)));
    }
    let mut walked: Vec<Address> = set.iter().collect();
    prop_assert_eq!(set.len(), walked.len() as u128);
    prop_assert!(walked.iter().all(|address| set.contains(*address)));
    if set.patterns.is_empty() {
        prop_assert_eq!(&walked, &expected);
    }
    walked.sort();
    expected.sort();
    prop_assert_eq!(walked, expected);
    Ok(())
}

proptest! {
    #[test]
    fn each_address_comes_once_in_the_order_given(
        words in proptest::collection::vec(word(), 0..6), excluded in proptest::collection::vec(word(), 0..3),
    ) {
        let mut set = TargetSet::default();
        excluded.iter().for_each(|word| add(&mut set, word, Purpose::LeaveOut));
        words.iter().for_each(|word| add(&mut set, word, Purpose::Scan));
        walk_is_sound(&set, &words, &excluded)?;
    }

    #[test]
    fn sparse_patterns_mix_with_ranges(
        words in proptest::collection::vec(word(), 0..5), excluded in proptest::collection::vec(word(), 0..2),
    ) {
        let mut set = TargetSet::default();
        excluded.iter().for_each(|word| add_sparse(&mut set, word, Purpose::LeaveOut));
        words.iter().for_each(|word| add_sparse(&mut set, word, Purpose::Scan));
        walk_is_sound(&set, &words, &excluded)?;
    }
}
