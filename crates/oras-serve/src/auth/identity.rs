//! The sender of a request.

use std::sync::Arc;

use super::scope::Action;
use super::tokens::Claims;

/// The sender of a request: anonymous, a user, or the holder of a token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    user: Option<Arc<str>>,
    /// A token limits the rights of its holder, even if the user has more rights.
    token: Option<Arc<Claims>>,
}

impl Identity {
    /// A user who sent a password.
    pub(crate) fn of_user(name: &str) -> Self {
        Self { user: Some(name.into()), token: None }
    }

    /// The holder of a token.
    pub(crate) fn of_token(claims: Claims) -> Self {
        Self { user: claims.user().map(Into::into), token: Some(Arc::new(claims)) }
    }

    /// Returns the name of the user.
    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns true if the sender is a user or the holder of a token.
    pub(crate) fn is_known(&self) -> bool {
        self.user.is_some() || self.token.is_some()
    }

    /// Returns true if there is no token, or it was issued for this action.
    pub(crate) fn token_covers(&self, repository: &str, action: Action) -> bool {
        self.token.as_ref().is_none_or(|token| token.covers(repository, action))
    }

    /// Returns true if there is no token, or it was issued for the catalog.
    pub(crate) fn token_covers_catalog(&self) -> bool {
        self.token.as_ref().is_none_or(|token| token.covers_catalog())
    }
}
