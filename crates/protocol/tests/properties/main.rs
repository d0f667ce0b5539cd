//! What holds for every input, tried on random ones.

mod json;
mod signing;

/// Random choices that a test makes while it writes something down, taken from proptest's random bytes so that a failing
/// case shrinks and repeats.
struct Choices<'a>(std::iter::Cycle<std::slice::Iter<'a, u8>>);

impl<'a> Choices<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(bytes.iter().cycle())
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % bound
    }
}
