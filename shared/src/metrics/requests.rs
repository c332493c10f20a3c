use std::sync::LazyLock;
use std::time::Duration;

use poem::http::StatusCode;
use prometheus::HistogramVec;

use super::durations;

static REQUESTS: LazyLock<HistogramVec> = LazyLock::new(|| {
    durations(
        "http_server_request_duration_seconds",
        "Duration of requests, from the end of their headers to the answer.",
        &[
            "http_request_method",
            "http_route",
            "http_response_status_code",
        ],
        // A proxy in front of us ends TLS.
        Some(("url_scheme", "http")),
    )
});

/// Records that a request was answered. The method is a standard one, or `_OTHER`. The route
/// is a template of ours, or empty if there is none.
///
/// It allocates nothing, once there was such a request.
pub fn answered(method: &'static str, route: &str, status: StatusCode, took: Duration) {
    REQUESTS
        .with_label_values(&[method, route, status.as_str()])
        .observe(took.as_secs_f64());
}
