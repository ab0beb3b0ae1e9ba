//! Setters of options.

/// Defines methods that set a public field and return the options. The docs of the field say what it means. An
/// expression after `=>` converts the argument.
macro_rules! setters {
    (@value $value:ident) => { $value };
    (@value $value:ident $convert:expr) => { $convert($value) };
    ($($field:ident: $type:ty $(=> $convert:expr)?;)*) => { $(
        #[doc = concat!("Sets [`", stringify!($field), "`](#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $type) -> Self {
            self.$field = $crate::setters::setters!(@value $field $($convert)?);
            self
        }
    )* };
}

pub(crate) use setters;
