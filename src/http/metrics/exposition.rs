//! Prometheus's text format, for numbers that the recorder cannot hold: histograms and counters that the database keeps.

use std::fmt::Write as _;

/// A text under construction: families of samples, each with its help and type.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

/// Names and values of a sample's labels.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Exposition {
    /// A value that goes up and down.
    pub(super) fn gauge<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) {
        self.family(name, "gauge", help, samples);
    }

    /// A count that only grows.
    pub(super) fn counter<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) {
        self.family(name, "counter", help, samples);
    }

    /// Buckets as (upper bound, count in this bucket alone) in rising order, the last one without a bound, and the sum.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        buckets: impl IntoIterator<Item = (Option<f64>, i64)>,
        sum: f64,
    ) {
        self.head(name, "histogram", help);
        let mut count = 0;
        for (bound, here) in buckets {
            count += here;
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            self.sample(&format!("{name}_bucket"), &[("le", &bound)], count as f64);
        }
        self.sample(&format!("{name}_sum"), &[], sum);
        self.sample(&format!("{name}_count"), &[], count as f64);
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn family<'a>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) {
        self.head(name, kind, help);
        for (labels, value) in samples {
            self.sample(name, labels, value);
        }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let mark = if index == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', r"\n");
            self.write(format_args!("{mark}{label}=\"{text}\""));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{end} {value}\n"));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(text)
            .expect("writing to a string does not fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_as_prometheus_reads_it() {
        let mut text = Exposition::default();
        text.gauge(
            "depth",
            "Jobs.",
            [(
                &[("queue", "a\"b\\c\nd"), ("state", "queued")] as Labels<'_>,
                4.0,
            )],
        );
        text.counter(
            "tries_total",
            "Tries.",
            [(&[] as Labels<'_>, 12_345_678_901.0)],
        );
        let buckets = [(Some(0.5), 2), (Some(10.0), 0), (None, 1)];
        text.histogram("wait_seconds", "Waits.", buckets, 61.25);
        assert_eq!(
            text.finish(),
            r#"# HELP depth Jobs.
# TYPE depth gauge
depth{queue="a\"b\\c\nd",state="queued"} 4
# HELP tries_total Tries.
# TYPE tries_total counter
tries_total 12345678901
# HELP wait_seconds Waits.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.5"} 2
wait_seconds_bucket{le="10"} 2
wait_seconds_bucket{le="+Inf"} 3
wait_seconds_sum 61.25
wait_seconds_count 3
"#
        );
    }
}
