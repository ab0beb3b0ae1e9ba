//! Access control: users, access rules, and the tokens issued to users.

use std::io;
use std::sync::Arc;

use super::access_rules::{ANONYMOUS, AccessRules};
use super::identity::Identity;
use super::login_throttle::LoginThrottle;
use super::scope::{Action, Scope};
use super::tokens::TokenIssuer;
use super::users::Users;
use crate::ops::config_file::Misconfigured;
use crate::ops::reloaded_files::ReloadedFiles;
use crate::server_options::ServerOptions;

/// The users of a server and what they may do.
pub(crate) struct AccessControl {
    pub(super) users: Users,
    pub(super) throttle: Arc<LoginThrottle>,
    rules: Option<ReloadedFiles<AccessRules>>,
    pub(super) tokens: TokenIssuer,
    /// Without rules: requests without credentials may pull.
    has_anonymous_pull: bool,
}

impl AccessControl {
    /// Reads the files that the options name.
    pub(crate) fn new(options: &mut ServerOptions) -> io::Result<Self> {
        let users = match options.htpasswd.take() {
            Some(path) => Users::from_file(path)?,
            None => Users::new(std::mem::take(&mut options.users)),
        };
        let rules = options.rules.take().map(AccessRules::file).transpose()?;
        if rules.is_some() && users.contains(ANONYMOUS) {
            let message = format!("no user can be named {ANONYMOUS:?}: rules mean everybody by that");
            return Err(Misconfigured(message).into());
        }
        Ok(Self {
            users,
            throttle: Arc::default(),
            rules,
            tokens: TokenIssuer::new()?,
            has_anonymous_pull: options.anonymous_pull,
        })
    }

    /// Returns false if there are no users. Every client may then do everything.
    pub(crate) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// Returns the names in the rules that are not users.
    pub(crate) fn unknown_users(&self) -> Vec<String> {
        let rules = self.rules.as_ref().map(ReloadedFiles::current);
        let names = rules.iter().flat_map(|rules| rules.users());
        names.filter(|name| !self.users.contains(name)).map(ToOwned::to_owned).collect()
    }

    /// Returns true if the sender may perform `action` on `repository` with the token that it sent.
    pub(crate) fn may(&self, identity: &Identity, repository: &str, action: Action) -> bool {
        // Both must agree: a token limits its holder, and changed rules also apply to tokens issued before.
        identity.token_covers(repository, action) && self.allows(identity.user(), repository, action)
    }

    /// Returns true if `user`, or an anonymous sender, may perform `action`. A token can restrict this further.
    pub(crate) fn allows(&self, user: Option<&str>, repository: &str, action: Action) -> bool {
        match &self.rules {
            // Rules name users, so they have no effect on a server without users.
            _ if !self.has_users() => true,
            Some(rules) => rules.current().allow(user, repository, action),
            None => user.is_some() || (self.has_anonymous_pull && action == Action::Pull),
        }
    }

    /// Returns true if `user`, or an anonymous sender, may read at least one repository.
    pub(super) fn allows_reading(&self, user: Option<&str>) -> bool {
        match &self.rules {
            _ if !self.has_users() => true,
            // Every user may log in, even if the rules allow it nothing.
            Some(rules) => user.is_some() || rules.current().allow_reading(user),
            None => user.is_some() || self.has_anonymous_pull,
        }
    }

    /// Reduces `scopes` to what `user`, or an anonymous sender, may get a token for.
    pub(super) fn granted(&self, user: Option<&str>, scopes: Vec<Scope>) -> Vec<Scope> {
        let grant = |scope| match scope {
            Scope::Catalog => self.allows_reading(user).then_some(Scope::Catalog),
            Scope::Repository { name, mut actions } => {
                actions.retain(|action| self.allows(user, &name, *action));
                (!actions.is_empty()).then_some(Scope::Repository { name, actions })
            }
        };
        scopes.into_iter().filter_map(grant).collect()
    }
}
