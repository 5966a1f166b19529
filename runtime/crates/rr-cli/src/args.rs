//! The command line (CLI-01): flags before or after the command.

use lexopt::{Arg, ValueExt};

/// The flags that every command takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `-c`: the settings.
    pub config: Option<String>,
    /// `-w`: where to go first.
    pub work_dir: Option<String>,
    /// `--dotenv`: variables that are not set yet.
    pub dotenv: Option<String>,
    /// `-o`: settings over those of the file.
    pub overrides: Vec<String>,
    /// `-p`: writes `.pid`.
    pub pid: bool,
    /// `-s`: says nothing that was not asked for.
    pub silent: bool,
    /// `-d`.
    pub debug: bool,
    /// `-f`: a second signal after the first.
    pub force: bool,
    /// `-e`: `envfile` is read.
    pub experimental: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `serve`.
    Serve,
    /// `stop`.
    Stop,
    /// `reset [plugin…]`.
    Reset(Vec<String>),
    /// `workers [-i] [plugin…]`.
    Workers {
        /// `-i`: shows them as they change.
        interactive: bool,
        /// Of these plugins; of all without one.
        plugins: Vec<String>,
    },
    /// `jobs`, and what it was told.
    Jobs(Jobs),
    /// `config check`.
    ConfigCheck,
    /// `config show`.
    ConfigShow,
    /// `get` and `get-binary`: where the launcher shall be.
    Get(Option<String>),
    /// `--version`.
    Version,
    /// `--help`, of a command.
    Help(Option<String>),
}

/// CLI-10.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Jobs {
    /// `--list`.
    pub list: bool,
    /// `--pause a,b`.
    pub pause: bool,
    /// `--resume a,b`.
    pub resume: bool,
    /// `--destroy a,b`.
    pub destroy: bool,
    /// Which ones: `a,b`, wherever they stand.
    pub pipelines: Vec<String>,
}

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// How.
    pub flags: Flags,
    /// Words that mean nothing to the command. RoadRunner takes them without a word.
    pub ignored: Vec<String>,
}

const COMMANDS: [&str; 8] = ["serve", "stop", "reset", "workers", "jobs", "config", "get", "get-binary"];

/// Flags that are on or off, and may say so: `--silent=true`.
const SWITCHES: [(&str, &str); 8] = [
    ("-p", "--pid"),
    ("-s", "--silent"),
    ("-d", "--debug"),
    ("-f", "--force"),
    ("-e", "--enable-experimental"),
    ("-v", "--version"),
    ("-i", "--interactive"),
    ("", "--list"),
];

/// `--silent=true` as `--silent`, and `--silent=false` as nothing.
fn switched(arguments: &[String]) -> Result<Vec<String>, String> {
    let mut plain = Vec::with_capacity(arguments.len());
    let mut arguments = arguments.iter();
    for argument in arguments.by_ref() {
        if argument == "--" {
            plain.push(argument.clone());
            break;
        }
        let said = argument.split_once('=');
        let said =
            said.filter(|(name, _)| SWITCHES.iter().any(|(short, long)| name == short || name == long));
        match said {
            None => plain.push(argument.clone()),
            Some((name, "1" | "t" | "T" | "true" | "TRUE" | "True")) => plain.push(name.to_owned()),
            Some((_, "0" | "f" | "F" | "false" | "FALSE" | "False")) => {}
            Some((name, other)) => {
                return Err(format!("{name}: expected true or false, got \"{other}\"; see rr --help"));
            }
        }
    }
    plain.extend(arguments.cloned());
    Ok(plain)
}

