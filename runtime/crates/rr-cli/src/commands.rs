//! What the commands do.

use crate::args::{Command, Flags, Invocation, Jobs};
use crate::client::{Client, Failure};
use crate::{COMPATIBLE, Host, Next, Place, live, place, table};
use serde::Deserialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a question may take.
const ANSWER: Duration = Duration::from_secs(30);
/// A reset takes as long as the app takes to boot and its requests to end.
const RESET: Duration = Duration::from_secs(600);

pub(crate) fn run(
    invocation: Invocation,
    host: &Host,
    set_env: &mut dyn FnMut(&str, &str),
) -> Result<Next, String> {
    let Invocation { command, flags, ignored } = invocation;
    if !ignored.is_empty() && !flags.silent {
        let _ =
            writeln!(std::io::stderr(), "rr: \"{}\" means nothing here; see rr --help", ignored.join(" "));
    }
    match command {
        Command::Version => say(&version(host)),
        Command::Help(of) => say(&help(of.as_deref())),
        Command::Get(location) => get(location.as_deref(), flags.force, host)?,
        Command::Serve => return serve(&flags, host, set_env),
        other => return ask(other, &flags, host, set_env),
    }
    Ok(Next::Exit(0))
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone away needs no answer.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Drivers read the third word, or what follows "version".
fn version(host: &Host) -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!(
        "rr version {COMPATIBLE} (build time: {}, roadrunner extension {} in PHP {}), OS: {}, arch: {arch}",
        host.built,
        env!("CARGO_PKG_VERSION"),
        host.php,
        std::env::consts::OS,
    )
}

fn help(of: Option<&str>) -> String {
    let text = match of {
        Some("serve") => {
            "rr serve: starts the server and stays until it is stopped.\n\nSIGTERM, SIGINT and SIGQUIT finish what runs and stop; a second one stops at once. SIGHUP and SIGUSR2 boot\nthe app anew without losing a request. With -p the process id is in .pid until the end."
        }
        Some("stop") => {
            "rr stop [-f]: sends SIGTERM to the server whose process id is in .pid (rr serve -p); -f: twice."
        }
        Some("reset") => {
            "rr reset [plugin…]: has the workers of these plugins, or of all, replaced one after another."
        }
        Some("workers") => {
            "rr workers [-i] [plugin…]: a table of workers; with -i one that follows them, until q."
        }
        Some("jobs") => "rr jobs --list | --pause a,b | --resume a,b | --destroy a,b: pipelines.",
        Some("config") => {
            "rr config check: says what is wrong with the settings, without starting anything.\nrr config show: all settings as JSON, includes, overrides and variables applied."
        }
        Some("get" | "get-binary") => {
            "rr get [-l folder]: puts a link to this program into a folder, where RoadRunner's own would be downloaded."
        }
        _ => return HELP.to_owned(),
    };
    text.to_owned()
}

const HELP: &str = "rr: an application server for PHP that runs inside PHP

Usage: rr [flags] command [arguments]

Commands:
  serve                 start the server
  stop                  stop the one whose process id is in .pid
  reset [plugin…]       replace its workers without losing a request
  workers [plugin…]     a table of its workers; -i follows them
  jobs                  its pipelines
  config check          what is wrong with the settings
  config show           all settings as JSON
  get [-l folder]       put a link to this program where RoadRunner's would be

Flags, before or after the command:
  -c, --config FILE     the settings (.rr.yaml)
  -w, --WorkDir DIR     go there first
  -o, --override K=V    a setting over those of the file; several times
      --dotenv FILE     variables that are not set yet (DOTENV_PATH)
  -p, --pid             write .pid
  -f, --force           stop: a second signal after the first
  -s, --silent          say nothing that was not asked for
  -e, --enable-experimental  read envfile
  -d, --debug           taken, without effect
  -v, --version         the version
  -h, --help            this, or what a command does";

