//! Behaviour of the whole crate, beside Go's own implementation and alone.

mod cases;
mod differential;
mod limits;
mod oracle;
mod refused;
mod rendering;
mod robustness;
