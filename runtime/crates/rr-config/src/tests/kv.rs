//! `kv`: where a storage's settings come from, and what its drivers take.

use super::{fault, try_load};
use crate::Driver;

/// The file of each `boltdb`, and the warnings.
fn files(yaml: &str) -> (Vec<String>, Vec<String>) {
    let loaded = try_load(yaml).expect("no fault");
    let file = |storage: &crate::Storage| match &storage.driver {
        Driver::Bolt(bolt) => {
            format!("{} {} 0{:o} {}", storage.name, bolt.file, bolt.permissions, bolt.interval)
        }
        other => format!("{other:?}"),
    };
    let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
    (loaded.config.kv.iter().map(file).collect(), warnings)
}

#[test]
fn settings_are_ones_own_or_of_the_section_of_that_name_or_the_defaults() {
    let (own, none) = files(
        "kv:\n  a: {driver: boltdb, config: {file: x, permissions: 0600, interval: 5}}\na: {file: y}\n",
    );
    assert_eq!(own, ["a x 0600 5"]);
    assert_eq!(none.len(), 1, "the section at the top means nothing then: {none:?}");
    let (global, none) = files("kv:\n  a: {driver: boltdb}\na: {file: y, permissions: \"0640\"}\n");
    assert_eq!((global, none), (vec!["a y 0640 60".to_owned()], vec![]));
    let (defaults, warned) = files("kv:\n  a: {driver: boltdb}\n");
    assert_eq!(defaults, ["a rr.db 0755 60"]);
    assert!(warned[0].contains("there is no kv.a.config and no section a"), "{warned:?}");
    let (_, silent) = files("kv:\n  a: {driver: memory}\n");
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn modes_and_drivers() {
    let (_, warned) = files("kv:\n  a: {driver: boltdb, config: {permissions: 755}}\n");
    assert!(warned[0].contains("755 is 01363 in octal; did you mean 0755?"), "{warned:?}");
    assert!(fault("kv:\n  a: {driver: boltdb, config: {permissions: rw}}\n").contains("expected a number"));
    assert!(fault("kv:\n  a: {driver: bolt}\n").contains("there is no driver \"bolt\""));
}

#[test]
fn redis_says_what_has_no_effect() {
    let redis = |keys: &str| {
        let yaml = format!("kv:\n  a: {{driver: redis, config: {{{keys}}}}}\n");
        let loaded = try_load(&yaml).expect("no fault");
        let Driver::Redis(redis) = loaded.config.kv[0].driver.clone() else { panic!("redis") };
        (redis, loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let (cluster, none) =
        redis("addrs: [a:1, b:2], max_retries: -1, route_randomly: true, tls: {root_ca: x}");
    assert_eq!((cluster.addrs.len(), cluster.max_retries, cluster.route_randomly), (2, 0, true));
    assert_eq!((cluster.tls.and_then(|tls| tls.root_ca), none), (Some("x".to_owned()), vec![]));
    let (one, warned) = redis("pool_size: 5, read_only: true, sentinel_password: x, max_retries: 0");
    assert_eq!((one.addrs, one.max_retries), (vec!["127.0.0.1:6379".to_owned()], 3));
    let expected =
        ["pool_size: is not served", "read_only: has no effect", "sentinel_password: has no effect"];
    assert!(expected.iter().all(|text| warned.iter().any(|line| line.contains(text))), "{warned:?}");
    let (_, warned) = redis("addrs: [a:1, b:2], route_by_latency: true");
    assert!(warned.len() == 1 && warned[0].contains("latencies are not measured"), "{warned:?}");
    let config = |keys: &str| fault(&format!("kv:\n  a: {{driver: redis, config: {{{keys}}}}}\n"));
    assert!(config("tls: {cert: x}").contains("cert needs key"));
    assert!(config("max_retries: -2").contains("expected a number"));
}
