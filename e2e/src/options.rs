//! How a server is started: its script, and everything around it.

use crate::server::{Finished, Server};
use std::ffi::OsString;
use std::fmt::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

/// What to start. Made by one of the constructors, changed by the methods, used by [`Options::start`].
pub struct Options {
    pub(crate) script: Script,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) args: Vec<OsString>,
    pub(crate) ini: Vec<String>,
    pub(crate) files: Vec<(String, String)>,
    pub(crate) wrap: Vec<String>,
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) expect_errors: bool,
    pub(crate) count_descriptors: bool,
    pub(crate) patience: Duration,
}

pub(crate) enum Script {
    Path(PathBuf),
    Source(String),
    Handler(Handler),
}

/// A script that is put together.
pub(crate) struct Handler {
    body: String,
    method: &'static str,
    address: &'static str,
    settings: Vec<(String, String)>,
    chain: String,
    above: String,
    below: String,
}

impl Handler {
    pub(crate) fn source(&self) -> String {
        let mut text = String::from(
            "<?php\nuse RoadRunner\\{ClientGoneException, Request, Response, Server, Worker};\n",
        );
        let _ = writeln!(text, "{}\n$server = Server::create();", self.above);
        if !self.settings.iter().any(|(path, _)| path == "http.pool.num_workers") {
            text.push_str("$server->set('http.pool.num_workers', 1);\n");
        }
        for (path, value) in &self.settings {
            let _ = writeln!(text, "$server->set('{path}', {value});");
        }
        let what = if self.method == "http" { "Request $request" } else { "Worker $worker" };
        let Self { chain, method, body, below, address, .. } = self;
        let _ =
            writeln!(text, "$server{chain}->{method}({address}, function ({what}, $app) {{\n{body}\n}});");
        let _ = writeln!(text, "$code = $server->run();\n{below}");
        text
    }
}

impl Options {
    fn new(script: Script) -> Self {
        Self {
            script,
            env: Vec::new(),
            args: Vec::new(),
            ini: Vec::new(),
            files: Vec::new(),
            wrap: Vec::new(),
            stdin: None,
            dir: None,
            expect_errors: false,
            count_descriptors: true,
            patience: Duration::from_secs(60),
        }
    }

    /// A script from its source, `<?php` included.
    #[must_use]
    pub fn source(source: &str) -> Self {
        Self::new(Script::Source(source.to_owned()))
    }

