//! Bodies that registries send (distribution-spec, "API"), read leniently: `null` lists are empty.
//!
//! `oci-spec`'s twins do not serve: they refuse `"tags": null` and error codes they do not know.

use serde::{Deserialize, Serialize};

use crate::json::null_is_default;

/// One page of a repository's tags.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TagPage {
    /// The repository.
    #[serde(default)]
    pub name: String,
    /// The tags, in the server's order.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tags: Vec<String>,
}

/// One page of a registry's catalog.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CatalogPage {
    /// The repositories, in the server's order.
    #[serde(default, deserialize_with = "null_is_default")]
    pub repositories: Vec<String>,
}

/// The body of an error response.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, the most important first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub errors: Vec<ErrorEntry>,
}

/// One error of an error response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// A code such as `MANIFEST_UNKNOWN`; any text, for registries have their own.
    #[serde(default, deserialize_with = "null_is_default")]
    pub code: String,
    /// Text for people.
    #[serde(default, deserialize_with = "null_is_default")]
    pub message: String,
    /// Anything.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}
