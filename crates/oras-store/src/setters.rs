//! The macro that defines setters of options.

/// Defines methods that set a public field and return the options. The docs of the field say what it means. An
/// expression after `=>` makes the value of the field from the argument, which has the name of the field. The crates of
/// ORAS use it for their options, which are non-exhaustive.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    (@value $field:ident) => { $field };
    (@value $field:ident $value:expr) => { $value };
    ($($field:ident: $type:ty $(=> $value:expr)?;)*) => { $(
        #[doc = concat!("Sets [`", stringify!($field), "`](#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $type) -> Self {
            self.$field = $crate::setters!(@value $field $($value)?);
            self
        }
    )* };
}
