//! Questions to the user.

use std::io::IsTerminal;

use crate::failure::Failure;
use crate::print;

/// Asks the user for a line. Does not echo a secret on a terminal.
pub(crate) fn prompt(question: &str, secret: bool) -> Result<String, Failure> {
    print::text(question.as_bytes())?;
    let failed = |error: std::io::Error| Failure::of_io("failed to read standard input", &error);
    // A secret from a pipe is read like any line, because there is no echo to turn off.
    if secret && std::io::stdin().is_terminal() {
        let answer = rpassword::read_password().map_err(failed)?;
        return Ok(answer);
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(failed)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
