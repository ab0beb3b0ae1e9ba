//! `semver` and `semverCompare`.

use crate::eval::call::Call;
use crate::eval::function::{Function, Type::Str, function};
use crate::sprig::version_constraints::Constraints;
use crate::values::value::Value;
use crate::values::version::Version;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("semver", &[Str], |call| version(call, 0).map(Value::Version)),
    function("semverCompare", &[Str, Str], |call| {
        let constraints = Constraints::parse(&String::from_utf8_lossy(call.str(0)))?;
        Ok(Value::Bool(constraints.accepts(&version(call, 1)?)))
    }),
];

fn version(call: &Call<'_>, index: usize) -> Result<Version, String> {
    Version::parse(&String::from_utf8_lossy(call.str(index)))
}
