//! Go's `text/template`, with the functions of [sprig] v3.3.0 that work on data.
//!
//! A template that works with Go works here: the syntax, the way that values are printed, the messages and the places
//! they name are those of Go. The tests render hundreds of templates with both and compare every byte.
//!
//! # A tour
//!
//! ```
//! use gotmpl::{Template, Value};
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
//! // JSON's numbers are floats, as in Go.
//! assert_eq!(show("{{.size}} {{int .size}}")?, "1.073741824e+09 1073741824");
//!
//! // Missing keys are no errors; wrong indices are, and say where.
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
//! * [`Template`] is a parsed text. Its rendering is written as it goes on, so what precedes an error is there.
//! * [`Value`] is the data. JSON becomes a value with `into()`; maps keep their keys in order.
//! * [`Error`] displays Go's message. [`Error::kind`] tells parsing, executing and writing apart.
//! * [`Template::with_clock`] and [`Template::with_local_zone`] say what `now` and the local zone are. Nothing else
//!   comes from outside: no environment, no network, no files but the database of time zones.
//!
//! # Functions
//!
//! Those of `text/template`: `and` `call` `eq` `ge` `gt` `html` `index` `js` `le` `len` `lt` `ne` `not` `or` `print`
//! `printf` `println` `urlquery`; its `slice` is hidden by that of sprig, which takes lists only.
//!
//! Those of sprig:
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
//! These are known and refused when a template is parsed, with a message that says why:
//!
//! | | |
//! | --- | --- |
//! | environment | `env` `expandenv` |
//! | network | `getHostByName` |
//! | keys and certificates | `buildCustomCert` `genCA` `genCAWithKey` `genPrivateKey` `genSelfSignedCert` `genSelfSignedCertWithKey` `genSignedCert` `genSignedCertWithKey` |
//! | passwords and ciphers | `bcrypt` `decryptAES` `derivePassword` `encryptAES` `htpasswd` |
//! | random numbers | `randAlpha` `randAlphaNum` `randAscii` `randBytes` `randInt` `randNumeric` `shuffle` `uuidv4` |
//!
//! # What differs from Go
//!
//! * Depth and size have limits, so that a template exhausts neither stack nor memory: 150 parentheses or control
//!   structures in one another, a depth of 400 when executing, values nested 400 deep, strings of 64 MiB, lists of a
//!   million elements, and 1 GiB for all results of a rendering together. Beyond them there is an error.
//! * `keys` and `values` are in the order of the keys, where Go's order is random.
//! * Complex constants such as `1i` are an error when parsing.
//! * `sortAlpha` never changes the list that it is given.
//! * `addf`, `subf`, `mulf` and `divf` calculate with 38 decimal digits, and in binary where there are more.
//! * Regular expressions are those of the [`regex`](https://docs.rs/regex) crate, translated from Go's syntax: for bad
//!   ones of a rare kind the message differs, and `.` does not match a byte that is not UTF-8.
//! * `%p`, which prints addresses, prints none. Verbs that show the fields of a time, such as `%d`, show its text.
//! * Of the methods of a time or a version, those that take and give data are there: `Format`, `Unix`, `Year`, `Major`.
//!
//! [sprig]: https://masterminds.github.io/sprig/

mod buffer;
mod builtins;
mod call;
mod compare;
mod context;
mod convert;
mod error;
mod escape;
mod eval;
mod exec;
mod float;
mod functions;
mod layout;
mod lexer;
mod limits;
mod methods;
mod node;
mod number;
mod operand;
mod parser;
mod parser_pipeline;
mod printer;
mod printf;
mod quote;
mod sprig;
mod template;
mod text;
mod time;
mod token;
mod unicode;
mod value;
mod verbs;
mod version;

pub use error::{Error, ErrorKind};
pub use template::Template;
pub use text::Text;
pub use time::Time;
pub use value::{Integer, List, Map, Value};
pub use version::Version;
