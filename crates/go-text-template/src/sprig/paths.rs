//! Functions for paths, such as `base` and `dir`. `osBase` and the other `os` functions also use `/` on all systems.

use crate::eval::function::{Function, Type::Str, function};
use crate::values::value::Value;

pub(crate) const FUNCTIONS: &[Function] = &[
    function("base", &[Str], |call| Ok(Value::text(base(call.str(0))))).also(&["osBase"]),
    function("dir", &[Str], |call| Ok(Value::text(dir(call.str(0))))).also(&["osDir"]),
    function("clean", &[Str], |call| Ok(Value::text(clean(call.str(0))))).also(&["osClean"]),
    function("ext", &[Str], |call| Ok(Value::text(ext(call.str(0))))).also(&["osExt"]),
    function("isAbs", &[Str], |call| Ok(Value::Bool(call.str(0).starts_with(b"/")))).also(&["osIsAbs"]),
];

/// Returns the last element, without slashes.
fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let start = path[..end].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    if end == 0 { b"/" } else { &path[start..end] }
}

/// Returns all elements but the last one, cleaned.
fn dir(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    clean(&path[..end])
}

/// Returns the last element from its last dot on.
fn ext(path: &[u8]) -> &[u8] {
    let start = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let dot = path[start..].iter().rposition(|&byte| byte == b'.');
    dot.map_or(b"", |dot| &path[start + dot..])
}

/// Returns the shortest equivalent path, without access to the file system.
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut kept: Vec<&[u8]> = Vec::new();
    for element in path.split(|&byte| byte == b'/') {
        match element {
            b"" | b"." => {}
            b".." if kept.last().is_some_and(|&last| last != b"..") => {
                kept.pop();
            }
            // The parent of the root is the root.
            b".." if rooted => {}
            element => kept.push(element),
        }
    }
    let joined = kept.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", &joined[..]].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}
