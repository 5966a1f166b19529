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
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo:rustc-env=RR_BUILT={}", built());
    // Threads of ours may still run while PHP unloads its modules: the code under them must stay.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}

/// The day of the build, or that of `SOURCE_DATE_EPOCH` for builds that are to be repeated.
fn built() -> String {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse::<i64>().ok());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = given.unwrap_or_else(|| now.map_or(0, |now| now.as_secs().cast_signed()));
    // Civil date from days since 1970 (H. Hinnant, "chrono-compatible low-level date algorithms").
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T00:00:00+0000")
}
