//! Semantic versions.

use crate::call::Type::Str;
use crate::call::{Call, Function, function};
use crate::sprig::constraints::Constraints;
use crate::value::Value;
use crate::version::Version;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("semver", &[Str], |call| version(call, 0).map(Value::Version)),
    function("semverCompare", &[Str, Str], |call| {
        let constraints = Constraints::parse(&String::from_utf8_lossy(call.str(0)))?;
        Ok(Value::Bool(constraints.accept(&version(call, 1)?)))
    }),
];

fn version(call: &Call<'_>, index: usize) -> Result<Version, String> {
    Version::parse(&String::from_utf8_lossy(call.str(index)))
}
