//! Reads and writes the files that the arguments name, and reads standard input.

use std::io::{self, Read};
use std::path::Path;

use oras::fs::output_file;

use crate::args::ConnectionArgs;
use crate::failure::Failure;

/// Fails if standard input would be read twice: for `file` and for a secret.
pub(super) fn check_stdin(args: &ConnectionArgs, file: &str) -> Result<(), Failure> {
    let secrets = [
        (args.password_stdin, "password-stdin", "password"),
        (args.identity_token_stdin, "identity-token-stdin", "identity token"),
    ];
    for (given, flag, what) in secrets {
        if file == "-" && given == Some(true) {
            return Err(Failure::new(format!(
                "`-` read file from input and `--{flag}` read {what} from input cannot be both used"
            )));
        }
    }
    Ok(())
}

/// Writes a result to the file of `--output`. The file becomes visible only when it is complete.
pub(super) fn write_output(path: &str, bytes: &[u8]) -> Result<(), Failure> {
    let path = Path::new(path);
    output_file::put(path, bytes).map_err(|error| {
        // A bare file name has an empty parent, which `exists` would report as missing.
        let missing = path.parent().is_some_and(|parent| parent != Path::new("") && !parent.exists());
        let shown = path.display().to_string();
        let cause = if missing {
            "no such file or directory".to_owned()
        } else if path.is_dir() {
            "is a directory".to_owned()
        } else {
            error.chain()
        };
        let message = format!("failed to open {shown:?}: open {shown}: {cause}");
        Failure::new(message).of_kind(error.kind())
    })
}

/// Reads a file, or standard input for `-`.
pub(super) fn read_input(file: &str) -> Result<Vec<u8>, Failure> {
    if file.is_empty() {
        return Err(Failure::new("failed to read the file: the path is empty"));
    }
    let read = if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    read.map_err(|error| {
        // The message names the failed operation, as in Go. Only opening a file fails with these two kinds.
        let opening = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
        let verb = if opening { "open" } else { "read" };
        Failure::of_io(format!("failed to read {file}: {verb} {file}"), &error)
    })
}
