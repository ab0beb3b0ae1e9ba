//! Authentication and authorization: users, passwords, tokens and access rules.

pub(crate) mod access_control;
mod access_rules;
mod authenticate;
pub(crate) mod authorize;
pub(crate) mod challenge;
pub(crate) mod htpasswd;
pub(crate) mod identity;
mod login_throttle;
pub(crate) mod scope;
pub(crate) mod token_endpoint;
pub(crate) mod tokens;
mod users;
