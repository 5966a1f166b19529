//! Servers of others that tests need, each on a loopback port of its own.

use crate::{program, until};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A port of loopback that nobody listens on.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A server that is killed when dropped.
pub struct Daemon {
    name: &'static str,
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
    /// The signal that ends it at once; without one it is killed.
    end: Option<i32>,
    dir: Option<TempDir>,
}

impl Daemon {
    /// Starts a program with arguments, in which `PORT` stands for its port.
    #[must_use]
    pub fn start(name: &'static str, arguments: &[&str]) -> Self {
        let mut daemon = Self::prepare(name, arguments);
        daemon.restart();
        daemon
    }

    /// Starts a program that listens on this port.
    #[must_use]
    pub fn at(port: u16, name: &'static str, arguments: &[&str]) -> Self {
        let mut daemon = Self::prepare_at(port, name, arguments);
        daemon.restart();
        daemon
    }

    fn prepare(name: &'static str, arguments: &[&str]) -> Self {
        Self::prepare_at(free_port(), name, arguments)
    }

    fn prepare_at(port: u16, name: &'static str, arguments: &[&str]) -> Self {
        let arguments =
            arguments.iter().map(|argument| argument.replace("PORT", &port.to_string())).collect();
        Self { name, port, arguments, child: None, end: None, dir: None }
    }

    /// memcached.
    #[must_use]
    pub fn memcached() -> Self {
        Self::start("memcached", &["-l", "127.0.0.1", "-p", "PORT", "-U", "0", "-u", "nobody"])
    }

    /// Redis, without a file.
    #[must_use]
    pub fn redis() -> Self {
        Self::redis_with(&[])
    }

    /// Redis with further arguments.
    #[must_use]
    pub fn redis_with(more: &[&str]) -> Self {
        let quiet = ["--save", "", "--appendonly", "no", "--loglevel", "warning"];
        let arguments = [&["--bind", "127.0.0.1", "--port", "PORT"][..], &quiet[..], more].concat();
        Self::start("redis-server", &arguments)
    }

    /// etcd with one member.
    #[must_use]
    pub fn etcd() -> Self {
        Self::etcd_with("http", &[])
    }

    /// etcd with one member, for clients that use this scheme, and further arguments.
    #[must_use]
    pub fn etcd_with(scheme: &str, more: &[&str]) -> Self {
        let dir = TempDir::new().expect("a folder");
        let data = dir.path().join("data");
        let folder = data.to_str().expect("a path");
        let ours = format!("{scheme}://127.0.0.1:PORT");
        let line = ["--data-dir", folder, "--listen-client-urls", &ours, "--advertise-client-urls", &ours];
        // Of the one member, which nobody else talks to.
        let peer = ["--listen-peer-urls", "http://127.0.0.1:0", "--logger", "zap", "--log-level", "fatal"];
        let mut daemon = Self::prepare("etcd", &[&line[..], &peer[..], more].concat());
        daemon.dir = Some(dir);
        daemon.restart();
        daemon
    }

