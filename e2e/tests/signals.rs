//! How a server ends, and how it talks to the service manager that started it.

use e2e::{Client, Options, Server, eventually, until};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

const APP: &str = "if ($request->path() == '/wait') {
        file_put_contents(__DIR__ . '/busy', '.', FILE_APPEND);
        while (!file_exists(__DIR__ . '/go')) usleep(1000);
        return new Response('waited');
    }
    if ($request->path() == '/stream') {
        return new Response((function () {
            yield 'one';
            while (!file_exists(__DIR__ . '/go')) usleep(1000);
            yield 'two';
        })());
    }
    if ($request->path() == '/spin') { file_put_contents(__DIR__ . '/busy', '.', FILE_APPEND); while (true); }
    if ($request->path() == '/stop') { Server::stop(); return new Response('stopping'); }
    return new Response('Hello');";

fn waiting(server: &Server, path: &str) -> Client {
    let mut client = server.client();
    client.try_request("GET", path, "", b"").expect("sent");
    eventually("the worker is busy", || !server.read("busy").is_empty());
    client
}

fn release(server: &Server) {
    fs::write(server.file("go"), "").expect("a file");
}

#[test]
fn each_stop_signal_ends_the_server_with_0() {
    for signal in [15, 2, 3] {
        let mut server = Options::handler(APP).workers(2).start();
        assert_eq!(server.text("/"), "Hello");
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "signal {signal}");
        server.over();
    }
}

#[test]
fn a_request_that_runs_is_answered_before_the_end() {
    let mut server = Options::handler(APP).workers(1).start();
    let mut running = waiting(&server, "/wait");
    let mut queued = server.client();
    queued.try_request("GET", "/", "", b"").expect("sent");
    let mut idle = server.client();
    assert_eq!(Client::connect(server.addr()).try_request("GET", "/", "", b"").ok(), Some(()));
    server.signal(15);
    server.logs.expect("stopping");
    assert!(idle.is_closed_within(Duration::from_secs(10)), "who has no request running is let go");
    assert!(Client::try_connect(server.addr()).is_err(), "nobody new is taken");
    release(&server);
    let answer = running.read();
    assert_eq!(answer.text(), "waited");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(queued.read().text(), "Hello", "it was taken before the stop");
    assert_eq!(server.wait().code(), Some(0));
    server.over();
}

#[test]
fn a_stream_that_runs_is_finished_before_the_end() {
    let mut server = Options::handler(APP).start();
    let mut client = server.client();
    client.try_request("GET", "/stream", "", b"").expect("sent");
    client.read_head().expect("a head");
    assert_eq!(client.read_chunk().expect("a piece"), b"one");
    server.signal(15);
    server.logs.expect("stopping");
    release(&server);
    assert_eq!(client.read_chunk().expect("a piece"), b"two");
    assert_eq!(client.read_chunk().expect("the end"), b"");
    assert_eq!(server.wait().code(), Some(0));
    server.over();
}

#[test]
fn a_second_signal_forces_the_end() {
    let mut server = Options::handler(APP).expect_errors().start();
    let mut running = waiting(&server, "/spin");
    server.signal(15);
    server.logs.expect("stopping");
    server.signal(15);
    let began = Instant::now();
    assert_eq!(server.wait().code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // Answered or not, it does not hang.
    let _ = running.try_read();
    server.over();
}

#[test]
fn grace_period_ends_what_does_not_end() {
    let mut server = Options::handler(APP).set("endure.grace_period", "'500ms'").expect_errors().start();
    let mut running = waiting(&server, "/spin");
    server.signal(15);
    let answer = running.read();
    assert!(matches!(answer.status, 502 | 503), "{answer:?}");
    assert_eq!(server.wait().code(), Some(0));
    server.over();
}

#[test]
fn php_can_stop_the_server() {
    let mut server = Options::handler(APP).start();
    assert_eq!(server.text("/stop"), "stopping");
    assert_eq!(server.wait().code(), Some(0));
    server.over();
}

#[test]
fn a_signal_while_the_app_boots_ends_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let marker = dir.path().join("booting");
    // Its parent is the master.
    let boot =
        format!("file_put_contents('{}', posix_getppid()); while (true) usleep(1000);", marker.display());
    let options = Options::handler(APP).chain(&format!("->boot(function () {{ {boot} }})"));
    let end = std::thread::spawn(move || options.finish());
    let master = until(Duration::from_secs(20), || fs::read_to_string(&marker).ok()?.parse().ok());
    e2e::kill(master.expect("it boots"), 15);
    let end = end.join().expect("it ends");
    assert!(end.code.is_some(), "{}", end.stderr);
}

