//! Templates: parsed and rendered, or refused.
#![no_main]

use go_text_template::Template;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    if let Ok(template) = Template::parse("fuzz", text) {
        let data = json!({"a": 1, "b": [1.5, "x", null], "c": {"d": "é", "e": true}});
        drop(template.render(&data.into(), &mut std::io::sink()));
    }
});
