//! The data of templates, with the types that Go gives it.

pub(crate) mod convert;
pub(crate) mod number;
pub(crate) mod value;
pub(crate) mod version;
