//! Logs and metrics of a node.
//!
//! Threat model: logs are copied to places with weaker guards than the store. Values of data, tokens and
//! keys are never logged; secrets are types whose `Debug` is redacted. Metrics carry no ids of peers:
//! labels come from fixed lists only, so their number stays bounded.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// For a terminal.
    #[default]
    Human,
    /// One JSON object a line, for collectors.
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log filter {0:?} is not understood; write for example info,tidm_node=debug")]
    Filter(String),
    #[error("logs or metrics were set up before in this process")]
    Twice,
}

/// What is said when nobody chose.
pub const FILTER: &str = "info";

/// Seconds; from one fdatasync to a slow query.
const BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Sends logs to standard error (standard output belongs to commands' results).
pub fn logs(format: Format, filter: Option<&str>) -> Result<(), TelemetryError> {
    let text = filter.unwrap_or(FILTER);
    let filter = EnvFilter::try_new(text).map_err(|_| TelemetryError::Filter(text.to_owned()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(true);
    let done = match format {
        Format::Human => builder.try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    done.map_err(|_| TelemetryError::Twice)
}

/// The recorder behind `/metrics`.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Media type of [`Metrics::render`].
    pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// Installs the process's recorder, once.
    pub fn install() -> Result<Self, TelemetryError> {
        let recorder = recorder()?;
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::Twice)?;
        Ok(Self { handle })
    }

    /// All metrics in the Prometheus text format.
    pub fn render(&self) -> String {
        // Drains histograms: without it their samples would pile up between two scrapes.
        self.handle.run_upkeep();
        self.handle.render()
    }
}

fn recorder() -> Result<metrics_exporter_prometheus::PrometheusRecorder, TelemetryError> {
    Ok(PrometheusBuilder::new()
        .set_buckets(BUCKETS)
        .map_err(|_| TelemetryError::Twice)?
        .build_recorder())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_histograms_are_rendered() {
        let recorder = recorder().unwrap();
        let it = Metrics { handle: recorder.handle() };
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("tidm_facts_total").increment(3);
            metrics::histogram!("tidm_append_seconds").record(0.004);
        });
        let text = it.render();
        assert!(text.contains("tidm_facts_total 3"), "{text}");
        assert!(text.contains("tidm_append_seconds_bucket{le=\"0.005\"} 1"), "{text}");
    }

    #[test]
    fn a_wrong_filter_is_named() {
        assert!(
            matches!(logs(Format::Json, Some("a=b=c")), Err(TelemetryError::Filter(it)) if it == "a=b=c")
        );
    }
}
