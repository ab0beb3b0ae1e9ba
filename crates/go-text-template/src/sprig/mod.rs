//! The functions of sprig that work on data.

mod base_encodings;
mod checksums;
mod dates;
mod decimal;
mod deep_equal;
mod defaults;
mod dicts;
mod json_decode;
mod json_encode;
mod letter_case;
mod lists;
mod math;
mod merge;
mod paths;
mod reflect;
mod regex;
mod regex_translate;
mod semver;
mod split_join;
mod strings;
pub(crate) mod unsupported;
mod url_parse;
mod urls;
mod wrap;

use crate::eval::function::Function;

/// All functions, by topic.
pub(crate) const FUNCTIONS: &[&[Function]] = &[
    base_encodings::FUNCTIONS,
    checksums::FUNCTIONS,
    dates::FUNCTIONS,
    defaults::FUNCTIONS,
    dicts::FUNCTIONS,
    json_encode::FUNCTIONS,
    letter_case::FUNCTIONS,
    lists::FUNCTIONS,
    math::FUNCTIONS,
    merge::FUNCTIONS,
    paths::FUNCTIONS,
    reflect::FUNCTIONS,
    regex::FUNCTIONS,
    semver::FUNCTIONS,
    split_join::FUNCTIONS,
    strings::FUNCTIONS,
    urls::FUNCTIONS,
    wrap::FUNCTIONS,
];