    /// etcd with three members.
    #[must_use]
    pub fn etcd_of_three() -> [Self; 3] {
        let peers: Vec<u16> = (0..3)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr()))
            .map(|address| address.expect("a port").port())
            .collect();
        let peer = |index: usize| format!("http://127.0.0.1:{}", peers[index]);
        let all: Vec<String> = (0..3).map(|index| format!("m{index}={}", peer(index))).collect();
        let all = all.join(",");
        // None of them is ready before another one is there.
        let start = |index: usize| {
            let dir = TempDir::new().expect("a folder");
            let data = dir.path().join("data");
            let (name, own, folder) = (format!("m{index}"), peer(index), data.to_str().expect("a path"));
            let client = "http://127.0.0.1:PORT";
            let line = [
                ["--data-dir", folder, "--name", &name, "--listen-client-urls", client],
                [
                    "--advertise-client-urls",
                    client,
                    "--listen-peer-urls",
                    &own,
                    "--initial-advertise-peer-urls",
                    &own,
                ],
                ["--initial-cluster", &all, "--logger", "zap", "--log-level", "fatal"],
            ];
            let mut daemon = Self::prepare("etcd", &line.concat());
            daemon.dir = Some(dir);
            daemon.launch();
            daemon
        };
        let members = [0, 1, 2].map(start);
        members.iter().for_each(Self::wait);
        members
    }

    /// PostgreSQL with a database of its own, whose user `postgres` needs no password. It refuses to be root.
    #[must_use]
    pub fn postgres() -> Self {
        Self::postgres_with(&[], &[])
    }

    /// PostgreSQL with these files in its folder, and further settings.
    #[must_use]
    pub fn postgres_with(files: &[&Path], settings: &[&str]) -> Self {
        const QUIT: i32 = 3;
        let dir = TempDir::new().expect("a folder");
        let data = dir.path().join("data");
        let folder = data.to_str().expect("a path");
        std::fs::create_dir(&data).expect("a folder");
        let bin = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL, see scripts/setup --test");
        let bin = bin.flatten().map(|version| version.path().join("bin")).max().expect("a version");
        let path = |name: &str| bin.join(name).to_str().expect("a path").to_owned();
        let user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"];
        let prefix: &[&str] = if crate::is_root() { &user } else { &[] };
        if crate::is_root() {
            std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("open to all");
            let owner = Command::new("chown").arg("postgres").arg(&data).status();
            assert!(owner.is_ok_and(|status| status.success()), "chown postgres");
        }
        let initdb = path("initdb");
        let line = [prefix, &[&initdb, "-D", folder, "-A", "trust", "-U", "postgres", "--no-sync"]].concat();
        let made = Command::new("setpriv").args(line).current_dir(dir.path()).stdout(Stdio::null()).status();
        assert!(made.is_ok_and(|status| status.success()), "initdb");
        for file in files {
            let name = file.file_name().expect("a name");
            let mode = if crate::is_root() { "-opostgres" } else { "-v" };
            let copied =
                Command::new("install").args([mode, "-m600"]).args([file, &*data.join(name)]).status();
            assert!(copied.is_ok_and(|status| status.success()), "install {}", file.display());
        }
        let binary = path("postgres");
        // Nothing is left in /dev/shm.
        let quiet = [
            "-c",
            "log_min_messages=panic",
            "-c",
            "fsync=off",
            "-c",
            "unix_socket_directories=",
            "-c",
            "dynamic_shared_memory_type=mmap",
        ];
        let settings: Vec<&str> = settings.iter().flat_map(|setting| ["-c", setting]).collect();
        let line =
            [prefix, &[&binary, "-D", folder, "-h", "127.0.0.1", "-p", "PORT"], &quiet, &settings].concat();
        let mut daemon = Self::prepare("setpriv", &line);
        (daemon.end, daemon.dir) = (Some(QUIT), Some(dir));
        daemon.restart();
        daemon
    }

    /// Starts nginx with this configuration of its `http` section, in which `PORT` stands for its port.
    #[must_use]
    pub fn nginx(http: &str) -> Self {
        let dir = TempDir::new().expect("a folder");
        let file = |name: &str| dir.path().join(name).display().to_string();
        let mut text = format!(
            "daemon off; master_process off; pid {}; error_log stderr crit; events {{}} http {{ access_log off;",
            file("pid")
        );
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            text.push_str(&format!("{kind}_temp_path {};", file(kind)));
        }
        std::fs::write(file("template"), text + http + "}").expect("a file");
        let run =
            format!("sed s/POR[T]/$1/ {0} > {0}.conf; exec nginx -e stderr -c {0}.conf", file("template"));
        let mut daemon = Self::prepare("sh", &["-c", &run, "sh", "PORT"]);
        daemon.dir = Some(dir);
        daemon.restart();
        daemon
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            match self.end {
                Some(signal) => crate::kill(child.id(), signal),
                None => drop(child.kill()),
            }
            let _ = child.wait();
        }
    }

    /// Starts it again, on its port.
    pub fn restart(&mut self) {
        self.stop();
        self.launch();
        self.wait();
    }

    fn launch(&mut self) {
        let mut command = Command::new(program(&[self.name]));
        let command = command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.spawn().expect("it starts"));
    }

    /// Waits until it listens.
    fn wait(&self) {
        let port = self.port;
        let ready = until(crate::SOON, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        assert!(ready.is_some(), "{} does not listen on {port}", self.name);
        if self.end.is_some() {
            // It listens before it can be asked.
            let ask = ["-q", "-h", "127.0.0.1", "-p", &port.to_string()];
            crate::eventually("PostgreSQL is ready", || {
                Command::new("pg_isready").args(ask).status().is_ok_and(|status| status.success())
            });
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}
