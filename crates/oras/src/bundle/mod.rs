//! Bundles: one file that carries many repositories, with proof that nothing is missing.
//!
//! A bundle is an OCI image layout in a tar archive, which other tools read. Each tag has its full name, such as
//! `ghcr.io/me/web:v1`, and all referrers come along: signatures, SBOMs, and what refers to them. An [`Inventory`] in the
//! bundle lists what the sources listed. With it, [`verify`] proves without a network that every digest and every
//! referrer arrived.
//!
//! ```
//! use oras::bundle::{
//!     self, Bundle, BundleOptions, BundleOutput, BundleRestoreOptions, BundleSource, BundleTarget, CreatedBundle,
//!     FailedArtifact, ReferrerSelection, RestoredBundle, RestoredRepository, VerifiedBundle,
//! };
//! use oras::{Artifact, Memory, Quiet};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras::store::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let (path, target) = (directory.path().join("site.tar"), directory.path().join("layouts"));
//! let store = Memory::new();
//! Artifact::new("application/vnd.me").layer("text/plain", "hello\n").push(&store, Some("v1")).await?;
//!
//! let source = BundleSource::new("ghcr.io/me/web", store).referrers(ReferrerSelection::All);
//! let output = BundleOutput::File(path.clone());
//! let created: CreatedBundle = bundle::create(vec![source], output, BundleOptions::default(), Quiet).await?;
//! println!("{} bytes", created.archive_size.unwrap_or_default());
//!
//! let opened = Bundle::open(&path).await?;
//! let VerifiedBundle { problems, .. } = bundle::verify(&opened, Quiet).await?;
//! assert!(problems.is_empty());
//!
//! let target = BundleTarget::directory(&target);
//! let options = BundleRestoreOptions::default();
//! let RestoredBundle { repositories, .. } = bundle::restore(&opened, &target, options, Quiet).await?;
//! for RestoredRepository { name, tags, failed, .. } in repositories {
//!     println!("{name}: {} tags", tags.len());
//!     for FailedArtifact { reference, reason } in failed {
//!         println!("{name}:{reference}: {reason}");
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! # What a bundle contains
//! ```
//! use oras::bundle::{
//!     Bundle, BundleProblem, BundleRepository, BundledReferrer, BundledRepository, Inventory, MissingBase,
//!     MissingContent, MissingKind, NotBundle, VerifiedBundle,
//! };
//! use oras::store::{Error, ReadStore};
//!
//! fn print_inventory(Inventory { repositories, .. }: &Inventory) {
//!     for BundledRepository { name, referrers, missing, .. } in repositories {
//!         for BundledReferrer { subject, descriptor } in referrers {
//!             println!("{name}: {} refers to {subject}", descriptor.digest);
//!         }
//!         for MissingContent { kind, name: what, .. } in missing.iter().filter(|one| one.kind == MissingKind::Blob) {
//!             println!("{name}: the source did not have the {} {what}", kind.as_str());
//!         }
//!     }
//! }
//!
//! fn print_problems(VerifiedBundle { problems, .. }: &VerifiedBundle) {
//!     for BundleProblem { entry, reason, .. } in problems {
//!         println!("{entry}: {reason}");
//!     }
//! }
//!
//! /// A repository of a bundle is a store, from which any verb reads.
//! fn store(bundle: &Bundle, name: &str) -> Option<impl ReadStore> {
//!     bundle.repository(name).map(|repository: BundleRepository| repository)
//! }
//!
//! fn explain(error: &Error) {
//!     if error.find::<NotBundle>().is_some() {
//!         println!("this is another archive");
//!     } else if let Some(MissingBase { missing, .. }) = error.find() {
//!         println!("the receiver needs {} blobs first", missing.len());
//!     }
//! }
//! ```
//!
//! # Deltas
//! ```
//! use oras::bundle::{BundleOptions, Receipt, ReceiptSource, ReceivedRepository, take_receipt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oras::store::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! // At the receiver. The receipt is a small file, which goes back to the sender.
//! let receipt: Receipt = take_receipt(ReceiptSource::in_directory(directory.path()).await?).await?;
//! for ReceivedRepository { name, digests, .. } in &receipt.repositories {
//!     println!("{name} has {} blobs and manifests", digests.len());
//! }
//!
//! // At the sender: the next bundle leaves that out.
//! let receipt = Receipt::parse(&receipt.to_bytes())?;
//! let options = BundleOptions::default().have(vec![receipt]);
//! # let _ = options;
//! # Ok(()) }
//! ```

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
