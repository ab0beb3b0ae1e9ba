//! The part of a URL after the question mark.

use axum::http::{StatusCode, Uri};

use crate::error::Refusal;

/// The parameters of a request, decoded, in order; names may repeat.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Refusal> {
        let parsed = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        parsed
            .map(|pairs| Self(pairs.0))
            .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", "malformed query"))
    }

    /// The first value of `name` that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(key, value)| key == name && !value.is_empty());
        found.next().map(|(_, value)| value.as_str())
    }

    /// All values of `name` that are not empty.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.0.iter().filter(move |(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }
}
