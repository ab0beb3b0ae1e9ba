//! Tests that every function of sprig is either supported or rejected with a reason.

use go_text_template::{ErrorKind, Template};

use crate::oracle;

const UNSUPPORTED: [&str; 24] = [
    "env",
    "expandenv",
    "getHostByName",
    "genPrivateKey",
    "genCA",
    "genCAWithKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "buildCustomCert",
    "bcrypt",
    "htpasswd",
    "derivePassword",
    "encryptAES",
    "decryptAES",
    "randAlphaNum",
    "randAlpha",
    "randAscii",
    "randNumeric",
    "randBytes",
    "randInt",
    "shuffle",
    "uuidv4",
];

fn parse_error(name: &str) -> Option<String> {
    Template::parse("t", &format!("{{{{ {name} }}}}")).err().map(|error| error.to_string())
}

#[test]
fn rejects_unsupported_functions_with_a_reason() {
    for name in UNSUPPORTED {
        let error = parse_error(name).unwrap_or_else(|| panic!("{name} is rejected"));
        let start = format!("template: t:1: function {name:?} not supported: templates ");
        assert!(error.starts_with(&start), "{error}");
    }
    let error = Template::parse("t", "a\n{{env \"HOME\"}}").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Parse);
    assert_eq!(
        error.to_string(),
        "template: t:2: function \"env\" not supported: templates do not read the environment"
    );
}

#[test]
fn knows_every_function_of_sprig() {
    let Some(names) = oracle::functions("knows_every_function_of_sprig") else {
        return;
    };
    assert!(names.len() > 200);
    let unknown: Vec<&String> = names
        .iter()
        .filter(|name| !UNSUPPORTED.contains(&name.as_str()) && parse_error(name).is_some())
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    for name in UNSUPPORTED {
        assert!(names.iter().any(|known| known == name), "{name} is one of sprig's");
    }
}
