//! Certificates from an authority that speaks ACME (HS-13): Debian's `pebble`, whose only way to see that a domain is ours
//! is to come and look.

use e2e::{Daemon, Options, Server, certificates, curl, eventually, free_port, program};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// An authority that looks at these ports of domains, all of which are at 127.0.0.1.
struct Authority {
    pebble: Daemon,
    names: std::process::Child,
    dir: TempDir,
}

impl Authority {
    fn start(http: u16, tls: u16) -> Self {
        let dir = certificates();
        let (names, management) = (free_port(), free_port());
        let file = |name: &str| dir.path().join(name).display().to_string();
        // It has a port of its own for us to use.
        let port = free_port();
        let text = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"), "managementListenAddress": format!("127.0.0.1:{}", free_port()),
            "certificate": file("server.crt"), "privateKey": file("server.key"), "httpPort": http, "tlsPort": tls,
            "ocspResponderURL": "", "externalAccountBindingRequired": false}});
        std::fs::write(file("pebble.json"), text.to_string()).expect("a file");
        let (names_at, management) = (format!("127.0.0.1:{names}"), format!("127.0.0.1:{management}"));
        let line = [
            "-dns01",
            &names_at,
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-management",
            &management,
        ];
        let mut dns = Command::new(program(&["pebble-challtestsrv"]));
        let dns = dns.args(line).args(["-defaultIPv6", ""]).stdout(Stdio::null()).stderr(Stdio::null());
        let names = dns.spawn().expect("it starts");
        let run =
            format!("PEBBLE_VA_NOSLEEP=1 exec pebble -config {} -dnsserver {names_at}", file("pebble.json"));
        let pebble = Daemon::at(port, "sh", &["-c", &run]);
        Self { pebble, names, dir }
    }

    fn directory(&self) -> String {
        format!("https://{}/dir", self.pebble.address())
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = self.names.kill();
        let _ = self.names.wait();
    }
}

fn options(authority: &Authority, cache: &Path, domains: &str) -> Options {
    Options::handler("return $request->uri();")
        .set("http.ssl.address", "'127.0.0.1:0'")
        .set("http.ssl.redirect", "true")
        .set("http.ssl.acme.cache_dir", &format!("'{}'", cache.display()))
        .set("http.ssl.acme.email", "'me@example.com'")
        .set("http.ssl.acme.domains", domains)
        .set("http.ssl.acme.directory", &format!("'{}'", authority.directory()))
        .set("http.ssl.acme.directory_ca", &format!("'{}'", authority.dir.path().join("ca.crt").display()))
        .descriptors_may_grow()
}

fn port(server: &Server) -> String {
    let shown = server.addrs().iter().find_map(|address| address.strip_prefix("https://127.0.0.1:"));
    shown.expect("https").to_owned()
}

/// Asks as a client of a domain. What pebble signs for is made anew at each start and trusted by nobody.
fn ask(server: &Server, domain: &str) -> String {
    let port = port(server);
    let (resolve, url) = (format!("{domain}:{port}:127.0.0.1"), format!("https://{domain}:{port}/x"));
    curl(&["-k", "--resolve", &resolve, &url]).text()
}

fn issued(server: &Server, count: usize) {
    eventually("the certificates are there", || {
        server.logs.text().matches("a certificate has been issued").count() >= count
    });
}

fn names_of(server: &Server, domain: &str) -> String {
    let line = format!(
        "openssl s_client -connect 127.0.0.1:{} -servername {domain} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName",
        port(server)
    );
    let output = Command::new("sh").args(["-c", &line]).output().expect("openssl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn hs_13_certificates_are_ordered_and_kept() {
    // Not ours: opened for the time of an order.
    let looks = free_port();
    let authority = Authority::start(looks, 1);
    let cache = TempDir::new().expect("a folder");
    let domains = "['a.example.test', 'B.example.test']";
    let with_port = |options: Options| options.set("http.ssl.acme.alt_http_port", &looks.to_string());
    let server = with_port(options(&authority, cache.path(), domains)).start();
    issued(&server, 2);
    for domain in ["a.example.test", "b.example.test"] {
        assert_eq!(ask(&server, domain), format!("https://{domain}:{}/x", port(&server)));
        assert!(names_of(&server, domain).contains(&format!("DNS:{domain}")));
    }
    assert!(std::net::TcpListener::bind(("0.0.0.0", looks)).is_ok(), "the port is closed again");
    assert_eq!(server.get("/").status, 308);
    server.stop();
    // The next start needs no authority, and finds what another one has left.
    let directory = authority.pebble.address().replace("127.0.0.1:", "127.0.0.1-");
    let kept = cache.path().join(format!("certificates/{directory}-dir/a.example.test/a.example.test.key"));
    use std::os::unix::fs::PermissionsExt;
    let mode =
        std::fs::metadata(&kept).unwrap_or_else(|error| panic!("{}: {error}", kept.display())).permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let server = with_port(options(&authority, cache.path(), domains)).start();
    assert!(names_of(&server, "b.example.test").contains("DNS:b.example.test"));
    assert!(!server.logs.text().contains("has been issued"));
    server.stop();
    // An authority that has forgotten its accounts gets a new one.
    let mut authority = authority;
    authority.pebble.restart();
    let server = with_port(options(&authority, cache.path(), "['a.example.test', 'c.example.test']")).start();
    issued(&server, 1);
    assert!(names_of(&server, "c.example.test").contains("DNS:c.example.test"));
    server.stop();
}

#[test]
fn hs_13_tls_alpn_01_on_our_own_port_and_on_another() {
    for own in [true, false] {
        let (ours, looks) = (free_port(), free_port());
        let looks = if own { ours } else { looks };
        let authority = Authority::start(1, looks);
        let cache = TempDir::new().expect("a folder");
        let server = options(&authority, cache.path(), "['a.example.test']")
            .set("http.ssl.address", &format!("'127.0.0.1:{ours}'"))
            .set("http.ssl.acme.challenge_type", "'tlsalpn-01'")
            .set("http.ssl.acme.alt_tlsalpn_port", &looks.to_string())
            .start();
        issued(&server, 1);
        assert_eq!(ask(&server, "a.example.test"), format!("https://a.example.test:{ours}/x"));
        server.stop();
    }
}

#[test]
fn an_authority_that_refuses_stops_nothing_else() {
    // It looks where nobody is.
    let authority = Authority::start(1, 1);
    let cache = TempDir::new().expect("a folder");
    let server = options(&authority, cache.path(), "['a.example.test']")
        .set("http.ssl.redirect", "false")
        .set("http.ssl.acme.alt_http_port", &free_port().to_string())
        .expect_errors()
        .start();
    let failed = "http.ssl.acme: no certificate was issued: ";
    eventually("it says so", || server.logs.text().contains(failed));
    let line = server.logs.text().lines().find(|line| line.contains(failed)).expect("a line").to_owned();
    assert!(line.contains("trying again in 60 s") && line.contains("a.example.test"), "{line}");
    assert_eq!(server.get("/").status, 200);
    server.stop();
}
