//! `sha1sum`, `sha256sum`, `sha512sum` and `adler32sum`.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::eval::function::{Function, Type::Str, function};
use crate::values::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("sha1sum", &[Str], |call| Ok(Value::from(hex(&Sha1::digest(call.str(0)))))),
    function("sha256sum", &[Str], |call| Ok(Value::from(hex(&Sha256::digest(call.str(0)))))),
    function("sha512sum", &[Str], |call| Ok(Value::from(hex(&Sha512::digest(call.str(0)))))),
    function("adler32sum", &[Str], |call| Ok(Value::from(adler2::adler32_slice(call.str(0)).to_string()))),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
