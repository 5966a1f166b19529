//! Builds the C shim against the headers of the PHP in use and sets how the extension is linked.

use std::process::Command;

/// The C side of `ext/src/zend`.
const SOURCES: [&str; 15] = [
    "ext/src/zend/shim.c",
    "ext/src/zend/web.c",
    "ext/src/zend/scripts.c",
    "ext/src/zend/form.c",
    "ext/src/zend/events.c",
    "ext/src/zend/functions.c",
    "ext/src/zend/interrupt.c",
    "ext/src/zend/dev.c",
    "ext/src/zend/values.c",
    "ext/src/zend/variables.c",
    "ext/src/zend/folder.c",
    "ext/src/zend/embedded.c",
    "ext/src/zend/relay.c",
    "ext/src/zend/vitals.c",
    "ext/src/zend/counter.c",
];

fn main() {
    let php_config = std::env::var("PHP_CONFIG").unwrap_or_else(|_| "php-config".to_owned());
    println!("cargo:rerun-if-env-changed=PHP_CONFIG");
    for file in SOURCES.iter().chain(&["ext/src/zend/shim.h"]) {
        println!("cargo:rerun-if-changed={file}");
    }
    let output = Command::new(&php_config).arg("--includes").output();
    let includes = match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => panic!(
            "{php_config} --includes failed: install the PHP development package (Debian: php-dev) or set PHP_CONFIG"
        ),
    };
    let mut shim = cc::Build::new();
    for include in includes.split_whitespace() {
        shim.include(include.trim_start_matches("-I"));
    }
    shim.define("_GNU_SOURCE", None)
        .files(SOURCES)
        .flag("-fvisibility=hidden")
        .flag("-Werror=implicit-function-declaration")
        .flag("-Wno-unused-parameter")
        .compile("rrshim");
    // Threads of ours may still run while PHP unloads its modules: the code under them must stay.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
