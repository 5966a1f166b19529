//! The registry as RPC, workers and Prometheus see it.

use crate::{Cause, Change, Definition, Kind, Limits, Registry};
use proptest::prelude::*;
use rr_shm::segment::{self, WorkerEnd};
use std::io::Write;
use std::process::{Command, Stdio};

fn registry() -> Registry {
    Registry::new(Limits { series: 1000 })
}

fn declared(kind: Kind, labels: &[&str]) -> Definition {
    Definition {
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        help: "For tests.".to_owned(),
        ..Definition::new(kind, kind.name())
    }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// All four types, each with and without a label (`<type>` and `<type>_by`).
fn full() -> Registry {
    let registry = registry();
    for kind in [Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary] {
        registry.declare(declared(kind, &[])).expect("declares");
        let name = format!("{kind}_by");
        registry.declare(Definition { name, ..declared(kind, &["route"]) }).expect("declares");
    }
    registry
}

fn id(number: u64) -> (std::sync::Arc<str>, u64) {
    ("http".into(), number)
}

fn worker(registry: &Registry, number: u64) -> WorkerEnd {
    let (master, file) = segment::create(4096).expect("creates");
    registry.worker_began(id(number), master.cells());
    segment::attach(&file, 4096).expect("attaches")
}

fn lines(registry: &Registry, start: &str) -> Vec<String> {
    registry.text().lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect()
}

#[test]
fn r_80_errors_are_roadrunners() {
    let registry = full();
    let error = |change, name: &str, labels: &[&str]| {
        registry.change(change, name, 1.0, &texts(labels)).expect_err(name).to_string()
    };
    assert_eq!(
        error(Change::Add, "x", &[]),
        "metrics_plugin_add: undefined collector x, try first Declare the desired collector"
    );
    assert_eq!(error(Change::Set, "x", &[]), "metrics_plugin_set: undefined collector x");
    assert_eq!(error(Change::Sub, "x", &[]), "metrics_plugin_sub: undefined collector x");
    assert_eq!(error(Change::Observe, "x", &[]), "metrics_plugin_observe: undefined collector x");
    assert_eq!(
        error(Change::Add, "counter_by", &[]),
        "metrics_plugin_add: required labels for collector `counter_by`"
    );
    assert_eq!(
        error(Change::Add, "gauge_by", &[]),
        "metrics_plugin_add: required labels for collector gauge_by"
    );
    assert_eq!(
        error(Change::Observe, "summary_by", &[]),
        "metrics_plugin_observe: required labels for collector `summary_by`"
    );
    assert_eq!(
        error(Change::Add, "histogram", &[]),
        "metrics_plugin_add: collector histogram does not support method `Add`"
    );
    assert_eq!(
        error(Change::Sub, "counter", &[]),
        "metrics_plugin_sub: collector `counter` does not support method `Sub`"
    );
    assert_eq!(
        error(Change::Set, "summary", &[]),
        "metrics_plugin_set: collector `summary` does not support method Set"
    );
    assert_eq!(
        error(Change::Observe, "gauge", &[]),
        "metrics_plugin_observe: collector `gauge` does not support method `Observe`"
    );
    assert_eq!(
        error(Change::Add, "counter_by", &["a", "b"]),
        "metrics_plugin_add: inconsistent label cardinality: expected 1 label values but got 2 in []string{\"a\", \"b\"}"
    );
    assert_eq!(lines(&registry, "rr_metrics_refused_total"), ["rr_metrics_refused_total 12"]);
}

#[test]
fn me_02_a_counter_that_shall_go_down_is_an_error() {
    let registry = full();
    registry.change(Change::Add, "counter", 2.0, &[]).expect("adds");
    let error = registry.change(Change::Add, "counter", -1.0, &[]).expect_err("refused");
    assert_eq!(error.to_string(), "metrics_plugin_add: counter cannot decrease in value");
    for value in [f64::NAN, f64::INFINITY] {
        assert!(registry.change(Change::Add, "counter", value, &[]).is_err());
        assert!(registry.change(Change::Observe, "summary", value, &[]).is_err());
        registry.change(Change::Set, "gauge", value, &[]).expect("a gauge may be anything");
    }
    assert_eq!(lines(&registry, "counter "), ["counter 2"]);
    assert_eq!(lines(&registry, "gauge "), ["gauge +Inf"]);
}

#[test]
fn r_81_an_existing_name_stays_and_a_clash_is_an_error() {
    let registry = registry();
    let hits = Definition { namespace: "app".to_owned(), ..Definition::new(Kind::Counter, "hits") };
    assert_eq!(registry.declare(hits.clone()), Ok(true));
    assert_eq!(registry.declare(Definition { kind: Kind::Gauge, ..hits.clone() }), Ok(false));
    for clash in ["app_hits", "rr_metrics_series"] {
        let error = registry.declare(Definition::new(Kind::Gauge, clash)).expect_err("clashes");
        assert!(error.to_string().contains("duplicate metrics collector registration attempted"), "{error}");
    }
    registry.declare(Definition::new(Kind::Histogram, "seconds")).expect("declares");
    assert!(registry.declare(Definition::new(Kind::Counter, "seconds_count")).is_err());
}

#[test]
fn r_82_an_unregistered_collector_is_gone_and_can_come_back() {
    let registry = full();
    registry.change(Change::Add, "counter_by", 5.0, &texts(&["/"])).expect("adds");
    registry.unregister("counter_by").expect("unregisters");
    let error = registry.unregister("counter_by").expect_err("gone").to_string();
    assert_eq!(error, "metrics_plugin_unregister: undefined collector counter_by");
    assert!(lines(&registry, "counter_by").is_empty());
    let again = Definition { name: "counter_by".to_owned(), ..declared(Kind::Counter, &["path"]) };
    assert_eq!(registry.declare(again), Ok(true));
    registry.change(Change::Add, "counter_by", 1.0, &texts(&["/"])).expect("adds");
    assert_eq!(lines(&registry, "counter_by"), ["counter_by{path=\"/\"} 1"]);
}

#[test]
fn histograms_count_cumulatively_and_summaries_have_quantiles() {
    let registry = registry();
    let buckets = vec![1.0, 2.5];
    registry.declare(Definition { buckets, ..Definition::new(Kind::Histogram, "h") }).expect("declares");
    let objectives = vec![0.5];
    registry.declare(Definition { objectives, ..Definition::new(Kind::Summary, "s") }).expect("declares");
    assert!(lines(&registry, "s{").concat().ends_with(" NaN"));
    for value in [1.0, 1.5, 7.0] {
        registry.change(Change::Observe, "h", value, &[]).expect("observes");
        registry.change(Change::Observe, "s", value, &[]).expect("observes");
    }
    assert_eq!(
        lines(&registry, "h"),
        [
            "h_bucket{le=\"1\"} 1",
            "h_bucket{le=\"2.5\"} 2",
            "h_bucket{le=\"+Inf\"} 3",
            "h_sum 9.5",
            "h_count 3"
        ]
    );
    let summary = lines(&registry, "s");
    assert!(summary[0].starts_with("s{quantile=\"0.5\"} 1."), "{summary:?}");
    assert_eq!(summary[1..], ["s_sum 9.5", "s_count 3"]);
}

#[test]
fn workers_and_rpc_count_together_and_a_dead_worker_keeps_its_counts() {
    let registry = registry();
    let (one, two) = (worker(&registry, 1), worker(&registry, 2));
    let hits = declared(Kind::Counter, &["route"]);
    let grant = |number| registry.grant(&id(number), hits.clone(), &texts(&["/"])).expect("grants");
    let (first, second) = (grant(1), grant(2));
    assert_eq!(first, second, "a series has one place in all workers");
    let cell = first.cell.expect("room") as usize;
    one.cells().add(cell, 2.0);
    two.cells().add(cell, 3.0);
    registry.change(Change::Add, "counter", 10.0, &texts(&["/"])).expect("adds");
    registry.worker_ended(&id(1));
    assert_eq!(lines(&registry, "counter"), ["counter{route=\"/\"} 15"]);

    let times = declared(Kind::Histogram, &[]);
    let grant = registry.grant(&id(2), times, &[]).expect("grants");
    let cell = grant.cell.expect("room") as usize;
    two.cells().add(cell + grant.buckets.len(), 1.0);
    two.cells().add(cell + grant.buckets.len() + 1, 60.0);
    registry.change(Change::Observe, "histogram", 0.001, &[]).expect("observes");
    let written = lines(&registry, "histogram");
    assert_eq!(written[0], "histogram_bucket{le=\"0.005\"} 1");
    assert_eq!(
        written[written.len() - 3..],
        ["histogram_bucket{le=\"+Inf\"} 2", "histogram_sum 60.001", "histogram_count 2"]
    );
}

#[test]
fn what_php_takes_a_collector_for_must_be_what_it_is() {
    let registry = registry();
    registry.declare(declared(Kind::Counter, &["route"])).expect("declares");
    let ask = |definition: Definition, values: &[&str]| {
        registry.grant(&id(9), definition, &texts(values)).map_err(|cause| cause.to_string())
    };
    let unlabelled = ask(declared(Kind::Counter, &[]), &["/"]).expect("the labels are known");
    assert_eq!(unlabelled.cell, None, "worker 9 is unknown: it counts in the master");
    let other = Definition { name: "counter".to_owned(), ..declared(Kind::Gauge, &["route"]) };
    assert_eq!(
        ask(other, &["/"]).expect_err("another type"),
        "collector counter is a counter with the labels route, not a gauge with the labels route"
    );
    assert!(ask(declared(Kind::Counter, &["path"]), &["/"]).is_err());
    assert!(ask(declared(Kind::Counter, &["route"]), &[]).is_err());
    assert!(ask(declared(Kind::Gauge, &[]), &["/"]).is_err(), "values without labels are a mistake");
    registry.record(Change::Add, unlabelled.series, 2.0);
    registry.record(Change::Set, unlabelled.series, 2.0);
    registry.record(Change::Add, 9999, 2.0);
    assert_eq!(lines(&registry, "counter"), ["counter{route=\"/\"} 2"]);
    assert_eq!(lines(&registry, "rr_metrics_lost_total"), ["rr_metrics_lost_total 2"]);
}

#[test]
fn the_number_of_series_is_bounded() {
    let registry = Registry::new(Limits { series: 20 });
    registry.declare(declared(Kind::Counter, &["id"])).expect("declares");
    let results: Vec<_> =
        (0..100).map(|id| registry.change(Change::Add, "counter", 1.0, &[id.to_string()])).collect();
    let refused = results.iter().filter(|result| result.is_err()).count();
    assert_eq!(refused, 80);
    let error = results[99].as_ref().expect_err("full");
    assert!(matches!(error.cause, Cause::Full { .. }), "{error}");
    assert!(error.to_string().contains("raise metrics.max_series"), "{error}");
    registry.change(Change::Add, "counter", 1.0, &texts(&["7"])).expect("what is there goes on");
    assert_eq!(lines(&registry, "rr_metrics_series"), ["rr_metrics_series 20"]);
    let declared = (0..100)
        .map(|number| registry.declare(Definition::new(Kind::Counter, &format!("c{number}"))))
        .filter(Result::is_ok);
    assert_eq!(declared.count(), 0);
}

#[test]
fn promtool_finds_nothing_wrong() {
    let registry = registry();
    registry
        .declare(Definition { name: "hits_total".into(), ..declared(Kind::Counter, &["route"]) })
        .expect("ok");
    registry.declare(declared(Kind::Gauge, &[])).expect("ok");
    registry
        .declare(Definition { name: "run_seconds".into(), ..declared(Kind::Histogram, &["a", "b"]) })
        .expect("ok");
    let objectives = vec![0.5, 0.99];
    let summary = Definition { name: "size_bytes".into(), objectives, ..declared(Kind::Summary, &[]) };
    registry.declare(summary).expect("ok");
    registry.change(Change::Add, "hits_total", 1e21, &texts(&["\"\\\n é"])).expect("ok");
    registry.change(Change::Set, "gauge", f64::NAN, &[]).expect("ok");
    registry.change(Change::Observe, "run_seconds", 1e-9, &texts(&["", "x"])).expect("ok");
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        return;
    };
    promtool.stdin.take().expect("stdin").write_all(registry.text().as_bytes()).expect("writes");
    let output = promtool.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{}", registry.text());
}

