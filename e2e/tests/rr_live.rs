//! `rr workers -i` on a terminal and without one (row CLI-09).

use e2e::rr::{Rr, Serving};
use e2e::{eventually, kill, workspace};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, SpecialCodeIndex, Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

fn app() -> Rr {
    let yaml = format!(
        "version: '3'\nrpc: {{listen: 'unix://rpc.sock'}}\nserver: {{command: ['{}', 'worker.php']}}\nhttp: {{address: \
         '127.0.0.1:0', pool: {{num_workers: 2}}}}\n",
        e2e::php().display()
    );
    let worker = std::fs::read_to_string(workspace().join("examples/roadrunner/worker.php"));
    Rr::new(&[(".rr.yaml", &yaml), ("worker.php", &worker.expect("the worker"))])
}

/// A terminal of 120×30 with `rr workers -i` on it.
struct Terminal {
    master: File,
    slave: File,
    before: Termios,
    seen: Arc<Mutex<Vec<u8>>>,
    child: Child,
}

impl Terminal {
    fn start(rr: &Rr, arguments: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("its other end");
        let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("text");
        let slave = OpenOptions::new().read(true).write(true).open(name).expect("its other end");
        tcsetwinsize(&slave, Winsize { ws_row: 30, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 })
            .expect("a size");
        let before = tcgetattr(&slave).expect("its modes");
        let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
        let mut command = rr.command(arguments);
        let child = command.env_remove("NO_COLOR").stdin(end()).stdout(end()).stderr(end()).spawn();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let master = File::from(master);
        let (sink, mut source) = (Arc::clone(&seen), master.try_clone().expect("a descriptor"));
        // It ends with the terminal: reading fails once the last of its other ends is closed.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = source.read(&mut bytes) {
                sink.lock().expect("no panic").extend_from_slice(&bytes[..count]);
            }
        });
        Self { master, slave, before, seen, child: child.expect("it starts") }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().expect("no panic")).into_owned()
    }

    /// Forgets what was seen.
    fn clear(&self) {
        self.seen.lock().expect("no panic").clear();
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        let shown = e2e::until(e2e::SOON, || self.text().contains(text).then_some(()));
        assert!(shown.is_some(), "{text:?} is not in {:?}", self.text());
    }

    fn types(&mut self, keys: &[u8]) {
        self.master.write_all(keys).expect("typed");
    }

    /// It ends with 0 and leaves the terminal as it was.
    #[track_caller]
    fn left(mut self) {
        let ended = e2e::until(e2e::SOON, || self.child.try_wait().expect("wait"));
        let ended = ended.unwrap_or_else(|| panic!("it stays: {:?}", self.text()));
        assert_eq!(ended.code(), Some(0), "{:?}", self.text());
        let after = tcgetattr(&self.slave).expect("its modes");
        assert_eq!(after.local_modes, self.before.local_modes);
        for code in [SpecialCodeIndex::VMIN, SpecialCodeIndex::VTIME] {
            assert_eq!(after.special_codes[code], self.before.special_codes[code]);
        }
        // The other screen is left, and the cursor is back.
        self.shows("\x1b[?25h\x1b[?1049l");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watched(rr: &Rr, serving: &Serving) -> Terminal {
    let terminal = Terminal::start(rr, &["workers", "-i"]);
    terminal.shows("\x1b[?1049h\x1b[?25l");
    terminal.shows("2 workers");
    terminal.shows("POOL");
    let modes = tcgetattr(&terminal.slave).expect("its modes");
    assert!(!modes.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO), "keys count at once");
    assert!(modes.local_modes.contains(LocalModes::ISIG), "Ctrl-C is a signal");
    let pids = e2e::descendants(serving.pid()).into_iter().filter(|process| process.name == "rr-worker");
    pids.for_each(|process| terminal.shows(&process.pid.to_string()));
    terminal
}

#[test]
fn cli_09_it_is_left_by_a_key_and_by_a_signal() {
    let rr = app();
    let serving = rr.serve(&["serve"]);
    for keys in [&b"q"[..], b"Q", b"\x1b"] {
        let mut terminal = watched(&rr, &serving);
        // An arrow is no escape.
        terminal.types(b"xyz");
        terminal.types(b"\x1b[A");
        terminal.types(keys);
        terminal.left();
    }
    for signal in [15, 2, 1] {
        let terminal = watched(&rr, &serving);
        kill(terminal.child.id(), signal);
        terminal.left();
    }
    serving.stop();
    rr.check_nothing_left();
}

#[test]
fn cli_09_it_goes_on_when_the_server_is_back() {
    let rr = app();
    let serving = rr.serve(&["serve"]);
    let mut terminal = watched(&rr, &serving);
    serving.stop();
    terminal.shows("trying again each second");
    terminal.shows("rpc.sock");
    terminal.clear();
    let serving = rr.serve(&["serve"]);
    terminal.shows("2 workers");
    assert!(terminal.child.try_wait().expect("wait").is_none());
    terminal.types(b"q");
    terminal.left();
    serving.stop();
    rr.check_nothing_left();
}

#[test]
fn cli_09_it_leaves_when_the_terminal_goes() {
    let rr = app();
    let serving = rr.serve(&["serve"]);
    let Terminal { master, slave, .. } = &mut watched(&rr, &serving);
    // Ctrl-D.
    master.write_all(b"\x04").expect("typed");
    eventually("it has ended", || {
        tcgetattr(&*slave).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ICANON))
    });
    serving.stop();
    rr.check_nothing_left();
}

#[test]
fn cli_09_without_a_terminal_it_prints_until_it_is_told_or_nobody_reads() {
    let rr = app();
    let serving = rr.serve(&["serve"]);
    let mut command = rr.command(&["workers", "-i", "http"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let (stdout, stderr) = (e2e::Logs::default(), e2e::Logs::default());
    stdout.collect(child.stdout.take().expect("stdout"));
    stderr.collect(child.stderr.take().expect("stderr"));
    eventually("it is printed twice", || stdout.text().matches("2 workers").count() >= 2);
    assert!(!stdout.text().contains('\x1b'), "no colours: {:?}", stdout.text());
    kill(child.id(), 15);
    let ended = e2e::until(e2e::SOON, || child.try_wait().expect("wait")).expect("it ends");
    assert_eq!((ended.code(), stderr.text().as_str()), (Some(0), ""));
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let ended = e2e::until(e2e::SOON, || child.try_wait().expect("wait")).expect("it ends");
    assert_eq!(ended.code(), Some(0));
    serving.stop();
    rr.check_nothing_left();
}
