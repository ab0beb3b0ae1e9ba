//! Who sends a request, and what they may do.

use std::sync::Arc;

use crate::route::MAX_NAME;
use crate::scope::{Action, Scope};
use crate::server::Registry;
use crate::shares::client;
use crate::tokens::Claims;
use crate::trace::Remote;

/// Who sends a request: nobody in particular, a user, or whoever has a token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visitor {
    user: Option<Arc<str>>,
    /// Who comes with a token may do nothing that it was not given for.
    token: Option<Arc<Claims>>,
}

impl Visitor {
    /// A user who gave a password.
    pub(crate) fn user(name: &str) -> Self {
        Self { user: Some(name.into()), token: None }
    }

    /// Whoever a token was given to.
    pub(crate) fn with_token(claims: Claims) -> Self {
        Self { user: claims.user().map(Into::into), token: Some(Arc::new(claims)) }
    }

    /// The user's name.
    pub(crate) fn name(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Who shares room with others: a user, or the address of a client that has not logged in.
    pub(crate) fn owner(&self, remote: Option<&Remote>) -> String {
        match (self.name(), remote) {
            // No address begins like that.
            (Some(user), _) => format!("user {user}"),
            (None, Some(Remote(address))) => client(address.ip()).to_string(),
            (None, None) => String::new(),
        }
    }

    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }
}

impl Registry {
    /// Whether a visitor may do that, now.
    pub(crate) fn may(&self, visitor: &Visitor, repository: &str, action: Action) -> bool {
        let covered = visitor.token.as_ref().is_none_or(|token| token.may(repository, action));
        covered && self.allows(visitor.name(), repository, action)
    }

    /// Whether a visitor may list the repositories: those that they may read are listed.
    pub(crate) fn may_list(&self, visitor: &Visitor) -> bool {
        visitor.token.as_ref().is_none_or(|token| token.may_list()) && self.allows_reading(visitor.name())
    }

    /// Whether `user`, or nobody in particular, may do that, with whatever token. Without users, everybody may do everything.
    pub(crate) fn allows(&self, user: Option<&str>, repository: &str, action: Action) -> bool {
        match &self.rules {
            _ if self.users.is_empty() => true,
            Some(rules) => rules.current().allow(user, repository, action),
            None => user.is_some() || (self.options.anonymous_pull && action == Action::Pull),
        }
    }

    /// Whether there is something that `user`, or nobody in particular, may read.
    pub(crate) fn allows_reading(&self, user: Option<&str>) -> bool {
        match &self.rules {
            _ if self.users.is_empty() => true,
            Some(rules) => user.is_some() || rules.current().allow_reading(user),
            None => user.is_some() || self.options.anonymous_pull,
        }
    }

    /// Of `scopes`, what `user`, or nobody in particular, may have a token for.
    pub(crate) fn granted(&self, user: Option<&str>, scopes: Vec<Scope>) -> Vec<Scope> {
        let grant = |scope| match scope {
            Scope::Catalog => self.allows_reading(user).then_some(Scope::Catalog),
            Scope::Repository { name, mut actions } => {
                actions.retain(|action| self.allows(user, &name, *action));
                (!actions.is_empty()).then_some(Scope::Repository { name, actions })
            }
        };
        scopes.into_iter().filter_map(grant).collect()
    }

    /// Of the repositories, those that a visitor may read. Who may list them has no need of a token for each.
    pub(crate) async fn readable(&self, visitor: &Visitor) -> oras_store::Result<Vec<String>> {
        let mut names = self.stores.repositories().await?;
        // What is listed can be asked for.
        names.retain(|name| name.len() <= MAX_NAME && self.allows(visitor.name(), name, Action::Pull));
        Ok(names)
    }
}
