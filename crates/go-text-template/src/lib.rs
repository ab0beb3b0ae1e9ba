//! Go's `text/template`, with the functions of [sprig] v3.3.0 that work on data.
//!
//! Use this crate to render templates that were written for Go, such as those of `--format` flags, in a Rust program.
//!
//! Templates written for Go render the same output here. The syntax, the printed form of values and the error messages
//! with their positions are those of Go. The tests render hundreds of templates with both and compare every byte.
//!
//! # A tour
//!
//! ```
//! use go_text_template::{Template, Value};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let data: Value = serde_json::json!({
//!     "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
//!     "size": 1_073_741_824,
//!     "annotations": {"org.opencontainers.image.created": "2024-01-15T10:30:00Z"},
//!     "layers": [{"name": "a", "size": 3}, {"name": "b", "size": 4}],
//! })
//! .into();
//!
//! // Parse once, render to any writer.
//! let template = Template::parse("output", "{{range .layers}}{{.name}}: {{.size}} bytes\n{{end}}")?;
//! template.render(&data, &mut std::io::stdout())?;
//! assert_eq!(template.render_to_string(&data)?, "a: 3 bytes\nb: 4 bytes\n");
//!
//! let show = |text: &str| Template::parse("output", text)?.render_to_string(&data);
//! assert_eq!(show(r#"{{index .annotations "org.opencontainers.image.created"}}"#)?, "2024-01-15T10:30:00Z");
//! assert_eq!(show(r#"{{.digest | trimPrefix "sha256:" | trunc 12}}"#)?, "44136fa355b3");
//! assert_eq!(show(r#"{{(last .layers).name | upper | printf "%-3s|"}}"#)?, "B  |");
//!
//! // Numbers of JSON are floats, as in Go.
//! assert_eq!(show("{{.size}} {{int .size}}")?, "1.073741824e+09 1073741824");
//!
//! // A missing key is not an error. A wrong index is an error with its position.
//! assert_eq!(show("{{.nothing}}")?, "<no value>");
//! let error = show("{{index .layers 5}}").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "template: output:1:2: executing \"output\" at <index .layers 5>: \
//!      error calling index: index out of range: 5"
//! );
//! # Ok(())
//! # }
//! ```
//!
//! * [`Template`] is a parsed template. It writes its output piece by piece, also before an error.
//! * [`Value`] is the data. JSON becomes a value with `into()`. Maps are ordered by key.
//! * [`Error`] displays Go's message. [`Error::kind`] is the stage that failed: parsing, executing or writing.
//! * [`Template::with_clock`] and [`Template::with_local_zone`] set the current time and the local zone. Templates have
//!   no other input: they read neither the environment nor the network, and no files except the time zone database.
//!
//! # Features
//!
//! The feature `sprig`, which is on by default, adds the functions of sprig. Without it the crate is `text/template`
//! alone, without times and versions, and links neither regular expressions nor hashes.
//!
//! # Functions
//!
//! Functions of `text/template`: `and` `call` `eq` `ge` `gt` `html` `index` `js` `le` `len` `lt` `ne` `not` `or`
//! `print` `printf` `println` `slice` `urlquery`. The function `slice` of sprig, which accepts lists only, replaces the
//! built-in one.
//!
//! Functions of sprig:
//!
//! | | |
//! | --- | --- |
//! | strings | `abbrev` `abbrevboth` `camelcase` `cat` `contains` `hasPrefix` `hasSuffix` `hello` `indent` `initials` `kebabcase` `lower` `nindent` `nospace` `plural` `quote` `repeat` `replace` `snakecase` `squote` `substr` `swapcase` `title` `toString` `trim` `trimAll` `trimPrefix` `trimSuffix` `trimall` `trunc` `untitle` `upper` `wrap` `wrapWith` |
//! | lists of strings | `join` `sortAlpha` `split` `splitList` `splitn` `toStrings` |
//! | regular expressions | `regexFind` `regexFindAll` `regexMatch` `regexQuoteMeta` `regexReplaceAll` `regexReplaceAllLiteral` `regexSplit` `mustRegexFind` `mustRegexFindAll` `mustRegexMatch` `mustRegexReplaceAll` `mustRegexReplaceAllLiteral` `mustRegexSplit` |
//! | integers | `add` `add1` `atoi` `biggest` `div` `int` `int64` `max` `min` `mod` `mul` `seq` `sub` `toDecimal` `until` `untilStep` |
//! | floats | `add1f` `addf` `ceil` `divf` `float64` `floor` `maxf` `minf` `mulf` `round` `subf` |
//! | lists | `append` `chunk` `compact` `concat` `first` `has` `initial` `last` `list` `prepend` `push` `rest` `reverse` `slice` `tuple` `uniq` `without` `mustAppend` `mustChunk` `mustCompact` `mustFirst` `mustHas` `mustInitial` `mustLast` `mustPrepend` `mustPush` `mustRest` `mustReverse` `mustSlice` `mustUniq` `mustWithout` |
//! | maps | `deepCopy` `dict` `dig` `get` `hasKey` `keys` `merge` `mergeOverwrite` `omit` `pick` `pluck` `set` `unset` `values` `mustDeepCopy` `mustMerge` `mustMergeOverwrite` |
//! | choices | `all` `any` `coalesce` `default` `empty` `fail` `ternary` |
//! | types | `deepEqual` `kindIs` `kindOf` `typeIs` `typeIsLike` `typeOf` |
//! | encodings | `b32dec` `b32enc` `b64dec` `b64enc` `fromJson` `toJson` `toPrettyJson` `toRawJson` `mustFromJson` `mustToJson` `mustToPrettyJson` `mustToRawJson` |
//! | dates | `ago` `date` `dateInZone` `dateModify` `date_in_zone` `date_modify` `duration` `durationRound` `htmlDate` `htmlDateInZone` `now` `toDate` `unixEpoch` `mustDateModify` `mustToDate` `must_date_modify` |
//! | versions | `semver` `semverCompare` |
//! | paths | `base` `clean` `dir` `ext` `isAbs` `osBase` `osClean` `osDir` `osExt` `osIsAbs` |
//! | URLs | `urlJoin` `urlParse` |
//! | checksums | `adler32sum` `sha1sum` `sha256sum` `sha512sum` |
//!
//! The parser rejects these functions of sprig with a message that contains the reason:
//!
//! | | |
//! | --- | --- |
//! | environment | `env` `expandenv` |
//! | network | `getHostByName` |
//! | keys and certificates | `buildCustomCert` `genCA` `genCAWithKey` `genPrivateKey` `genSelfSignedCert` `genSelfSignedCertWithKey` `genSignedCert` `genSignedCertWithKey` |
//! | passwords and ciphers | `bcrypt` `decryptAES` `derivePassword` `encryptAES` `htpasswd` |
//! | random numbers | `randAlpha` `randAlphaNum` `randAscii` `randBytes` `randInt` `randNumeric` `shuffle` `uuidv4` |
//!
//! # Differences from Go
//!
//! * Limits on depth and size keep a template from exhausting the stack or the memory. Exceeding one is an error: 150
//!   nested parentheses or control structures, a depth of 400 during execution, values nested 400 deep, strings of
//!   64 MiB, lists of a million elements, and 1 GiB for all results of a rendering together.
//! * `keys` and `values` return the order of the keys. Go's order is random.
//! * Complex constants such as `1i` are a parse error.
//! * `sortAlpha` never changes its argument.
//! * `addf`, `subf`, `mulf` and `divf` calculate with 38 decimal digits. Results with more digits are calculated in
//!   binary.
//! * Regular expressions are translated from Go's syntax to that of the [`regex`](https://docs.rs/regex) crate. The
//!   messages about some rare malformed expressions differ, and `.` does not match a byte that is not UTF-8.
//! * `%p` prints no addresses. Verbs that print the fields of a time, such as `%d`, print its text instead.
//! * Times and versions have only the methods that accept and return data, such as `Format`, `Unix`, `Year`, `Major`.
//!
//! [sprig]: https://masterminds.github.io/sprig/

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "sprig"),
    expect(dead_code, reason = "only sprig makes times, versions and typed lists and reads the clock")
)]

mod builtins;
mod datetime;
mod error;
mod eval;
mod function_table;
mod limits;
mod parse;
mod print;
#[cfg(feature = "sprig")]
mod sprig;
mod strings;
mod template;
mod values;

pub use datetime::time::Time;
pub use error::{Error, ErrorKind};
pub use strings::text::Text;
pub use template::Template;
pub use values::value::{Integer, List, Map, Value};
pub use values::version::Version;
