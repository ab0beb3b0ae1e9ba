//! The command line: every command and flag as data, and how a line is read.

pub(crate) mod command_line;
pub(crate) mod file_selection;
mod flag_headings;
pub(crate) mod flags;
#[cfg(test)]
mod fuzz;
pub(crate) mod help;
mod location;
mod network;
mod output;
mod registry;
mod request;
mod usage;
pub(crate) mod values;

pub(crate) use self::flags::{command, command_without_debug, group};
pub(crate) use self::location::LocationArgs;
pub(crate) use self::network::TransferArgs;
pub(crate) use self::output::{DescriptorArgs, FormatArgs, ProgressArgs};
pub(crate) use self::registry::{ConnectionArgs, RegistryArgs};
pub(crate) use self::request::{Request, at, read, text};
pub(crate) use self::usage::{Usage, check_tags, split_tags};
