//! JSON bodies of the registry API (distribution-spec, "API").
//!
//! Parsing is lenient: `null` instead of a list is read as an empty list. The types of the `oci-spec` crate do not fit,
//! because they reject `"tags": null` and unknown error codes.

use serde::{Deserialize, Serialize};

use crate::json::null_is_default;

/// A page of the tags of a repository.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TagPage {
    /// The repository.
    #[serde(default)]
    pub name: String,
    /// The tags in the order of the server.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tags: Vec<String>,
}

/// A page of the repositories of a registry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CatalogPage {
    /// The repositories in the order of the server.
    #[serde(default, deserialize_with = "null_is_default")]
    pub repositories: Vec<String>,
}

/// The body of an error response.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The errors in the order of the server.
    #[serde(default, deserialize_with = "null_is_default")]
    pub errors: Vec<ErrorEntry>,
}

/// One error in an error response.
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
