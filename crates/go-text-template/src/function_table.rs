//! Finds functions by name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::builtins::{compare, escape, index, logic, print};
use crate::eval::function::Function;
#[cfg(feature = "sprig")]
use crate::sprig;
#[cfg(feature = "sprig")]
pub(crate) use crate::sprig::unsupported::reason as unsupported_reason;

static FUNCTIONS: LazyLock<BTreeMap<&'static str, Function>> = LazyLock::new(|| {
    let groups =
        [compare::FUNCTIONS, escape::FUNCTIONS, index::FUNCTIONS, logic::FUNCTIONS, print::FUNCTIONS];
    let functions = groups.into_iter().flatten();
    // Sprig comes last, because its `slice` replaces the built-in one, as in the Go tool.
    #[cfg(feature = "sprig")]
    let functions = functions.chain(sprig::FUNCTIONS.iter().copied().flatten());
    let named = functions.flat_map(|function| {
        let names = function.aliases.iter().chain([&function.name]);
        names.map(|&name| (name, Function { name, ..*function }))
    });
    named.collect()
});

/// Finds a function by its name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.get(name)
}

/// Returns the reason why templates cannot use a function. Only functions of sprig have such a reason, so
/// without sprig the result is `None`.
#[cfg(not(feature = "sprig"))]
pub(crate) fn unsupported_reason(_: &str) -> Option<&'static str> {
    None
}

#[cfg(all(test, feature = "sprig"))]
mod tests {
    use super::*;
    use crate::sprig::unsupported::UNSUPPORTED;

    #[test]
    fn front_page_lists_every_function() {
        let page = include_str!("lib.rs");
        let unsupported = UNSUPPORTED.iter().flat_map(|(names, _)| *names);
        for name in FUNCTIONS.keys().chain(unsupported) {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn no_function_is_both_supported_and_unsupported() {
        for (names, _) in UNSUPPORTED {
            for name in *names {
                assert!(find(name).is_none(), "{name}");
            }
        }
    }
}
