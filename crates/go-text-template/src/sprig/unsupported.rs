//! The functions of sprig that templates cannot use, and why.

/// Returns the reason why templates cannot use a function, if it is one of these.
pub(crate) fn reason(name: &str) -> Option<&'static str> {
    let (_, reason) = UNSUPPORTED.iter().find(|(names, _)| names.contains(&name))?;
    Some(reason)
}

/// The functions that the parser knows and rejects, by reason.
pub(crate) const UNSUPPORTED: &[(&[&str], &str)] = &[
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