    /// A script that exists.
    #[must_use]
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::new(Script::Path(path.into()))
    }

    /// `examples/hello/server.php`.
    #[must_use]
    pub fn hello() -> Self {
        Self::path(crate::workspace().join("examples/hello/server.php")).env("NUM_WORKERS", "2")
    }

    /// A script around the body of a handler, which sees `$request` and `$app`. One worker unless set.
    #[must_use]
    pub fn handler(body: &str) -> Self {
        Self::put_together(body, "http")
    }

    /// A script around the body of a loop, which sees `$worker` and `$app`. One worker unless set.
    #[must_use]
    pub fn looping(body: &str) -> Self {
        Self::put_together(body, "httpLoop")
    }

    /// `examples/globals/server.php` in a mode, with one worker; its failures are part of the test.
    #[must_use]
    pub fn example(mode: &str) -> Self {
        let path = crate::workspace().join("examples/globals/server.php");
        Self::path(path).env("MODE", mode).env("NUM_WORKERS", "1").in_mode(mode).expect_errors()
    }

    /// A document root in a mode of `Server::files()`, with this front controller and one worker.
    #[must_use]
    pub fn files(mode: &str, index: &str) -> Self {
        let source = format!(
            "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 1]]])
                 ->files(getenv('HTTP_ADDRESS'), __DIR__ . '/public', '{mode}')->run();"
        );
        Self::source(&source).file("public/index.php", index).in_mode(mode)
    }

    /// What a mode of the server changes in the checks: snapshots grow their pool while requests wait.
    #[must_use]
    pub fn in_mode(self, mode: &str) -> Self {
        if mode == "snapshot" { self.descriptors_may_grow() } else { self }
    }

    fn put_together(body: &str, method: &'static str) -> Self {
        Self::new(Script::Handler(Handler {
            body: body.to_owned(),
            method,
            address: "getenv('HTTP_ADDRESS')",
            settings: Vec::new(),
            chain: String::new(),
            above: String::new(),
            below: String::new(),
        }))
    }

    fn parts(&mut self) -> &mut Handler {
        match &mut self.script {
            Script::Handler(parts) => parts,
            _ => panic!("this is for scripts made of a handler"),
        }
    }

    /// A setting of a handler's script; `value` is PHP.
    #[must_use]
    pub fn set(mut self, path: &str, value: &str) -> Self {
        self.parts().settings.push((path.to_owned(), value.to_owned()));
        self
    }

    /// How many workers a handler's script has.
    #[must_use]
    pub fn workers(self, count: usize) -> Self {
        self.set("http.pool.num_workers", &count.to_string())
    }

    /// `http.address` comes from the settings, not from the environment.
    #[must_use]
    pub fn address_from_settings(mut self) -> Self {
        self.parts().address = "null";
        self
    }

    /// Further calls, such as `->boot(fn () => 1)`.
    #[must_use]
    pub fn chain(mut self, calls: &str) -> Self {
        self.parts().chain.push_str(calls);
        self
    }

    /// PHP above everything of a handler's script.
    #[must_use]
    pub fn above(mut self, code: &str) -> Self {
        let parts = self.parts();
        parts.above.push_str(code);
        parts.above.push('\n');
        self
    }

    /// PHP below `run()`, which has put its result into `$code`.
    #[must_use]
    pub fn below(mut self, code: &str) -> Self {
        self.parts().below.push_str(code);
        self
    }

    /// An environment variable. `HTTP_ADDRESS` is a free port unless set.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// An argument of the script.
    #[must_use]
    pub fn arg(mut self, value: impl Into<OsString>) -> Self {
        self.args.push(value.into());
        self
    }

    /// A PHP setting, `name=value`.
    #[must_use]
    pub fn ini(mut self, setting: &str) -> Self {
        self.ini.push(setting.to_owned());
        self
    }

    /// A file beside the script.
    #[must_use]
    pub fn file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    /// A `.rr.yaml` beside the script.
    #[must_use]
    pub fn yaml(self, content: &str) -> Self {
        self.file(".rr.yaml", content)
    }

    /// A command in front of PHP, which must `exec` the rest.
    #[must_use]
    pub fn wrap(mut self, command: &[&str]) -> Self {
        self.wrap.extend(command.iter().map(ToString::to_string));
        self
    }

    /// A shell command in front of PHP, such as `ulimit -n 40`.
    #[must_use]
    pub fn shell(self, command: &str) -> Self {
        self.wrap(&["sh", "-c", &format!("{command}; exec \"$@\""), "sh"])
    }

    /// What the server finds at descriptor 0.
    #[must_use]
    pub fn stdin(mut self, descriptor: OwnedFd) -> Self {
        self.stdin = Some(descriptor);
        self
    }

    /// Where the server runs; its own temporary directory unless given.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Log lines of level error are part of the test.
    #[must_use]
    pub fn expect_errors(mut self) -> Self {
        self.expect_errors = true;
        self
    }

    /// The master has more descriptors in the end than at the start, and that is right.
    #[must_use]
    pub fn descriptors_may_grow(mut self) -> Self {
        self.count_descriptors = false;
        self
    }

    /// Starts the server and waits until it serves.
    #[track_caller]
    #[must_use]
    pub fn start(self) -> Server {
        Server::start(self)
    }

    /// Starts a server that is expected to end by itself, and waits for that.
    #[track_caller]
    #[must_use]
    pub fn finish(self) -> Finished {
        Server::finish(self)
    }
}
