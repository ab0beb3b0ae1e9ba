//! Reproducible random numbers, bytes and text: the same seed gives the same sequence in every run.

/// A random number generator for tests (xorshift64, Marsaglia 2003). The seed must not be 0.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// Returns the next 64 random bits.
    #[expect(clippy::should_implement_trait, reason = "the sequence never ends, so an iterator adds nothing")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `limit`, or 0 if `limit` is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 11).expect("53 bits fit") % limit.max(1)
    }

    /// Returns a random element of `from`.
    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Returns a concatenation of at most `most` random elements of `pieces`.
    pub fn text(&mut self, pieces: &[&str], most: usize) -> String {
        (0..self.below(most + 1)).map(|_| self.pick(pieces)).collect()
    }
}

/// Returns `length` incompressible bytes, a different sequence for each `seed`.
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    // An odd multiplier spreads small seeds over all bits without collisions. Xorshift never leaves the state 0.
    let mut random = Random((seed ^ 0x2545_F491_4F6C_DD1D).wrapping_mul(0x9E37_79B9_7F4A_7C15).max(1));
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_same_bytes_and_other_seeds_differ() {
        assert_eq!(bytes(3, 1001), bytes(3, 1001));
        assert_eq!(bytes(3, 1001)[..500], bytes(3, 500)[..]);
        let all: std::collections::HashSet<Vec<u8>> = (0..50).map(|seed| bytes(seed, 16)).collect();
        assert_eq!(all.len(), 50);
    }
}
