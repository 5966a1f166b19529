//! What this server is compared with: Debian's php-fpm behind Debian's nginx, started by the test on a free port with
//! files of its own, and ended by it. No service of the system is touched.

use crate::daemon::free_port;
use crate::logs::Logs;
use crate::proc::{self, Process};
use crate::{SOON, is_root, until};
use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running php-fpm with nginx in front of it. Dropping it ends both.
pub struct Fpm {
    fpm: Child,
    nginx: Child,
    dir: TempDir,
    address: String,
    logs: Logs,
    seen: Vec<Process>,
}

/// A program of Debian that the tests run; what is missing fails the test.
#[track_caller]
#[must_use]
pub fn program(names: &[&str]) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = names.iter().flat_map(|name| path.split(':').map(move |dir| Path::new(dir).join(name)));
    found.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("none of {names:?} is on this machine; run scripts/setup --test");
    })
}

fn spawn(command: &mut Command, logs: &Logs) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    logs.collect(child.stderr.take().expect("stderr"));
    child
}

impl Fpm {
    /// Serves the files below `root`, with these PHP settings (`name=value`).
    #[track_caller]
    #[must_use]
    pub fn start(root: &Path, ini: &[&str]) -> Self {
        let dir = TempDir::with_prefix("rr-fpm-").expect("a temporary directory");
        let logs = Logs::default();
        let socket = dir.path().join("fpm.sock");
        let config = dir.path().join("fpm.conf");
        fs::write(&config, fpm_config(dir.path())).expect("a file");
        let mut command = Command::new(program(&["php-fpm8.2", "php-fpm8.3", "php-fpm8.4", "php-fpm"]));
        command.arg("-F").arg("-O").arg("-y").arg(&config).current_dir(dir.path());
        for setting in ini {
            command.arg("-d").arg(setting);
        }
        if is_root() {
            command.arg("-R");
        }
        let mut fpm = spawn(&mut command, &logs);
        let up = until(SOON, || {
            assert!(fpm.try_wait().expect("wait").is_none(), "php-fpm ended:\n{}", logs.text());
            UnixStream::connect(&socket).ok()
        });
        assert!(up.is_some(), "php-fpm does not listen:\n{}", logs.text());
        let started = (0..5).find_map(|_| nginx(dir.path(), root, &logs));
        let Some((nginx, address)) = started else {
            proc::kill(fpm.id(), 15);
            let _ = fpm.wait();
            panic!("nginx does not start:\n{}", logs.text());
        };
        let mut seen = proc::descendants(fpm.id());
        seen.extend(proc::descendants(nginx.id()));
        Self { fpm, nginx, dir, address, logs, seen }
    }

    /// Where nginx listens.
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.address
    }

    /// What both have written to their logs.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Ends both, and checks that no process of them is left.
    #[track_caller]
    pub fn stop(mut self) {
        self.end();
        let left: Vec<_> = self.seen.iter().filter(|process| process.lives()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }

    fn end(&mut self) {
        self.seen.extend(proc::descendants(self.fpm.id()));
        self.seen.extend(proc::descendants(self.nginx.id()));
        for child in [&mut self.nginx, &mut self.fpm] {
            if child.try_wait().ok().flatten().is_none() {
                proc::kill(child.id(), 15);
                if until(SOON, || child.try_wait().ok().flatten()).is_none() {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        }
        let _ = until(SOON, || (!self.seen.iter().any(Process::lives)).then_some(()));
        self.seen.iter().for_each(|process| process.signal(9));
    }
}

impl Drop for Fpm {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("fpm.log")).unwrap_or_default();
            eprintln!("--- php-fpm and nginx ---\n{}\n{log}\n---", self.logs.text());
        }
    }
}

/// nginx on a free port; `None`: somebody else has taken it meanwhile.
fn nginx(dir: &Path, root: &Path, logs: &Logs) -> Option<(Child, String)> {
    let address = format!("127.0.0.1:{}", free_port());
    let config = dir.join("nginx.conf");
    fs::write(&config, nginx_config(dir, &address, root)).expect("a file");
    let mut command = Command::new(program(&["nginx"]));
    command.arg("-p").arg(dir).arg("-e").arg("stderr").arg("-c").arg(&config).current_dir(dir);
    let mut child = spawn(&mut command, logs);
    let up = until(SOON, || match child.try_wait().expect("wait") {
        Some(_) => Some(false),
        None => TcpStream::connect(&address).ok().map(|_| true),
    });
    if up == Some(true) && child.try_wait().expect("wait").is_none() {
        return Some((child, address));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

fn fpm_config(dir: &Path) -> String {
    let user = if is_root() { "user = root\ngroup = root\n" } else { "" };
    let dir = dir.display();
    format!(
        "[global]\nerror_log = {dir}/fpm.log\ndaemonize = no\n\
         [www]\n{user}listen = {dir}/fpm.sock\npm = static\npm.max_children = 2\n"
    )
}

/// Debian's `fastcgi_params` and `fastcgi-php.conf`, in front of which a front controller answers what is no file.
fn nginx_config(dir: &Path, address: &str, root: &Path) -> String {
    let user = if is_root() { "user root root;" } else { "" };
    let (dir, root) = (dir.display(), root.display());
    format!(
        r#"{user}
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
    access_log off;
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    client_body_temp_path {dir}/body;
    fastcgi_temp_path {dir}/fastcgi;
    proxy_temp_path {dir}/proxy;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    client_max_body_size 64m;
    fastcgi_buffer_size 64k;
    fastcgi_buffers 16 64k;
    absolute_redirect off;
    server {{
        listen {address};
        server_name app.test;
        root {root};
        index index.php;
        location ~ /\.(?!well-known/) {{ return 404; }}
        location / {{ try_files $uri $uri/ /index.php$is_args$args; }}
        location ~ [^/]\.php(/|$) {{
            fastcgi_split_path_info ^(.+?\.php)(/.*)$;
            try_files $fastcgi_script_name /index.php$is_args$args;
            set $path_info $fastcgi_path_info;
            include /etc/nginx/fastcgi_params;
            fastcgi_param PATH_INFO $path_info;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_pass unix:{dir}/fpm.sock;
        }}
    }}
}}
"#
    )
}