/// Reads a command line.
///
/// # Errors
/// The text of what is wrong with it.
pub(crate) fn parse(arguments: &[String]) -> Result<Invocation, String> {
    let mut flags = Flags::default();
    let (mut words, mut interactive, mut jobs, mut location) = (Vec::new(), false, Jobs::default(), None);
    let (mut version, mut help) = (false, false);
    let mut parser = lexopt::Parser::from_args(switched(arguments)?);
    let text = |error: lexopt::Error| format!("{error}; see rr --help");
    while let Some(argument) = parser.next().map_err(text)? {
        let command = words.first().map_or("", String::as_str);
        let value =
            |parser: &mut lexopt::Parser| parser.value().and_then(|value| value.string()).map_err(text);
        match argument {
            Arg::Short('c') | Arg::Long("config") => flags.config = Some(value(&mut parser)?),
            Arg::Short('w') | Arg::Long("WorkDir" | "workdir" | "work-dir") => {
                flags.work_dir = Some(value(&mut parser)?);
            }
            Arg::Long("dotenv") => flags.dotenv = Some(value(&mut parser)?),
            Arg::Short('o') | Arg::Long("override") => flags.overrides.push(value(&mut parser)?),
            Arg::Short('p') | Arg::Long("pid") => flags.pid = true,
            Arg::Short('s') | Arg::Long("silent") => flags.silent = true,
            Arg::Short('d') | Arg::Long("debug") => flags.debug = true,
            Arg::Short('f') | Arg::Long("force") => flags.force = true,
            Arg::Short('e') | Arg::Long("enable-experimental") => flags.experimental = true,
            Arg::Short('v') | Arg::Long("version") => version = true,
            Arg::Short('h') | Arg::Long("help") => help = true,
            Arg::Short('i') | Arg::Long("interactive") if matches!(command, "workers" | "") => {
                interactive = true;
            }
            Arg::Long("list") if command == "jobs" => jobs.list = true,
            Arg::Long(name @ ("pause" | "resume" | "destroy")) if command == "jobs" => {
                match name {
                    "pause" => jobs.pause = true,
                    "resume" => jobs.resume = true,
                    _ => jobs.destroy = true,
                }
                if let Some(names) = parser.optional_value() {
                    jobs.pipelines.push(names.string().map_err(text)?);
                }
            }
            Arg::Short('l') | Arg::Long("location") if command.starts_with("get") => {
                location = Some(value(&mut parser)?);
            }
            // What installers of the Go binary are told: no question, colours, which one.
            Arg::Short('n' | 'q')
            | Arg::Long("no-interaction" | "ansi" | "no-ansi" | "quiet" | "no-config")
                if command.starts_with("get") => {}
            Arg::Long("os" | "arch" | "filter" | "stability" | "plugin") if command.starts_with("get") => {
                value(&mut parser)?;
            }
            Arg::Value(word) => words.push(word.string().map_err(text)?),
            other => return Err(text(other.unexpected())),
        }
    }
    let mut words = words.into_iter();
    let command = words.next();
    let rest: Vec<String> = words.collect();
    if version {
        return Ok(Invocation { command: Command::Version, flags, ignored: rest });
    }
    if help {
        return Ok(Invocation { command: Command::Help(command), flags, ignored: rest });
    }
    let mut ignored = Vec::new();
    let command = match command.as_deref() {
        None | Some("help") => Command::Help(rest.first().cloned()),
        Some("serve") => {
            ignored = rest;
            Command::Serve
        }
        Some("stop") => {
            ignored = rest;
            Command::Stop
        }
        Some("reset") => Command::Reset(rest),
        Some("workers") => Command::Workers { interactive, plugins: rest },
        Some("jobs") => {
            let words = std::mem::take(&mut jobs.pipelines);
            let names = words.iter().chain(&rest).flat_map(|word| word.split(','));
            jobs.pipelines =
                names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
            Command::Jobs(jobs)
        }
        Some("config") => match rest.first().map(String::as_str) {
            Some("check") => Command::ConfigCheck,
            Some("show") => Command::ConfigShow,
            _ => return Err("config: expected check or show".to_owned()),
        },
        Some("get" | "get-binary") => Command::Get(location.or_else(|| rest.first().cloned())),
        Some(other) => {
            return Err(format!("unknown command \"{other}\"; there are {}", COMMANDS.join(", ")));
        }
    };
    Ok(Invocation { command, flags, ignored })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Invocation, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn cli_01_flags_stand_before_or_after_the_command() {
        let line = "-c a.yaml -w dir -o x.y=1 --override z=2 -p -s -d -f -e --dotenv .env";
        let (before, after) = (parsed(&format!("{line} serve")), parsed(&format!("serve {line}")));
        let Invocation { command, flags, .. } = before.clone().expect("parses");
        assert_eq!(before, after);
        assert_eq!(command, Command::Serve);
        assert_eq!((flags.config.as_deref(), flags.work_dir.as_deref()), (Some("a.yaml"), Some("dir")));
        assert_eq!(flags.overrides, ["x.y=1", "z=2"]);
        assert!(flags.pid && flags.silent && flags.debug && flags.force && flags.experimental);
        assert_eq!(
            parsed("serve --config=b.yaml --WorkDir=/x").expect("parses").flags.work_dir.as_deref(),
            Some("/x")
        );
        assert_eq!(
            parsed("serve -ps").expect("parses").flags,
            Flags { pid: true, silent: true, ..Flags::default() }
        );
    }

    #[test]
    fn commands_have_arguments_of_their_own() {
        let command = |line: &str| parsed(line).expect("parses").command;
        assert_eq!(command("reset http jobs -s"), Command::Reset(vec!["http".to_owned(), "jobs".to_owned()]));
        assert_eq!(
            command("workers -i http"),
            Command::Workers { interactive: true, plugins: vec!["http".to_owned()] }
        );
        let jobs = Jobs {
            list: true,
            pause: true,
            pipelines: vec!["a".to_owned(), "b".to_owned()],
            ..Jobs::default()
        };
        for line in [
            "jobs --list --pause a,b",
            "jobs a,b --pause --list",
            "jobs --pause --list a b",
            "jobs --pause=a --list b",
        ] {
            assert_eq!(command(line), Command::Jobs(jobs.clone()), "{line}");
        }
        assert_eq!(command("get-binary -n --ansi -l bin"), Command::Get(Some("bin".to_owned())));
        assert_eq!(command("get"), Command::Get(None));
        assert_eq!(command("serve --version"), Command::Version);
        assert_eq!(command("workers -h"), Command::Help(Some("workers".to_owned())));
        assert_eq!(command(""), Command::Help(None));
        assert_eq!(command("config check -c x"), Command::ConfigCheck);
    }

    #[test]
    fn cli_01_switches_may_say_so_and_words_without_a_meaning_are_noted() {
        let flags = |line: &str| parsed(line).expect("parses").flags;
        assert!(flags("serve --silent=true").silent && flags("serve -s=1").silent && flags("-p=T serve").pid);
        assert!(!flags("serve --silent=false").silent && !flags("serve -s=0").silent);
        let line = parsed("serve now -s please").expect("parses");
        assert_eq!(
            (line.command, line.ignored),
            (Command::Serve, vec!["now".to_owned(), "please".to_owned()])
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, text) in [
            ("sreve", "unknown command \"sreve\"; there are serve"),
            ("serve --silent=maybe", "--silent: expected true or false, got \"maybe\""),
            ("serve --nope", "--nope"),
            ("-c", "missing argument"),
            ("config", "expected check or show"),
            ("serve -i", "invalid option"),
        ] {
            let error = parsed(line).expect_err("refused");
            assert!(error.contains(text), "{line}: {error}");
        }
    }
}
