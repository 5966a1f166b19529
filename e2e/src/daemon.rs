//! Servers of others that tests need, each on a loopback port of its own.

use crate::{program, until};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// A server that is killed when dropped.
pub struct Daemon {
    name: &'static str,
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Daemon {
    /// Starts a program with arguments, in which `PORT` stands for its port.
    #[must_use]
    pub fn start(name: &'static str, arguments: &[&str]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let arguments =
            arguments.iter().map(|argument| argument.replace("PORT", &port.to_string())).collect();
        let mut daemon = Self { name, port, arguments, child: None };
        daemon.restart();
        daemon
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

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again, on its port.
    pub fn restart(&mut self) {
        self.stop();
        let mut command = Command::new(program(&[self.name]));
        let command = command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.spawn().expect("it starts"));
        let port = self.port;
        let ready = until(crate::SOON, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        assert!(ready.is_some(), "{} does not listen on {port}", self.name);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}
