//! Every function of sprig is either there or refused by name.

use gotmpl::{ErrorKind, Template};

use crate::oracle;

const REFUSED: [&str; 24] = [
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
fn refused_functions_say_why() {
    for name in REFUSED {
        let error = parse_error(name).unwrap_or_else(|| panic!("{name} is refused"));
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
fn every_function_of_sprig_is_known() {
    let Some(names) = oracle::functions("every_function_of_sprig_is_known") else {
        return;
    };
    assert!(names.len() > 200);
    let unknown: Vec<&String> = names
        .iter()
        .filter(|name| !REFUSED.contains(&name.as_str()) && parse_error(name).is_some())
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    for name in REFUSED {
        assert!(names.iter().any(|known| known == name), "{name} is one of sprig's");
    }
}
