//! Percentiles of a sample.

use std::time::Duration;

/// A sample of durations.
#[derive(Default)]
pub struct Sample(Vec<Duration>);

impl Sample {
    /// Adds one.
    pub fn push(&mut self, value: Duration) {
        self.0.push(value);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value below which `share` of the sample lies, nearest rank.
    pub fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted
            .get(rank.clamp(1, sorted.len().max(1)) - 1)
            .copied()
            .unwrap_or_default()
    }

    /// `p50 1.2 ms, p99 3.4 ms, n = 100`.
    pub fn summary(&self) -> String {
        format!(
            "p50 {}, p99 {}, n = {}",
            ms(self.percentile(0.5)),
            ms(self.percentile(0.99)),
            self.len()
        )
    }
}

impl FromIterator<Duration> for Sample {
    fn from_iter<I: IntoIterator<Item = Duration>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// Milliseconds with one digit.
pub fn ms(value: Duration) -> String {
    format!("{:.1} ms", value.as_secs_f64() * 1000.0)
}
