//! JSON bodies of the registry API (distribution-spec, "API").
//!
//! Use these types to write a client or a server of that API, or to read the error of a registry. Parsing is lenient:
//! `null` instead of a list is read as an empty list. The types of the `oci-spec` crate do not fit, because they reject
//! `"tags": null` and unknown error codes.
//!
//! ```
//! use oras_spec::api_bodies::{CatalogPage, ErrorBody, ErrorEntry, TagPage};
//!
//! # fn main() -> serde_json::Result<()> {
//! let page: TagPage = serde_json::from_str(r#"{"name": "web", "tags": ["v1", "v2"]}"#)?;
//! assert_eq!(page.tags, ["v1", "v2"]);
//!
//! let page: CatalogPage = serde_json::from_str(r#"{"repositories": null}"#)?;
//! assert!(page.repositories.is_empty());
//!
//! let denied = ErrorEntry { code: "DENIED".into(), message: "read only".into(), ..ErrorEntry::default() };
//! let body = ErrorBody { errors: vec![denied] };
//! assert_eq!(serde_json::to_string(&body)?, r#"{"errors":[{"code":"DENIED","message":"read only"}]}"#);
//! # Ok(()) }
//! ```

use serde::{Deserialize, Serialize};

use crate::json::null_is_default;

/// A page of the tags of a repository. A registry returns it for `GET /v2/<name>/tags/list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TagPage {
    /// The repository.
    #[serde(default)]
    pub name: String,
    /// The tags in the order of the server.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tags: Vec<String>,
}

/// A page of the repositories of a registry. A registry returns it for `GET /v2/_catalog`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CatalogPage {
    /// The repositories in the order of the server.
    #[serde(default, deserialize_with = "null_is_default")]
    pub repositories: Vec<String>,
}

/// The body of an error response. A registry returns it with a status of 400 or above.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The errors in the order of the server.
    #[serde(default, deserialize_with = "null_is_default")]
    pub errors: Vec<ErrorEntry>,
}

/// One error in an error response. Its code tells a program what failed, and its message tells a person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// A code such as `MANIFEST_UNKNOWN`. Any text is accepted, because registries have their own codes.
    #[serde(default, deserialize_with = "null_is_default")]
    pub code: String,
    /// A message for people.
    #[serde(default, deserialize_with = "null_is_default")]
    pub message: String,
    /// Details, as any JSON value.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}