struct Manager {
    socket: UnixDatagram,
    dir: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = UnixDatagram::bind(dir.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Self { socket, dir }
    }

    fn options(&self) -> Options {
        Options::handler(APP).env("NOTIFY_SOCKET", self.dir.path().join("notify"))
    }

    #[track_caller]
    fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let count = self.socket.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    /// The next message with `text`, others skipped.
    #[track_caller]
    fn expect(&self, text: &str) -> String {
        until(Duration::from_secs(20), || Some(self.next()).filter(|message| message.contains(text)))
            .unwrap_or_else(|| panic!("no {text}"))
    }
}

#[test]
fn cli_06_the_service_manager_is_told() {
    let manager = Manager::new();
    let server = manager.options().start();
    let ready = manager.next();
    assert!(
        ready.starts_with("READY=1\n") && ready.contains(&format!("MAINPID={}", server.pid())),
        "{ready}"
    );
    server.signal(1);
    let reloading = manager.next();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert!(manager.next().starts_with("READY=1"));
    server.logs.expect("reloaded");
    server.stop();
    assert!(manager.next().starts_with("STOPPING=1"));
}

#[test]
fn cli_06_the_watchdog_is_fed() {
    let manager = Manager::new();
    let server = manager.options().env("WATCHDOG_USEC", "200000").start();
    for _ in 0..3 {
        manager.expect("WATCHDOG=1");
    }
    server.stop();
}

#[test]
fn workers_do_not_see_the_service_manager() {
    let manager = Manager::new();
    let server = Options::handler("return new Response(json_encode([getenv('NOTIFY_SOCKET'), getenv('WATCHDOG_USEC'), getenv('LISTEN_FDS')]));")
        .env("NOTIFY_SOCKET", manager.dir.path().join("notify"))
        .env("WATCHDOG_USEC", "20000000")
        .start();
    assert_eq!(server.text("/"), "[false,false,false]");
    server.stop();
}

#[test]
fn a_server_that_does_not_start_is_never_ready() {
    let manager = Manager::new();
    let end = manager.options().chain("->boot(function () { throw new Exception('no'); })").finish();
    assert_eq!(end.code, Some(1));
    manager.socket.set_nonblocking(true).expect("nonblocking");
    assert!(manager.socket.recv(&mut [0; 100]).is_err());
}

#[test]
fn socket_activation_tcp() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let server = Options::handler(APP)
        .stdin(listener.into())
        .shell("exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1")
        .start();
    assert_eq!(server.addr(), address, "the manager's socket is the address");
    assert_eq!(Client::connect(&address).get("/").text(), "Hello");
    server.signal(1);
    server.logs.expect("reloaded");
    assert_eq!(Client::connect(&address).get("/").text(), "Hello");
    server.stop();
}

#[test]
fn socket_activation_unix() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("app.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    let server = Options::handler(APP)
        .stdin(listener.into())
        .shell("exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1")
        .start();
    assert_eq!(Client::connect(&format!("unix://{}", path.display())).get("/").text(), "Hello");
    server.stop();
    assert!(path.exists(), "the file is the manager's");
}

#[test]
fn listen_fds_of_somebody_else_are_left_alone() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let server = Options::handler(APP)
        .stdin(listener.into())
        .shell("exec 3<&0 </dev/null; export LISTEN_PID=1 LISTEN_FDS=1")
        .start();
    assert_ne!(server.addr(), address);
    assert_eq!(server.text("/"), "Hello");
    server.stop();
}

#[test]
fn a_signal_while_the_first_worker_starts_ends_the_start() {
    // The worker's parent is the zygote, whose parent is the master.
    let hook = "->onWorkerStart(function () {
        $master = (int) explode(' ', file_get_contents('/proc/' . posix_getppid() . '/stat'))[3];
        posix_kill($master, SIGTERM);
        sleep(1000);
    })";
    let end = Options::handler(APP).chain(hook).finish();
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    assert!(!end.stderr.contains("server started"), "{}", end.stderr);
}
