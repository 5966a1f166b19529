//! Settings that cannot be used, and servers that are not there or answer nonsense.

use super::*;
use std::path::PathBuf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn settings(addresses: &[&str]) -> Settings {
    Settings {
        addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
        master: None,
        sentinel_password: None,
        username: None,
        password: None,
        db: 0,
        tls: None,
        connect: Duration::from_secs(2),
        answer: Duration::from_secs(2),
        retries: 1,
        backoff: (Duration::from_millis(1), Duration::from_millis(1)),
        replicas: false,
    }
}

fn refused(settings: Settings) -> String {
    Redis::new(settings).expect_err("it cannot be used").to_string()
}

#[test]
fn settings_that_cannot_be_used() {
    assert!(refused(settings(&["x://y"])).contains("\"x://y\" is no address"));
    assert!(refused(settings(&["unix:///a", "b:1"])).contains("over host:port only"));
    let tls = |tls| Settings { tls: Some(tls), ..settings(&["127.0.0.1:1"]) };
    let file = || Some(PathBuf::from("none.pem"));
    assert!(refused(tls(Tls { root_ca: file(), ..Tls::default() })).contains("tls.root_ca: none.pem: "));
    assert!(refused(tls(Tls { cert: file(), ..Tls::default() })).contains("tls.cert needs tls.key"));
    let unix = Settings { tls: Some(Tls::default()), ..settings(&["unix:///a"]) };
    assert!(refused(unix).contains("no TLS over a unix socket"));
    assert!(Redis::new(settings(&["a:1", "b:2"])).is_ok_and(|redis| redis.is_cluster()));
}

async fn ping(redis: &Redis) -> Result<Vec<String>, Failed> {
    redis.send(vec![cmd("PING")], Again::Yes).await
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    for addresses in [&[&*address][..], &[&*address, &*address]] {
        let failed = ping(&Redis::new(settings(addresses)).expect("servers")).await.expect_err("nobody");
        assert!(failed.to_string().starts_with(&format!("redis: {address}")) && !failed.unknown, "{failed}");
    }
}

#[tokio::test]
async fn garbage_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let garbage = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 64]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    for master in [None, Some("main".to_owned())] {
        let servers = Redis::new(Settings { master, ..settings(&[&address]) }).expect("a server");
        assert!(ping(&servers).await.is_err());
    }
    garbage.abort();
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_waited_for_as_long_as_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let failed = ping(&Redis::new(settings(&[&address])).expect("a server")).await.expect_err("silence");
    assert!(failed.to_string().contains(&address), "{failed}");
    drop(listener);
}
