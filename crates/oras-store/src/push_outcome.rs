//! The outcome of a push.

/// The outcome of [`Target::push`](crate::Target::push). Programs use it to report what a push transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The bytes were transferred.
    Copied,
    /// The target mounted or linked existing bytes instead of a transfer.
    Adopted,
    /// The target already had the content.
    Existed,
}
