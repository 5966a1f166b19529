//! `bin/rr` itself: what it finds, where `rr get` puts it (row BRN-02), what it says it is.

use e2e::rr::{Ended, Rr};
use e2e::workspace;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

#[test]
fn get_puts_a_link_where_the_program_would_be() {
    let mut rr = Rr::new(&[]);
    let launcher = workspace().join("bin/rr");
    for (line, place) in [
        (&["get"][..], "rr"),
        (&["get-binary", "-n", "--ansi", "-l", "vendor/bin"], "vendor/bin/rr"),
        (&["get", "--location=deep/er", "--no-interaction", "-s"], "deep/er/rr"),
        (&["get"], "rr"),
    ] {
        let told = rr.done(line);
        let place = rr.file(place);
        assert!(told.contains(&format!("has been installed into {}", place.display())), "{told}");
        assert_eq!(fs::read_link(&place).expect("a link"), launcher);
    }
    // Another program of that name gives way if that is wanted, a folder does not.
    fs::remove_file(rr.file("rr")).expect("the link");
    rr.write("rr", "another");
    rr.run(&["get"]).refused(&["rr is there already", "-f to have it replaced"]);
    rr.done(&["get", "-f"]);
    assert_eq!(rr.file("rr").canonicalize().expect("a link"), launcher);
    fs::create_dir_all(rr.file("x/rr")).expect("a folder");
    rr.run(&["get", "-l", "x"]).refused(&["x/rr is a folder"]);
    // It works by the link, through a link to that, and gets itself from there.
    std::os::unix::fs::symlink(rr.file("rr"), rr.file("rr_server")).expect("a link");
    rr.call(rr.file("rr_server"));
    assert!(rr.done(&["--version"]).starts_with("rr version 2025.1."));
    rr.done(&["get", "-l", "again"]);
    assert_eq!(fs::read_link(rr.file("again/rr")).expect("a link"), launcher);
    rr.done(&["get"]);
    assert!(rr.done(&["-v"]).starts_with("rr version"));
}

/// `\bversion (\d+\.\d+\.\d+[\w.-]*)` of the version checker, and the third word, which Octane compares.
#[test]
fn the_version_is_what_drivers_look_for() {
    let rr = Rr::new(&[]);
    for line in [&["--version"][..], &["-v"], &["serve", "--version"]] {
        let text = rr.done(line);
        assert!(text.starts_with("rr version "), "{text}");
        assert!(text.ends_with(&format!("OS: linux, arch: {}\n", arch())), "{text}");
        let third = text.split(' ').nth(2).expect("a third word");
        let numbers: Vec<u32> = third.split('.').map(|part| part.parse().expect("a number")).collect();
        assert!(numbers.len() == 3 && numbers >= vec![2025, 1, 5], "{text}");
    }
}

fn arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// A `PATH` with the programs that the launcher calls, and nothing else.
fn bare_path(rr: &Rr, more: &[(&str, &Path)]) -> std::path::PathBuf {
    let folder = rr.file("bare");
    fs::create_dir_all(&folder).expect("a folder");
    for name in ["readlink", "dirname", "ls", "head"] {
        let _ = std::os::unix::fs::symlink(e2e::program(&[name]), folder.join(name));
    }
    for (name, target) in more {
        std::os::unix::fs::symlink(target, folder.join(name)).expect("a link");
    }
    folder
}

