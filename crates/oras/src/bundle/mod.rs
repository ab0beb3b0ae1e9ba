//! Bundles: one file that carries many repositories, with proof that nothing is missing.
//!
//! A bundle is an OCI image layout in a tar archive, which other tools read. Each tag has its full name, such as
//! `ghcr.io/me/web:v1`, and all referrers come along: signatures, SBOMs, and what refers to them. An [`Inventory`] in the
//! bundle lists what the sources listed. With it, `verify` proves without a network that every digest and every referrer
//! arrived.

mod closure;
mod create;
mod inventory;
mod name_mapping;
mod open;
mod order;
mod receipt;
mod repository_walk;
mod restore;
mod restore_base;
mod restore_target;
#[cfg(feature = "rules")]
mod rules;
#[cfg(feature = "rules")]
mod rules_document;
mod source;
#[cfg(feature = "rules")]
mod tag_selection;
mod verify;

pub use self::create::{BundleOptions, BundleOutput, CreatedBundle, create};
pub use self::inventory::{BundledReferrer, BundledRepository, Inventory, MissingContent, MissingKind};
pub use self::name_mapping::NameMapping;
pub use self::open::{Bundle, BundleRepository, NotBundle};
pub use self::receipt::{Receipt, ReceiptSource, ReceivedRepository, take_receipt};
pub use self::restore::{BundleRestoreOptions, FailedArtifact, RestoredBundle, RestoredRepository, restore};
pub use self::restore_base::MissingBase;
pub use self::restore_target::BundleTarget;
#[cfg(feature = "rules")]
pub use self::rules::{NothingSelected, Rules};
pub use self::source::{BundleSource, ReferrerSelection};
pub use self::verify::{BundleProblem, VerifiedBundle, verify};
