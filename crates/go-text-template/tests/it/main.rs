//! Tests of the public API, compared with Go's implementation and alone.

mod cases;
mod differential;
mod limits;
mod oracle;
mod random_templates;
mod rendering;
mod unsupported_functions;
