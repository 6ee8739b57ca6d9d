//! The crate from outside: marks beside slow twins, answer sheets, and sets on disk.

mod exams;
mod layouts;
mod files;
mod golden;
mod papers;
mod published;
mod sets;
mod twins;

/// A small seeded generator for tests.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }

    /// In random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
