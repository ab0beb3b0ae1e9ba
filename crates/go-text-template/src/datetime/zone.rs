//! Time zones.

use std::sync::Arc;

#[cfg(feature = "sprig")]
use jiff::{Timestamp, tz::TimeZone};

use crate::strings::quote::quote;

/// A time zone.
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    Utc,
    /// The local zone, which is UTC unless [`Template::with_local_zone`](crate::Template) sets another zone.
    Local,
    /// Seconds east of Greenwich, and an abbreviation, which may be empty.
    Fixed(i32, Arc<str>),
    /// A zone of the IANA database.
    #[cfg(feature = "sprig")]
    Named(TimeZone),
}

impl Zone {
    /// Finds a zone by its name in the time zone database of the system.
    #[cfg(feature = "sprig")]
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "" | "UTC" => Some(Self::Utc),
            name => TimeZone::get(name).ok().map(Self::Named),
        }
    }

    /// Returns the seconds east of Greenwich and the abbreviation at a point in time.
    #[cfg_attr(
        not(feature = "sprig"),
        expect(unused_variables, reason = "only the offset of a zone of the database depends on the time")
    )]
    pub(crate) fn offset(&self, seconds: i64) -> (i32, Arc<str>) {
        match self {
            Self::Utc | Self::Local => (0, "UTC".into()),
            Self::Fixed(offset, name) => (*offset, name.clone()),
            #[cfg(feature = "sprig")]
            Self::Named(zone) => match Timestamp::from_second(seconds) {
                Ok(timestamp) => {
                    let info = zone.to_offset_info(timestamp);
                    (info.offset().seconds(), info.abbreviation().into())
                }
                // Go's years have no limit; those of jiff end with 9999.
                Err(_) => (0, "UTC".into()),
            },
        }
    }

    /// Returns the Go expression for the zone, which `%#v` prints.
    pub(crate) fn go_syntax(&self) -> String {
        let name = match self {
            Self::Utc => return "time.UTC".to_owned(),
            Self::Local => return "time.Local".to_owned(),
            Self::Fixed(_, name) => name.as_bytes(),
            #[cfg(feature = "sprig")]
            Self::Named(zone) => zone.iana_name().unwrap_or("").as_bytes(),
        };
        format!("time.Location({})", quote(name))
    }
}
