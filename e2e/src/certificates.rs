//! Certificates for servers that tests start.

use crate::program;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Runs openssl in a folder.
fn openssl(dir: &Path, arguments: &str) {
    let mut command = Command::new(program(&["openssl"]));
    let command = command.args(arguments.split(' ')).current_dir(dir).stderr(Stdio::null());
    assert!(command.status().is_ok_and(|status| status.success()), "openssl {arguments}");
}

/// An authority `ca.crt`, another one `other.crt`, and what `ca` has signed for the server, which clients show too.
#[must_use]
pub fn certificates() -> TempDir {
    let dir = TempDir::new().expect("a folder");
    for name in ["ca", "other"] {
        let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        openssl(dir.path(), &format!("{new} -keyout {name}.key -out {name}.crt -subj /CN={name}"));
    }
    let new = "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(dir.path(), &format!("{new} -keyout server.key -out server.csr -subj /CN=server"));
    std::fs::write(dir.path().join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost").expect("a file");
    let sign = "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names";
    openssl(dir.path(), &format!("{sign} -out server.crt"));
    dir
}
