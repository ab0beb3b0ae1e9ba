//! A server with the repositories of a bundle.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use oras_serve::{Stores, Warnings};
use oras_store::{Error, ErrorKind, ReadStore, Result, Store};

use super::readiness::check_readiness;
use crate::bundle::{Bundle, BundleRepository, NameMapping};

/// The repositories of a bundle, which are only read.
pub(super) struct BundleRepositories {
    bundle: Bundle,
    /// The repositories by their names at the server.
    repositories: BTreeMap<String, Arc<BundleRepository>>,
}

impl BundleRepositories {
    /// Serves each repository under its name without the registry.
    ///
    /// # Errors
    /// `InvalidInput` if two repositories have one name.
    pub(super) fn new(bundle: Bundle) -> Result<Self> {
        let mut repositories = BTreeMap::new();
        for listed in &bundle.inventory().repositories {
            let name = NameMapping::default().map(&listed.name)?;
            let Some(repository) = bundle.repository(&listed.name) else { continue };
            if repositories.insert(name.clone(), Arc::new(repository)).is_some() {
                let path = bundle.path().display();
                let message = format!("{path} has two repositories with the name {name}");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        }
        Ok(Self { bundle, repositories })
    }
}

#[async_trait]
impl Stores for BundleRepositories {
    async fn repository(&self, name: &str, _warnings: &Warnings) -> Result<Option<Arc<dyn ReadStore>>> {
        Ok(self.repositories.get(name).map(|repository| Arc::clone(repository) as _))
    }

    async fn writable(&self, _name: &str, _create: bool) -> Result<Option<Arc<dyn Store>>> {
        Err(Error::new(ErrorKind::Unsupported, "a bundle is only read"))
    }

    async fn repositories(&self) -> Result<Vec<String>> {
        Ok(self.repositories.keys().cloned().collect())
    }

    async fn check_readiness(&self, _writes: bool) -> Result<()> {
        check_readiness(self.bundle.path().to_owned(), false).await
    }
}
