//! The functions of sprig that work on data.

mod base;
mod cases;
mod constraints;
mod dates;
mod decimal;
mod decode_json;
mod deep;
mod defaults;
mod dicts;
mod duration;
mod hashes;
mod json;
mod lists;
mod math;
mod merge;
mod parse_time;
mod paths;
mod reflect;
mod regex;
mod regex_syntax;
mod semver;
mod split;
mod strings;
mod url;
mod url_parse;
mod wrap;

use crate::call::Function;

pub(crate) const FUNCTIONS: &[&[Function]] = &[
    base::FUNCTIONS,
    cases::FUNCTIONS,
    dates::FUNCTIONS,
    defaults::FUNCTIONS,
    dicts::FUNCTIONS,
    hashes::FUNCTIONS,
    json::FUNCTIONS,
    lists::FUNCTIONS,
    math::FUNCTIONS,
    merge::FUNCTIONS,
    paths::FUNCTIONS,
    reflect::FUNCTIONS,
    regex::FUNCTIONS,
    semver::FUNCTIONS,
    split::FUNCTIONS,
    strings::FUNCTIONS,
    url::FUNCTIONS,
    wrap::FUNCTIONS,
];

/// What Go says when a function asks nil for its type.
const NIL_POINTER: &str = "runtime error: invalid memory address or nil pointer dereference";
