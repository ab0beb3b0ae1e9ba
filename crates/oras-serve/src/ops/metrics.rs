//! Metrics in the text format of Prometheus, version 0.0.4. Labels are fixed words and never text of a client, which
//! limits the number of series.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};

use crate::api::endpoint::Endpoint;
use crate::api::route::{Resource, Route};
use crate::api::upload_sessions::UploadSessions;
use crate::limits::connection_limits::ConnectionLimits;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const ENDPOINTS: [&str; 10] =
    ["other", "root", "catalog", "blob", "upload", "manifest", "tags", "referrers", "token", "probe"];
/// The upper limits of the buckets of durations, in microseconds and as text in seconds.
const BUCKETS: [(u64, &str); 9] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (5_000, "0.005"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (500_000, "0.5"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
    (60_000_000, "60"),
];

/// Returns the label of an endpoint, one of [`ENDPOINTS`].
pub(super) fn label(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Other(_) => "other",
        Endpoint::Registry(Route::Root) => "root",
        Endpoint::Registry(Route::Catalog) => "catalog",
        Endpoint::Registry(Route::Repository { resource, .. }) => match resource {
            Resource::Blob { .. } => "blob",
            Resource::Uploads | Resource::Upload { .. } => "upload",
            Resource::Manifest { .. } => "manifest",
            Resource::Tags => "tags",
            Resource::Referrers { .. } => "referrers",
        },
        Endpoint::Token => "token",
        Endpoint::Metrics | Endpoint::Live | Endpoint::Ready => "probe",
    }
}

/// Counters since the start of the server.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: [[[AtomicU64; STATUSES.len()]; METHODS.len()]; ENDPOINTS.len()],
    durations: [Durations; ENDPOINTS.len()],
    received: AtomicU64,
    sent: AtomicU64,
}

#[derive(Debug, Default)]
struct Durations {
    /// The last bucket has the durations above the last limit.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    /// In microseconds.
    sum: AtomicU64,
}

impl Metrics {
    /// Counts a request whose response began after `took`.
    pub(super) fn record_request(&self, endpoint: &str, method: &Method, status: StatusCode, took: Duration) {
        let method = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1);
        let endpoint = ENDPOINTS.iter().position(|label| *label == endpoint).unwrap_or_default();
        // A status outside of 100 to 599 counts in the nearest class.
        let status = usize::from(status.as_u16() / 100).clamp(1, STATUSES.len()) - 1;
        // Relaxed is enough: a scrape may read one counter before and another after a request.
        self.requests[endpoint][method][status].fetch_add(1, Ordering::Relaxed);
        let (durations, took) =
            (&self.durations[endpoint], u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        // Counts in one bucket only. `write` makes the counts cumulative, as the format requires.
        let bucket = BUCKETS.iter().position(|(limit, _)| took <= *limit).unwrap_or(BUCKETS.len());
        durations.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        durations.sum.fetch_add(took, Ordering::Relaxed);
    }

    /// Returns all metrics of a server in the text format.
    pub(crate) fn to_text(&self, connections: &ConnectionLimits, uploads: &UploadSessions) -> String {
        let mut text = MetricsText::default();
        self.write(&mut text);
        text.single("oras_connections", "gauge", "Connections that are open.", connections.open());
        let help = "Connections closed or refused for too many.";
        text.single("oras_connections_closed_total", "counter", help, connections.closed());
        text.single("oras_uploads", "gauge", "Uploads that are open.", uploads.open_count());
        text.0
    }

