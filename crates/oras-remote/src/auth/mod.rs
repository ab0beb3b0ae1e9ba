//! Authentication: challenges, credentials, helpers and tokens, each bound to the registry that requested it.

pub(crate) mod answer_challenge;
pub(crate) mod challenge;
pub(crate) mod credential;
pub(crate) mod credential_helper;
pub(crate) mod fetch_token;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod token_cache;
pub(crate) mod token_claims;
pub(crate) mod token_messages;