#[derive(Debug, Clone)]
enum Step {
    Rpc(u8, u32),
    Worker(u8, u8, u32),
    Die(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..3_u8, 0..1000_u32).prop_map(|(series, by)| Step::Rpc(series, by)),
        (0..4_u8, 0..3_u8, 0..1000_u32).prop_map(|(id, series, by)| Step::Worker(id, series, by)),
        (0..4_u8).prop_map(Step::Die),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whoever counts and whoever dies: the sums are exact at every moment.
    #[test]
    fn nothing_is_lost_or_counted_twice(steps in steps()) {
        let registry = registry();
        let mut expected = [0_u64; 3];
        let mut workers: [Option<(u64, WorkerEnd)>; 4] = [None, None, None, None];
        let mut next = 1;
        for step in steps {
            match step {
                Step::Rpc(series, by) => {
                    registry.grant(&id(0), declared(Kind::Counter, &["s"]), &[series.to_string()]).expect("grants");
                    registry.change(Change::Add, "counter", f64::from(by), &[series.to_string()]).expect("adds");
                    expected[usize::from(series)] += u64::from(by);
                }
                Step::Worker(slot, series, by) => {
                    let slot = &mut workers[usize::from(slot)];
                    let (number, end) = slot.get_or_insert_with(|| {
                        next += 1;
                        (next, worker(&registry, next))
                    });
                    let grant = registry
                        .grant(&id(*number), declared(Kind::Counter, &["s"]), &[series.to_string()])
                        .expect("grants");
                    end.cells().add(grant.cell.expect("room") as usize, f64::from(by));
                    expected[usize::from(series)] += u64::from(by);
                }
                Step::Die(slot) => {
                    if let Some((number, _)) = workers[usize::from(slot)].take() {
                        registry.worker_ended(&id(number));
                    }
                }
            }
            for (series, count) in expected.iter().enumerate() {
                let found = lines(&registry, &format!("counter{{s=\"{series}\"}}"));
                prop_assert!(
                    found.is_empty() && *count == 0 || found == [format!("counter{{s=\"{series}\"}} {count}")],
                    "{found:?} is not {count}"
                );
            }
        }
    }

    /// Any names, labels and values: errors or text that Prometheus can read, never a panic.
    #[test]
    fn any_declaration_is_survived(
        name in ".{0,12}", label in ".{0,8}", value in ".{0,16}", help in ".{0,16}", number in any::<f64>(),
        kind in 0..4_usize, bound in any::<f64>(),
    ) {
        let registry = registry();
        let kind = [Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary][kind];
        let definition = Definition {
            labels: vec![label], help, buckets: vec![bound], objectives: vec![bound],
            ..Definition::new(kind, &name)
        };
        if registry.declare(definition).is_ok() {
            for change in [Change::Add, Change::Sub, Change::Set, Change::Observe] {
                let _ = registry.change(change, &name, number, std::slice::from_ref(&value));
            }
        }
        for line in registry.text().lines() {
            prop_assert!(line.starts_with("# ") || line.rsplit_once(' ').is_some_and(|(_, number)| {
                ["NaN", "+Inf", "-Inf"].contains(&number) || number.parse::<f64>().is_ok()
            }), "{line:?}");
        }
    }
}
