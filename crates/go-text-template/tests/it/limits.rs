//! Tests the limits that keep a template from exhausting the stack or the memory.

use go_text_template::{Template, Value};
use serde_json::json;

/// Renders on a stack of 2 MiB, which is the size for worker threads, and returns the error.
fn error_of(text: String) -> String {
    let render = move || match Template::parse("t", &text) {
        Ok(template) => {
            let rendered = template.render(&json!({"a": {"b": 1}}).into(), &mut std::io::sink());
            rendered.expect_err("the template fails").to_string()
        }
        Err(error) => error.to_string(),
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(render).expect("a thread starts");
    thread.join().expect("no panic")
}

fn assert_error(text: impl Into<String>, part: &str) {
    let error = error_of(text.into());
    assert!(error.contains(part), "{error}");
}

#[test]
fn limits_recursion_of_templates() {
    let part = "exceeded maximum template depth (";
    assert_error(r#"{{define "R"}}{{template "R" .}}{{end}}{{template "R"}}"#, part);
    let ranges = "{{range list 1}}".repeat(100) + r#"{{template "R" .}}"# + &"{{end}}".repeat(100);
    assert_error(format!(r#"{{{{define "R"}}}}{ranges}{{{{end}}}}{{{{template "R"}}}}"#), part);
    let parens = "(print ".repeat(140) + "1" + &")".repeat(140);
    let ifs = format!(r#"{{{{if {parens}}}}}{{{{template "R" {parens}}}}}{{{{end}}}}"#);
    assert_error(format!(r#"{{{{define "R"}}}}{ifs}{{{{end}}}}{{{{template "R"}}}}"#), part);
}

#[test]
fn limits_nesting_in_the_text() {
    let deep = 100_000;
    assert_error("{{".to_owned() + &"(".repeat(deep), "max expression depth exceeded");
    assert_error("{{if 1}}".repeat(deep), "max control structure depth exceeded");
    assert_error("{{range 1}}".repeat(deep), "max control structure depth exceeded");
    assert_error("{{block \"a\" .}}".repeat(deep), "max control structure depth exceeded");
    assert_error("{{range 1}}{{else}}".repeat(deep), "max control structure depth exceeded");
    // A chain of `else if` is not nested.
    let chain = "{{if .x}}".to_owned() + &"{{else if .x}}".repeat(deep) + "{{else}}{{fail \"end\"}}{{end}}";
    assert_error(chain, "end");
}

#[test]
fn limits_length_of_strings() {
    for text in [
        r#"{{repeat 1000000000 "x"}}"#,
        r#"{{repeat 9223372036854775807 "xy"}}"#,
        r#"{{indent 1000000000 "x"}}"#,
        r#"{{$s := "x"}}{{range until 100}}{{$s = print $s $s}}{{end}}"#,
        r#"{{$s := "aa"}}{{range until 100}}{{$s = replace "a" $s $s}}{{end}}"#,
        r#"{{regexReplaceAll "a" (repeat 10000 "a") (repeat 10000 "b")}}"#,
        r#"{{$s := repeat 1000000 "a"}}{{$l := list $s}}{{range until 10}}{{$l = concat $l $l}}{{end}}{{join "" $l}}"#,
        r#"{{$s := repeat 1000000 "a"}}{{$l := list $s}}{{range until 10}}{{$l = concat $l $l}}{{end}}{{toJson $l}}"#,
        r#"{{$s := repeat 1000000 "a"}}{{$l := list $s}}{{range until 10}}{{$l = concat $l $l}}{{end}}{{$l}}"#,
        r#"{{$s := repeat 1000000 "a"}}{{$l := list $s}}{{range until 10}}{{$l = concat $l $l}}{{end}}{{html $l}}"#,
        r#"{{$l := list (repeat 1000 "a")}}{{range until 9}}{{$l = list $l $l $l $l $l $l $l}}{{end}}{{toJson $l}}"#,
        r#"{{$s := repeat 1000 "%1000000[1]d"}}{{printf $s 1}}"#,
    ] {
        assert_error(text, "the result is longer than 67108864 bytes");
    }
    let width = "{{printf \"%100000001d\" 1}}";
    assert_eq!(
        Template::parse("t", width).unwrap().render_to_string(&Value::Nil).unwrap(),
        "%!(NOVERB)%!(EXTRA int=1)"
    );
}

#[test]
fn limits_length_of_lists() {
    for text in [
        "{{until 1000000000}}",
        "{{untilStep 0 9223372036854775807 1}}",
        "{{seq 1 1000000000}}",
        "{{$l := list 1}}{{range until 100}}{{$l = concat $l $l}}{{end}}",
        r#"{{splitList "" (repeat 2000000 "a")}}"#,
        r#"{{regexFindAll "" (repeat 2000000 "a") -1}}"#,
        r#"{{regexSplit "" (repeat 2000000 "a") -1}}"#,
    ] {
        assert_error(text, "the result has more than 1000000 elements");
    }
}

#[test]
fn limits_size_of_all_results_together() {
    assert_error(
        r#"{{$s := repeat 10000000 "x"}}{{range until 1000}}{{$t := trunc 9999999 $s}}{{end}}"#,
        "the results of all functions are longer than 1073741824 bytes",
    );
}

#[test]
fn limits_depth_of_nested_values() {
    let deep = r#"{{$d := dict}}{{range until 1000}}{{$d = dict "a" $d}}{{end}}"#;
    let loop_ = r#"{{$d := dict}}{{$_ := set $d "self" $d}}"#;
    for start in [deep, loop_] {
        for action in [
            "{{$d}}",
            "{{toJson $d}}",
            "{{toPrettyJson $d}}",
            "{{deepCopy $d}}",
            "{{printf \"%#v\" $d}}",
            "{{deepEqual $d (dict \"a\" $d)}}{{toJson $d}}",
            "{{html $d}}",
            "{{toString $d}}",
            "{{join \",\" $d}}",
            "{{range 3}}{{$d}}{{end}}",
            "{{merge (dict) $d}}",
        ] {
            assert_error(format!("{start}{action}"), "the value is nested more than 400 deep");
        }
    }
    let dropped = deep.replace("1000", "100000") + "{{fail \"dropped\"}}";
    assert_error(dropped, "dropped");
    let lists = r#"{{$l := list}}{{range until 100000}}{{$l = list $l}}{{end}}{{fail "dropped"}}"#;
    assert_error(lists, "dropped");
    let text = r#"{{mustFromJson (repeat 100000 "[")}}"#;
    assert_error(text, "the value is nested more than 400 deep");
}

#[test]
fn limits_size_of_regular_expressions() {
    assert_error(r#"{{mustRegexMatch "((a{1000}){1000}){1000}" "a"}}"#, "error parsing regexp: ");
    assert_error(r#"{{mustRegexMatch (repeat 100000 "(") "a"}}"#, "error parsing regexp: ");
    assert_error(
        r#"{{mustRegexMatch (print (repeat 5000 "(") (repeat 5000 ")")) "a"}}"#,
        "error parsing regexp: ",
    );
    assert_error(r#"{{semverCompare (repeat 1000 ">=1 ") "x"}}"#, "Invalid Semantic Version");
}