/// BRN-02: where installers expect the program that they would download.
fn get(location: Option<&str>, force: bool, host: &Host) -> Result<(), String> {
    let folder = PathBuf::from(location.unwrap_or("."));
    if host.launcher.is_empty() {
        return Err("get: call bin/rr, which says where it is".to_owned());
    }
    let launcher = Path::new(&host.launcher);
    let launcher = launcher
        .canonicalize()
        .map_err(|error| format!("get: the launcher {}: {error}", launcher.display()))?;
    std::fs::create_dir_all(&folder).map_err(|error| format!("get: {}: {error}", folder.display()))?;
    let target = std::path::absolute(folder.join("rr")).map_err(|error| error.to_string())?;
    if target.canonicalize().ok().as_ref() != Some(&launcher) {
        match std::fs::symlink_metadata(&target) {
            Ok(meta) if !meta.is_dir() && !meta.is_symlink() && !force => {
                return Err(format!(
                    "get: {} is there already and is not this program; remove it, or say -f to have it replaced",
                    target.display()
                ));
            }
            Ok(meta) if meta.is_dir() => return Err(format!("get: {} is a folder", target.display())),
            Ok(_) => std::fs::remove_file(&target)
                .map_err(|error| format!("get: {}: {error}", target.display()))?,
            Err(_) => {}
        }
        std::os::unix::fs::symlink(&launcher, &target)
            .map_err(|error| format!("get: {}: {error}", target.display()))?;
    }
    say(&format!(
        "rr {COMPATIBLE} (nothing was downloaded: it is this PHP) has been installed into {}",
        target.display()
    ));
    Ok(())
}

fn serve(flags: &Flags, host: &Host, set_env: &mut dyn FnMut(&str, &str)) -> Result<Next, String> {
    if host.assigned
        && let Some(place) = Place::inherited(flags)
    {
        return Ok(Next::Serve(Box::new(place)));
    }
    let mut place = Place::enter(flags, set_env)?;
    // Before anything is written or started.
    place.load()?;
    if flags.debug && !flags.silent {
        let _ = writeln!(std::io::stderr(), "rr: -d has no effect: there is no pprof here");
    }
    if !flags.experimental && !flags.silent && place.envfile().is_ok_and(|file| file.is_some()) {
        let _ = writeln!(std::io::stderr(), "rr: envfile is read with -e only");
    }
    if flags.pid {
        place.write_pid()?;
    }
    place.hand_on(set_env);
    Ok(Next::Serve(Box::new(place)))
}

/// Commands that ask a running server.
fn ask(
    command: Command,
    flags: &Flags,
    host: &Host,
    set_env: &mut dyn FnMut(&str, &str),
) -> Result<Next, String> {
    let place = Place::enter(flags, set_env)?;
    let code = match command {
        Command::Stop => {
            stop(flags.force)?;
            0
        }
        Command::ConfigCheck => {
            let loaded = place.load()?;
            for warning in &loaded.warnings {
                say(&format!("warning: {warning}"));
            }
            let here = std::env::current_dir().unwrap_or_default();
            let (problems, notes) = (host.problems)(&loaded.config, &here);
            for note in notes {
                say(&format!("warning: {note}"));
            }
            if !problems.is_empty() {
                return Err(problems.join("\nrr: "));
            }
            say(&format!("{}: the settings are good", place.config.display()));
            0
        }
        Command::ConfigShow => {
            say(&place.load()?.config.to_json());
            0
        }
        Command::Reset(plugins) => reset(&place, &plugins, flags.silent)?,
        Command::Workers { interactive: true, plugins } => {
            live::run(&place.rpc()?, &plugins)?;
            0
        }
        Command::Workers { plugins, .. } => {
            let mut client = connect(&place)?;
            let plugins = chosen(&mut client, "informer.List", plugins)?;
            if plugins.is_empty() {
                say("Workers of []: nothing that this server serves has workers");
            }
            for plugin in plugins {
                workers(&mut client, &plugin)?;
            }
            0
        }
        Command::Jobs(wanted) => jobs(&place, &wanted)?,
        Command::Serve | Command::Get(_) | Command::Version | Command::Help(_) => 0,
    };
    Ok(Next::Exit(code))
}

fn connect(place: &Place) -> Result<Client, String> {
    let client = Client::connect(&place.rpc()?)?;
    client.patience(Some(ANSWER));
    Ok(client)
}

/// CLI-07, without what RoadRunner risks: another program that has got the number since.
fn stop(force: bool) -> Result<(), String> {
    let pid = place::running()?;
    let process = rr_os::process::pidfd(pid).map_err(|error| format!("process {pid}: {error}"))?;
    let term = || rr_os::process::kill(&process, 15).map_err(|error| format!("process {pid}: {error}"));
    term()?;
    if force {
        // A server that has gone by then needs no second one.
        let second = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
        let mut ends = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
        if rustix::event::poll(&mut ends, Some(&second)).unwrap_or(0) == 0 {
            term()?;
        }
    }
    Ok(())
}

