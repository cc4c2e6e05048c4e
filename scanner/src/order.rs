//! A seeded permutation of `0..n` in constant memory.
//!
//! A generalized Feistel network (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002) over a grid of
//! `a` by `b` cells with `a * b >= n`, both near the square root of `n`. Values that fall outside `0..n` are
//! permuted again (cycle walking); the grid is less than two rows larger than `n`, so that is rare.

/// Rounds of the network. Four make it a strong pseudorandom permutation in theory; six cost little and hide the
/// grid for small `n` too.
const ROUNDS: usize = 6;

/// A bijection on `0..n`, keyed by a seed.
///
/// ```
/// use scanner::order::Permutation;
/// let order = Permutation::new(1000, 7);
/// let value = order.at(3);
/// assert_eq!(order.position_of(value), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permutation {
    len: u64,
    columns: u64,
    rows: u64,
    keys: [u64; ROUNDS],
    // None for the identity.
    rounds: usize,
}

impl Permutation {
    /// Makes the permutation of `0..len` that belongs to `seed`.
    #[must_use]
    pub fn new(len: u64, seed: u64) -> Self {
        let columns = ceiling_root(len).max(1);
        let rows = len.div_ceil(columns).max(1);
        let mut keys = [0; ROUNDS];
        let mut state = seed;
        for key in &mut keys {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            *key = mix(state);
        }
        Self { len, columns, rows, keys, rounds: ROUNDS }
    }

    /// Makes the permutation that leaves every value where it is, for a scan in ascending order.
    #[must_use]
    pub const fn identity(len: u64) -> Self {
        Self { len, columns: 1, rows: 1, keys: [0; ROUNDS], rounds: 0 }
    }

    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// True if there is no value at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value at `position`.
    ///
    /// # Panics
    /// If `position` is not below [`len`](Self::len).
    #[must_use]
    pub fn at(&self, position: u64) -> u64 {
        assert!(position < self.len, "position {position} of a permutation of {}", self.len);
        let mut value = self.forward(position);
        // Ends: the network permutes the grid, so the walk returns to `position` at the latest.
        while value >= self.len {
            value = self.forward(value);
        }
        value
    }

    /// The position at which `value` stands: the inverse of [`at`](Self::at).
    ///
    /// # Panics
    /// If `value` is not below [`len`](Self::len).
    #[must_use]
    pub fn position_of(&self, value: u64) -> u64 {
        assert!(value < self.len, "value {value} of a permutation of {}", self.len);
        let mut position = self.backward(value);
        while position >= self.len {
            position = self.backward(position);
        }
        position
    }

    fn forward(&self, cell: u64) -> u64 {
        let (mut column, mut row) = (cell % self.columns, cell / self.columns);
        for (round, &key) in self.keys[..self.rounds].iter().enumerate() {
            if round % 2 == 0 {
                column = wrapping_sum(column, share(mix(row ^ key), self.columns), self.columns);
            } else {
                row = wrapping_sum(row, share(mix(column ^ key), self.rows), self.rows);
            }
        }
        row * self.columns + column
    }

    fn backward(&self, cell: u64) -> u64 {
        let (mut column, mut row) = (cell % self.columns, cell / self.columns);
        for (round, &key) in self.keys[..self.rounds].iter().enumerate().rev() {
            if round % 2 == 0 {
                let back = self.columns - share(mix(row ^ key), self.columns);
                column = wrapping_sum(column, back, self.columns);
            } else {
                let back = self.rows - share(mix(column ^ key), self.rows);
                row = wrapping_sum(row, back, self.rows);
            }
        }
        row * self.columns + column
    }
}

/// Brings a mixed number below `below` by a multiplication: the divisions of twelve rounds, two scrambles a port, were a
/// fifth of the scanner's own time.
const fn share(mixed: u64, below: u64) -> u64 {
    ((mixed as u128 * below as u128) >> 64) as u64
}

/// The sum of two numbers, one below `modulus` and the other at most that, brought below it.
const fn wrapping_sum(one: u64, other: u64, modulus: u64) -> u64 {
    let sum = one + other;
    if sum >= modulus { sum - modulus } else { sum }
}

impl Default for Permutation {
    /// The permutation of nothing.
    fn default() -> Self {
        Self::identity(0)
    }
}

/// Derives an independent seed for the `serial`-th user of `seed`.
#[must_use]
pub fn derive_seed(seed: u64, serial: u64) -> u64 {
    mix(seed ^ mix(serial.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood, 2014): every input bit reaches every output bit.
const fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The smallest `r` with `r * r >= value`, at most 2^32 - 1 so that the grid's arithmetic cannot overflow.
fn ceiling_root(value: u64) -> u64 {
    let root = value.isqrt();
    let root = if root * root < value { root + 1 } else { root };
    root.min(u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_port_comes_once() {
        let order = Permutation::new(65_535, 1);
        let mut seen = vec![false; 65_535];
        for position in 0..65_535 {
            let value = usize::try_from(order.at(position)).unwrap();
            assert!(!std::mem::replace(&mut seen[value], true), "{value} came twice");
        }
    }

    #[test]
    fn another_seed_is_another_order() {
        let heads: std::collections::HashSet<Vec<u64>> =
            (0..100).map(|seed| (0..8).map(|p| Permutation::new(1000, seed).at(p)).collect()).collect();
        assert_eq!(heads.len(), 100);
    }

    #[test]
    fn the_identity_changes_nothing() {
        let order = Permutation::identity(10);
        assert!((0..10).all(|p| order.at(p) == p && order.position_of(p) == p));
    }

    #[test]
    fn neighbors_do_not_stay_together() {
        let order = Permutation::new(65_535, 3);
        let near = (1..65_535).filter(|&p| order.at(p).abs_diff(order.at(p - 1)) < 16).count();
        assert!(near < 65_535 * 32 / 65_535 * 3, "{near} neighbors stayed within 16 of each other");
    }

    proptest! {
        #[test]
        fn it_is_a_bijection(len in 1u64..2000, seed: u64) {
            let order = Permutation::new(len, seed);
            let mut values: Vec<u64> = (0..len).map(|p| order.at(p)).collect();
            for (position, &value) in values.iter().enumerate() {
                prop_assert_eq!(order.position_of(value), position as u64);
            }
            values.sort_unstable();
            prop_assert!(values.iter().copied().eq(0..len));
        }

        #[test]
        fn a_huge_domain_inverts(len in 1u64.., seed: u64, at: u64) {
            let order = Permutation::new(len, seed);
            let position = at % len;
            prop_assert_eq!(order.position_of(order.at(position)), position);
        }
    }
}
