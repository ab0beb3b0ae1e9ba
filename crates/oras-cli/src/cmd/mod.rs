//! One file for each command: arguments, one call of the library, the report.

mod annotate;
mod attach;
mod backup;
mod blob;
mod bundle;
mod command_table;
mod completion;
mod cp;
mod deletion;
mod diff;
mod discover;
mod dispatch;
mod doctor;
mod file_io;
mod help;
mod inspect;
mod json_output;
mod layout;
mod login;
mod login_check;
mod logout;
mod manifest;
mod pack_args;
mod partial;
mod pull;
mod push;
mod repo;
mod resolve;
mod restore;
mod serve;
mod tag;
mod tagged_artifacts;
mod untag;
mod version;

pub(crate) use self::dispatch::{root, run};
