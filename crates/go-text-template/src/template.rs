//! Parsed templates.

use std::io;
#[cfg(feature = "sprig")]
use std::{sync::Arc, time::SystemTime};

#[cfg(feature = "sprig")]
use crate::datetime::zone::Zone;
use crate::error::Error;
use crate::eval::context::Context;
use crate::eval::executor::{self, Source};
use crate::parse::parser;
use crate::values::value::Value;

/// A parsed template, which can be rendered any number of times and shared between threads. A program parses the text
/// that its user gives, and renders it with a [`Value`].
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// use go_text_template::{Template, Value};
///
/// # fn main() -> Result<(), go_text_template::Error> {
/// // A clock of its own makes the output of a test the same on each day.
/// let template = Template::parse("output", r#"{{.name}} {{now | date "2006-01-02"}}"#)?
///     .with_clock(|| UNIX_EPOCH + Duration::from_secs(86_400))
///     .with_local_zone("UTC");
/// let data: Value = [("name", "web")].into_iter().collect();
/// assert_eq!(template.render_to_string(&data)?, "web 1970-01-02");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Template(Source);

impl Template {
    /// Parses a template. Error messages contain `name`.
    ///
    /// # Errors
    /// [`ErrorKind::Parse`](crate::ErrorKind::Parse) with Go's message if `text` is not a template, or if it uses a
    /// function that is unknown or unsupported.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let trees = parser::parse(name, text).map_err(Error::parse)?;
        let (name, text) = (name.to_owned(), text.to_owned());
        Ok(Self(Source { name, text, trees, context: Context::default() }))
    }

    #[cfg(feature = "sprig")]
    /// Replaces the clock of the system, which `now` and `ago` read.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.0.context.clock = Arc::new(clock);
        self
    }

    #[cfg(feature = "sprig")]
    /// Sets the local time zone to a zone of the IANA database, such as `Europe/Oslo`. The default is UTC.
    ///
    /// A name that the database of the system does not contain changes nothing.
    #[must_use]
    pub fn with_local_zone(mut self, name: &str) -> Self {
        if let Some(zone) = Zone::named(name) {
            self.0.context.local = zone;
        }
        self
    }

    /// Renders the template with `data`.
    ///
    /// The output is written piece by piece: after an error, `out` contains what precedes the failing action.
    ///
    /// # Errors
    /// [`ErrorKind::Execute`](crate::ErrorKind::Execute) if the template does not fit the data or a function fails, and
    /// [`ErrorKind::Write`](crate::ErrorKind::Write) if `out` fails.
    pub fn render(&self, data: &Value, out: &mut impl io::Write) -> Result<(), Error> {
        executor::execute(&self.0, data, out)
    }

    /// Renders the template into a string. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_to_string(&self, data: &Value) -> Result<String, Error> {
        let mut out = Vec::new();
        self.render(data, &mut out)?;
        Ok(String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}
