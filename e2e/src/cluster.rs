//! A cluster of Redis servers.

use crate::{Daemon, eventually};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use tempfile::TempDir;

/// All that a server answers to commands, with a PING behind them, which sentinels know too.
#[must_use]
pub fn tell(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(crate::SOON)).expect("a timeout");
    stream.write_all(format!("{request}\r\nPING\r\n").as_bytes()).expect("sent");
    let lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
    lines.take_while(|line| line != "+PONG").collect::<Vec<_>>().join("\n")
}

/// Three masters, each with a third of the slots.
pub struct Cluster {
    /// Its masters.
    pub nodes: Vec<Daemon>,
    _dir: TempDir,
}

impl Cluster {
    /// Starts it, and waits until it is one.
    #[must_use]
    pub fn start() -> Self {
        let dir = TempDir::new().expect("a folder");
        let folder = dir.path().to_str().expect("a path").to_owned();
        let buses: Vec<u16> = (0..3)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr()))
            .map(|address| address.expect("a port").port())
            .collect();
        let node = |bus: &u16| {
            let bus = bus.to_string();
            let cluster = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes-PORT.conf"];
            let more = ["--cluster-port", &bus, "--dir", &folder, "--cluster-node-timeout", "2000"];
            Daemon::redis_with(&[&cluster[..], &more[..]].concat())
        };
        let nodes: Vec<Daemon> = buses.iter().map(node).collect();
        let thirds = ["0 5460", "5461 10922", "10923 16383"];
        for (index, (node, third)) in nodes.iter().zip(thirds).enumerate() {
            let epoch = index + 1;
            let _ = tell(
                &node.address(),
                &format!("CLUSTER ADDSLOTSRANGE {third}\r\nCLUSTER SET-CONFIG-EPOCH {epoch}"),
            );
            let (host, port) = nodes[0]
                .address()
                .split_once(':')
                .map(|(h, p)| (h.to_owned(), p.to_owned()))
                .expect("a port");
            let _ = tell(&node.address(), &format!("CLUSTER MEET {host} {port} {}", buses[0]));
        }
        let cluster = Self { nodes, _dir: dir };
        cluster.ready();
        cluster
    }

    /// Waits until it is one (again).
    pub fn ready(&self) {
        let knows_all = |node: &Daemon| {
            let info = tell(&node.address(), "CLUSTER INFO");
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        };
        eventually("the nodes are a cluster", || self.nodes.iter().all(knows_all));
    }
}