    /// Counts received bytes.
    pub(crate) fn record_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts sent bytes.
    pub(crate) fn record_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Writes the counters in the text format.
    fn write(&self, text: &mut MetricsText) {
        text.begin("oras_requests_total", "counter", "Requests that were answered.");
        for (endpoint, methods) in ENDPOINTS.iter().zip(&self.requests) {
            for (method, statuses) in METHODS.iter().zip(methods) {
                for (status, count) in STATUSES.iter().zip(statuses) {
                    let count = count.load(Ordering::Relaxed);
                    // Series without requests are omitted, as there are hundreds of combinations.
                    if count > 0 {
                        let labels =
                            format!("{{endpoint=\"{endpoint}\",method=\"{method}\",status=\"{status}\"}}");
                        text.line("oras_requests_total", &labels, count);
                    }
                }
            }
        }
        let name = "oras_request_duration_seconds";
        text.begin(name, "histogram", "Time until an answer begins.");
        for (endpoint, durations) in ENDPOINTS.iter().zip(&self.durations) {
            durations.write(text, name, endpoint);
        }
        let [received, sent] = [&self.received, &self.sent].map(|bytes| bytes.load(Ordering::Relaxed));
        let help = "Bytes that came in, as the network has them.";
        text.single("oras_received_bytes_total", "counter", help, received);
        let help = "Bytes that went out, as the network has them.";
        text.single("oras_sent_bytes_total", "counter", help, sent);
    }
}

impl Durations {
    fn write(&self, text: &mut MetricsText, name: &str, endpoint: &str) {
        // Each bucket is read once, so that the total is that of the last bucket.
        let counts = self.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed));
        if counts.iter().all(|count| *count == 0) {
            return;
        }
        let mut total = 0;
        let limits = BUCKETS.iter().map(|(_, limit)| *limit).chain(["+Inf"]);
        for (limit, count) in limits.zip(counts) {
            total += count;
            text.line(name, &format!("_bucket{{endpoint=\"{endpoint}\",le=\"{limit}\"}}"), total);
        }
        let sum = Duration::from_micros(self.sum.load(Ordering::Relaxed)).as_secs_f64();
        text.line(name, &format!("_sum{{endpoint=\"{endpoint}\"}}"), sum);
        text.line(name, &format!("_count{{endpoint=\"{endpoint}\"}}"), total);
    }
}

/// Text in the format of Prometheus.
#[derive(Default)]
struct MetricsText(String);

impl MetricsText {
    /// Begins a metric.
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a `String` can't fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Adds a metric with one sample.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.begin(name, kind, help);
        self.line(name, "", value);
    }

    /// Adds a sample.
    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_requests_under_fixed_labels() {
        let metrics = Metrics::default();
        let strange = Method::from_bytes(b"EVIL").unwrap();
        let blob = label(&Endpoint::parse("/v2/a/blobs/x"));
        for (method, status, took) in
            [(Method::GET, 200, 700), (Method::GET, 206, 70_000_000), (strange, 405, 3)]
        {
            let status = StatusCode::from_u16(status).unwrap();
            metrics.record_request(blob, &method, status, Duration::from_micros(took));
        }
        metrics.record_received(5);
        let mut text = MetricsText::default();
        metrics.write(&mut text);
        for line in [
            "oras_requests_total{endpoint=\"blob\",method=\"GET\",status=\"2xx\"} 2",
            "oras_requests_total{endpoint=\"blob\",method=\"other\",status=\"4xx\"} 1",
            "oras_request_duration_seconds_bucket{endpoint=\"blob\",le=\"0.0005\"} 1",
            "oras_request_duration_seconds_bucket{endpoint=\"blob\",le=\"0.001\"} 2",
            "oras_request_duration_seconds_bucket{endpoint=\"blob\",le=\"60\"} 2",
            "oras_request_duration_seconds_bucket{endpoint=\"blob\",le=\"+Inf\"} 3",
            "oras_request_duration_seconds_sum{endpoint=\"blob\"} 70.000703",
            "oras_request_duration_seconds_count{endpoint=\"blob\"} 3",
            "oras_received_bytes_total 5",
        ] {
            assert!(text.0.lines().any(|found| found == line), "{line} in\n{}", text.0);
        }
        assert!(!text.0.contains("EVIL") && !text.0.contains("endpoint=\"tags\""));
    }
}
