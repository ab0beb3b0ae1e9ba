//! Referrers of a manifest: by the API, or by the tag schema (distribution-spec, "Listing Referrers").

pub(crate) mod pending;
pub(crate) mod referrers_api;
pub(crate) mod tag_index_document;
pub(crate) mod tag_index_update;
pub(crate) mod update_lock;
