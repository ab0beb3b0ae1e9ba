//! Every function that a template can name: the built-in ones, those of sprig, and those that are refused.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::call::Function;
use crate::{builtins, compare, escape, sprig};

static FUNCTIONS: LazyLock<BTreeMap<&'static str, &'static Function>> = LazyLock::new(|| {
    let builtin = [builtins::FUNCTIONS, compare::FUNCTIONS, escape::FUNCTIONS];
    // Later ones replace earlier ones of the same name: sprig's `slice` hides the built-in one.
    let all = builtin.iter().chain(sprig::FUNCTIONS).flat_map(|functions| functions.iter());
    all.map(|function| (function.name, function)).collect()
});

/// A function by its name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.get(name).copied()
}

/// Why a function of sprig is refused, if it is.
pub(crate) fn refusal(name: &str) -> Option<&'static str> {
    let (_, reason) = REFUSED.iter().find(|(names, _)| names.contains(&name))?;
    Some(reason)
}

/// The functions of sprig that are known and refused, by reason.
pub(crate) const REFUSED: &[(&[&str], &str)] = &[
    (&["env", "expandenv"], "templates do not read the environment"),
    (&["getHostByName"], "templates do not use the network"),
    (
        &[
            "genPrivateKey",
            "genCA",
            "genCAWithKey",
            "genSelfSignedCert",
            "genSelfSignedCertWithKey",
            "genSignedCert",
            "genSignedCertWithKey",
            "buildCustomCert",
        ],
        "templates do not make or read keys and certificates",
    ),
    (
        &["bcrypt", "htpasswd", "derivePassword", "encryptAES", "decryptAES"],
        "templates do not handle passwords and ciphers",
    ),
    (
        &[
            "randAlphaNum",
            "randAlpha",
            "randAscii",
            "randNumeric",
            "randBytes",
            "randInt",
            "shuffle",
            "uuidv4",
        ],
        "templates give the same result for the same data, so they have no random numbers",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_page_lists_every_function() {
        let page = include_str!("lib.rs");
        let refused = REFUSED.iter().flat_map(|(names, _)| *names);
        for name in FUNCTIONS.keys().chain(refused) {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn nothing_is_both_supported_and_refused() {
        for (names, _) in REFUSED {
            for name in *names {
                assert!(find(name).is_none(), "{name}");
            }
        }
    }
}
