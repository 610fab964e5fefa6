//! Chance: one seeded generator for everything that is not decided otherwise.

use std::time::Duration;

/// The only source of randomness in a story.
#[derive(Debug)]
pub(crate) struct Rng(fastrand::Rng);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Jitter for the machines, in `0.0..1.0`; the ends more often than by chance.
    pub(crate) fn jitter(&mut self) -> f64 {
        match self.below(8) {
            0 => 0.0,
            1 => 0.999_999,
            _ => self.0.f64(),
        }
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.0.f64() < probability
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0.usize(..limit)
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Evenly between two durations.
    pub(crate) fn between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        shortest + longest.saturating_sub(shortest).mul_f64(self.0.f64())
    }

    /// Around `mean`, mostly shorter, sometimes much longer.
    pub(crate) fn about(&mut self, mean: Duration) -> Duration {
        let spread = -(1.0 - self.0.f64()).ln();
        mean.mul_f64(spread.min(6.0))
    }

    /// As random as the versions and nonces of a control plane.
    pub(crate) fn uuid(&mut self) -> String {
        format!("{:016x}", self.0.u64(..))
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }
}

pub(crate) const fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}
