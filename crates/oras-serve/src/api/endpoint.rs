//! The endpoint of a request. Its path is decoded and parsed once: authorization and dispatch read the same value.

use percent_encoding::percent_decode_str;

use super::route::Route;

/// The path at which tokens are issued.
pub(crate) const TOKEN_PATH: &str = "/token";
pub(crate) const METRICS_PATH: &str = "/metrics";
pub(crate) const LIVE_PATH: &str = "/healthz";
pub(crate) const READY_PATH: &str = "/readyz";

/// The endpoint that the path of a request names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// An endpoint of the distribution-spec.
    Registry(Route),
    /// Issues tokens.
    Token,
    Metrics,
    /// Returns 200 as long as the server can answer requests.
    Live,
    /// Answers 503 while the store can't be used.
    Ready,
    /// Any other path, decoded. It may be the path of a web page.
    Other(String),
}

impl Endpoint {
    /// Decodes and parses a path without the base path.
    pub(crate) fn parse(path: &str) -> Self {
        // Decodes before parsing, so that authorization and dispatch interpret an encoded slash in the same way.
        let path = percent_decode_str(path).decode_utf8_lossy();
        match &*path {
            TOKEN_PATH => Self::Token,
            METRICS_PATH => Self::Metrics,
            LIVE_PATH => Self::Live,
            READY_PATH => Self::Ready,
            path => Route::parse(path).map_or_else(|| Self::Other(path.to_owned()), Self::Registry),
        }
    }

    /// Returns the endpoint of the distribution-spec.
    pub(crate) fn route(&self) -> Option<&Route> {
        match self {
            Self::Registry(route) => Some(route),
            _ => None,
        }
    }

    /// Returns true for every path below `/v2`, whether or not it is an endpoint.
    pub(crate) fn is_below_v2(&self) -> bool {
        match self {
            Self::Registry(_) => true,
            Self::Other(path) => path.strip_prefix("/v2").is_some_and(|rest| rest.starts_with('/')),
            _ => false,
        }
    }
}
