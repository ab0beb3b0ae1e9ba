//! Referrers of a manifest: by the API, or by the tag schema (distribution-spec, "Listing Referrers").

pub(crate) mod index_document;
pub(crate) mod pending_referrers;
pub(crate) mod referrers_index;
pub(crate) mod repository_referrers;
pub(crate) mod update_lock;
