//! Tests writers, clocks, zones and conversions of data.

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use go_text_template::{ErrorKind, List, Map, Template, Value};
use serde_json::json;

fn render(text: &str, data: impl Into<Value>) -> String {
    let template = Template::parse("t", text).expect("the text is a template");
    template.render_to_string(&data.into()).expect("the template fits the data")
}

#[test]
fn writes_output_before_an_error() {
    let template = Template::parse("t", "a{{.x}}b{{index .list 5}}c").unwrap();
    let mut out = Vec::new();
    let error = template.render(&json!({"x": 1, "list": []}).into(), &mut out).unwrap_err();
    assert_eq!(out, b"a1b");
    assert_eq!(error.kind(), ErrorKind::Execute);
    assert_eq!(
        error.to_string(),
        "template: t:1:10: executing \"t\" at <index .list 5>: error calling index: index out of range: 5"
    );
}

#[test]
fn returns_errors_of_the_writer() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::BrokenPipe, "closed"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = Template::parse("t", "text").unwrap().render(&Value::Nil, &mut Closed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Write);
    let source = std::error::Error::source(&error).unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn uses_given_clock_and_zone() {
    let text = r#"{{now.Unix}} {{date "15:04 MST" now}} {{ago 1700000000}} {{htmlDate "x"}}"#;
    let template =
        Template::parse("t", text).unwrap().with_clock(|| UNIX_EPOCH + Duration::from_secs(1_700_003_600));
    assert_eq!(template.render_to_string(&Value::Nil).unwrap(), "1700003600 23:13 UTC 1h0m0s 2023-11-14");
    let template = template.with_local_zone("Asia/Kolkata");
    let rendered = template.render_to_string(&Value::Nil).unwrap();
    // Without a time zone database, the local zone stays UTC.
    assert!(rendered.contains("04:43 IST") || rendered.contains("23:13 UTC"), "{rendered}");
}

#[test]
fn converts_only_numbers_of_json_to_floats() {
    let data = json!({"size": 1_073_741_824, "n": 5});
    assert_eq!(render("{{.size}} {{kindOf .n}}", &data), "1.073741824e+09 float64");
    let map: Map = [("size", Value::Int(1_073_741_824)), ("list", Value::List(List::new(vec![true.into()])))]
        .into_iter()
        .collect();
    assert_eq!(render("{{.size}} {{kindOf .size}} {{.list}}", map), "1073741824 int [true]");
    assert_eq!(render("{{.}} {{len .}}", vec!["a", "b"]), "[a b] 2");
}

#[test]
fn orders_maps_by_key() {
    let data: serde_json::Value = serde_json::from_str(r#"{"b": 1, "a": {"d": 1, "c": 2}}"#).unwrap();
    assert_eq!(render("{{.}} {{toJson .}}", data), r#"map[a:map[c:2 d:1] b:1] {"a":{"c":2,"d":1},"b":1}"#);
}

#[test]
fn shares_a_template_between_threads() {
    let template = Template::parse("t", "{{range .}}{{.}}{{end}}").unwrap();
    let data: Value = json!([1, 2, 3]).into();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(template.render_to_string(&data).unwrap(), "123"));
        }
    });
}

#[test]
fn writes_output_that_is_not_utf_8() {
    let mut out = Vec::new();
    Template::parse("t", r#"{{b64dec "/wA="}}"#).unwrap().render(&Value::Nil, &mut out).unwrap();
    assert_eq!(out, [0xff, 0]);
}

#[test]
fn rejects_complex_constants() {
    let error = Template::parse("t", "a\n{{print 1+2i}}").unwrap_err();
    assert_eq!(error.to_string(), "template: t:2: complex constants are not supported: \"1+2i\"");
}
