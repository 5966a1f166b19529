//! curl, for what the raw client does not speak: TLS and HTTP/2.

use crate::client::Response;
use crate::program;
use std::process::Command;

/// Runs curl with these arguments. `Err`: what it says where there is no answer.
///
/// # Errors
/// There is no answer.
pub fn try_curl(arguments: &[&str]) -> Result<Response, String> {
    let mut command = Command::new(program(&["curl"]));
    // Heads go where errors go, so that the body is alone.
    let command = command.args(["-sS", "--max-time", "60", "-D", "/dev/stderr"]).args(arguments);
    let output = command.output().expect("curl runs");
    let said = String::from_utf8_lossy(&output.stderr).replace('\r', "");
    if !output.status.success() {
        return Err(said);
    }
    // The last of several is the final one.
    let head = said.trim_end().rsplit("\n\n").next().unwrap_or_default().to_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Response { status: status.unwrap_or(0), head, body: output.stdout })
}

/// Runs curl with these arguments, or fails the test.
#[track_caller]
#[must_use]
pub fn curl(arguments: &[&str]) -> Response {
    try_curl(arguments).unwrap_or_else(|said| panic!("curl {arguments:?}: {said}"))
}