#[test]
fn the_launcher_says_what_it_does_not_find() {
    let mut rr =
        Rr::new(&[("bin/rr", &fs::read_to_string(workspace().join("bin/rr")).expect("the launcher"))]);
    fs::set_permissions(rr.file("bin/rr"), fs::Permissions::from_mode(0o755)).expect("permissions");
    fs::set_permissions(rr.dir(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let path = std::env::var_os("PATH").expect("a path");
    rr.env("PATH", bare_path(&rr, &[]));
    rr.env("RR_PHP", "");
    rr.run(&["-v"]).refused(&["there is no php in PATH", "RR_PHP"]);
    rr.env("PATH", &path);
    rr.env("RR_PHP", "/no/such/php");
    rr.run(&["-v"]).refused(&["/no/such/php (RR_PHP) is no program"]);
    rr.env("RR_PHP", "false");
    rr.run(&["-v"]).refused(&["false does not run"]);
    rr.env("RR_PHP", e2e::php());
    rr.env("RR_EXTENSION", "/no/such/roadrunner.so");
    rr.run(&["-v"]).refused(&["/no/such/roadrunner.so (RR_EXTENSION) is not there"]);
    rr.env("RR_EXTENSION", "");
    rr.call(rr.file("bin/rr"));
    let folder =
        Command::new(e2e::php()).args(["-r", "echo ini_get('extension_dir');"]).output().expect("PHP");
    let folder = String::from_utf8_lossy(&folder.stdout).into_owned();
    if !Path::new(&folder).join("roadrunner.so").exists() {
        rr.run(&["-v"]).refused(&["the extension is not in ", &folder, "make install", "RR_EXTENSION"]);
    }
    // In a checkout, what was built.
    let built = e2e::extension().canonicalize().expect("the extension");
    fs::create_dir_all(rr.file("target/debug")).expect("a folder");
    std::os::unix::fs::symlink(&built, rr.file("target/debug/libroadrunner.so")).expect("a link");
    assert!(rr.done(&["-v"]).starts_with("rr version"));
    // Not one of PHP's.
    rr.write("broken.so", "x");
    rr.env("RR_EXTENSION", rr.file("broken.so"));
    let ended = rr.run(&["-v"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("rr: ") && ended.stderr.contains("broken.so"), "{ended:?}");
}

#[test]
fn the_launcher_takes_another_name_of_php() {
    let mut rr = Rr::new(&[]);
    let php = e2e::php().display().to_string();
    let php = e2e::program(&[&php]);
    rr.env("PATH", bare_path(&rr, &[("php8.2", Path::new(&php))]));
    rr.env("RR_PHP", "");
    assert!(rr.done(&["-v"]).starts_with("rr version"));
}

#[test]
fn the_launcher_takes_the_php_beside_it() {
    let mut rr =
        Rr::new(&[("bin/rr", &fs::read_to_string(workspace().join("bin/rr")).expect("the launcher"))]);
    fs::set_permissions(rr.file("bin/rr"), fs::Permissions::from_mode(0o755)).expect("permissions");
    let beside = format!("#!/bin/sh\necho called >> beside\nexec '{}' \"$@\"\n", e2e::php().display());
    rr.write("bin/php", &beside);
    fs::set_permissions(rr.file("bin/php"), fs::Permissions::from_mode(0o755)).expect("permissions");
    rr.env("RR_PHP", "");
    rr.call(rr.file("bin/rr"));
    assert!(rr.done(&["-v"]).starts_with("rr version"));
    assert!(rr.read("beside").starts_with("called"));
}

/// `composer/roadrunner-cli`, in the place of the package that downloads RoadRunner.
#[test]
fn composers_rr_finds_the_launcher_and_no_other_rr() {
    let mut rr = Rr::new(&[
        (
            "vendor/cli/bin/rr",
            &fs::read_to_string(workspace().join("composer/roadrunner-cli/bin/rr")).expect("it"),
        ),
        ("other/rr", "#!/bin/sh\necho I am another program >&2; exit 7\n"),
    ]);
    for name in ["vendor/cli/bin/rr", "other/rr"] {
        fs::set_permissions(rr.file(name), fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    let php = e2e::program(&[&e2e::php().display().to_string()]);
    let call = |rr: &Rr, options: &[&str], arguments: &[&str]| {
        let mut command = Command::new(&php);
        rr.dress(command.args(options).arg(rr.file("vendor/cli/bin/rr")).args(arguments));
        Ended::of(&mut command)
    };
    let path = std::env::var("PATH").expect("a path");
    rr.env("PATH", format!("{}:{path}", rr.file("other").display()));
    let missing = call(&rr, &[], &["get"]);
    // Unless it is installed on this machine.
    if missing.code != Some(0) {
        missing.refused(&["neither beside PHP nor in PATH", "make install", "RR_LAUNCHER"]);
    }
    rr.env("RR_LAUNCHER", rr.file("other/rr"));
    assert!(!call(&rr, &[], &["get"]).stderr.contains("another program"));
    rr.env("RR_LAUNCHER", workspace().join("bin/rr"));
    for options in [&[][..], &["-d", "disable_functions=pcntl_exec"]] {
        let got = call(&rr, options, &["get", "-l", "a b"]);
        assert_eq!((got.code, got.stderr.as_str()), (Some(0), ""), "{got:?}");
        assert_eq!(fs::read_link(rr.file("a b/rr")).expect("a link"), workspace().join("bin/rr"));
        let wrong = call(&rr, options, &["sreve"]);
        wrong.refused(&["unknown command \"sreve\""]);
    }
}
