//! The public face: parse once, render any number of times.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use crate::context::Context;
use crate::error::Error;
use crate::exec::{self, Source};
use crate::parser::{self, Trees};
use crate::time::Zone;
use crate::value::Value;

/// A parsed template. It never changes while it is rendered, and may be shared between threads.
#[derive(Debug)]
pub struct Template {
    name: String,
    text: String,
    trees: Trees,
    context: Context,
}

impl Template {
    /// Parses a text; the name appears in messages.
    ///
    /// Fails where Go fails, with its text, and on functions of sprig that are refused.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let trees = parser::parse(name, text).map_err(Error::parse)?;
        Ok(Self { name: name.to_owned(), text: text.to_owned(), trees, context: Context::default() })
    }

    /// Takes the time for `now` and its like from this clock rather than from the system.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.context.clock = Arc::new(clock);
        self
    }

    /// Takes a zone of the IANA database, such as `Europe/Oslo`, for the local one, which otherwise is UTC.
    ///
    /// A name that the system's database does not have is left aside.
    #[must_use]
    pub fn with_local_zone(mut self, name: &str) -> Self {
        if let Some(zone) = Zone::named(name) {
            self.context.local = zone;
        }
        self
    }

    /// Renders the template with this data.
    ///
    /// Output is written piece by piece: when this fails, what came before the failing action is written.
    pub fn render(&self, data: &Value, out: &mut impl io::Write) -> Result<(), Error> {
        let source =
            Source { name: &self.name, text: &self.text, trees: &self.trees, context: &self.context };
        exec::execute(&source, data, out)
    }

    /// Renders into a string; output that is not UTF-8 is shown as U+FFFD.
    pub fn render_to_string(&self, data: &Value) -> Result<String, Error> {
        let mut out = Vec::new();
        self.render(data, &mut out)?;
        Ok(String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}