/// The plugins that were named, or all that there are.
fn chosen(client: &mut Client, method: &str, named: Vec<String>) -> Result<Vec<String>, String> {
    if !named.is_empty() {
        return Ok(named);
    }
    let list = client.call(method, "true").map_err(Failure::text)?;
    serde_json::from_slice(&list).map_err(|error| format!("{method}: {error}"))
}

/// CLI-08, with the errors that RoadRunner loses.
fn reset(place: &Place, plugins: &[String], silent: bool) -> Result<i32, String> {
    let mut client = connect(place)?;
    let plugins = chosen(&mut client, "resetter.List", plugins.to_vec())?;
    client.patience(Some(RESET));
    let mut code = 0;
    for plugin in plugins {
        if !silent {
            say(&format!("resetting plugin: [{plugin}]"));
        }
        match client.call("resetter.Reset", &serde_json::Value::from(plugin.as_str()).to_string()) {
            Ok(_) if !silent => say(&format!("plugin reset: [{plugin}]")),
            Ok(_) => {}
            Err(Failure::Refused(error)) => {
                let _ = writeln!(std::io::stderr(), "rr: plugin [{plugin}] was not reset: {error}");
                code = 1;
            }
            Err(lost) => return Err(lost.text()),
        }
    }
    Ok(code)
}

///
#[derive(Debug, Deserialize)]
struct Workers {
    workers: Option<Vec<Worker>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Worker {
    pid: u32,
    num_execs: u64,
    created: u64,
    memory_usage: u64,
    #[serde(rename = "CPUPercent")]
    cpu: f64,
    #[serde(default)]
    command: String,
    status_str: String,
}

/// CLI-09.
fn workers(client: &mut Client, plugin: &str) -> Result<(), String> {
    let answer = client.call("informer.Workers", &serde_json::Value::from(plugin).to_string());
    let answer: Workers = serde_json::from_slice(&answer.map_err(Failure::text)?)
        .map_err(|error| format!("informer.Workers: {error}"))?;
    let listed = answer.workers.ok_or_else(|| {
        format!("there is no plugin [{plugin}] with workers in this server; without a name, all are shown")
    })?;
    say(&format!("Workers of [{plugin}]:"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let commands = listed.iter().any(|worker| !worker.command.is_empty());
    let rows = listed.into_iter().map(|worker| {
        let created = Duration::from_nanos(worker.created);
        let mut row = vec![
            worker.pid.to_string(),
            worker.status_str,
            worker.num_execs.to_string(),
            table::bytes(worker.memory_usage),
            format!("{:.2}", worker.cpu),
            table::ago(now.saturating_sub(created).as_secs()),
        ];
        if commands {
            row.push(worker.command);
        }
        row
    });
    let mut head = vec!["PID", "STATUS", "EXECS", "MEMORY", "CPU%", "CREATED"];
    if commands {
        head.push("COMMAND");
    }
    say(&table::framed(&head, &rows.collect::<Vec<_>>()));
    Ok(())
}

/// CLI-10.
fn jobs(place: &Place, wanted: &Jobs) -> Result<i32, String> {
    let mut client = connect(place)?;
    let told = |error: Failure| match error {
        Failure::Refused(text) if text.contains("can't find service") => {
            "there is no jobs plugin in this server".to_owned()
        }
        other => other.text(),
    };
    let mut nothing = true;
    let changes = [("Pause", wanted.pause), ("Resume", wanted.resume), ("Destroy", wanted.destroy)];
    for (method, _) in changes.into_iter().filter(|(_, asked)| *asked) {
        if wanted.pipelines.is_empty() {
            return Err(format!(
                "jobs --{}: which pipelines? write their names, such as a,b",
                method.to_lowercase()
            ));
        }
        nothing = false;
        let names = serde_json::json!({"pipelines": wanted.pipelines}).to_string();
        client.call(&format!("jobs.{method}"), &names).map_err(told)?;
        say(&format!("{}: {}", method.to_lowercase(), wanted.pipelines.join(",")));
    }
    if wanted.list || nothing {
        let answer = client.call("jobs.List", "{}").map_err(told)?;
        say(&String::from_utf8_lossy(&answer));
    }
    Ok(0)
}
