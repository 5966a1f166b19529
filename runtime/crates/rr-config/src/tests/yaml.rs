//! YAML as we read it: types of scalars, aliases, merges, and what is refused.

use super::load;
use crate::scalar::resolve;
use crate::{Value, parse};

fn error(text: &str) -> String {
    parse("f", text).map(|node| panic!("accepted: {node:?}")).unwrap_or_else(|error| error.to_string())
}

fn json(text: &str) -> String {
    parse("f", text).unwrap_or_else(|error| panic!("{error}")).to_json()
}

#[test]
fn lists_may_be_closed_below_their_key_as_gos_yaml_has_it() {
    for (text, want) in [
        ("a: [\n  1,\n  2\n]\nb: 3", r#"{"a":[1,2],"b":3}"#),
        (
            "a:\n  b: [\n  x, # ]\n  'y ]',\n  \"z \\\" [\"\n  ]\n  c: {\n  d: [ ]\n  }",
            r#"{"a":{"b":["x","y ]","z \" ["],"c":{"d":[]}}}"#,
        ),
        ("x: foo[0\na: [\n1\n]", r#"{"x":"foo[0","a":[1]}"#),
        ("t: |\n  [ {\n  '\na: [\n1\n]", r#"{"t":"[ {\n'\n","a":[1]}"#),
        ("a: \"one\ntwo\"\nb: 1", r#"{"a":"one two","b":1}"#),
        ("- &n [\n1\n]\n- *n", r#"[[1],[1]]"#),
        ("a: 1\n---\n", r#"{"a":1}"#),
    ] {
        assert_eq!(json(text), want, "{text}");
    }
    // What is wrong is said of the text as it was written.
    assert!(error("a: [\n1\nb: 2").contains("f:"), "{}", error("a: [\n1\nb: 2"));
    assert!(error("a: 1\n---\nb: 2").contains("a second document"));
}

#[test]
fn scalars_follow_gos_yaml() {
    for text in ["true", "True", "TRUE"] {
        assert_eq!(resolve(text), Value::Bool(true));
    }
    for text in ["", "~", "null", "Null", "NULL"] {
        assert_eq!(resolve(text), Value::Null);
    }
    for text in [
        "on",
        "yes",
        "off",
        "no",
        "y",
        "tRue",
        "nuLL",
        "-",
        "+",
        ".",
        "1s",
        "127.0.0.1",
        "0x",
        "0xg",
        "1e",
        "--1",
        "_1",
        "e1",
        "2024-01-01",
    ] {
        assert_eq!(resolve(text), Value::Str(text.into()), "{text}");
    }
    let ints = [
        ("1", 1),
        ("-1", -1),
        ("+1", 1),
        ("0", 0),
        ("0x1F", 31),
        ("-0x1f", -31),
        ("0o17", 15),
        ("017", 15),
        ("0b101", 5),
        ("1_000_000", 1_000_000),
    ];
    for (text, want) in ints {
        assert_eq!(resolve(text), Value::Int(want), "{text}");
    }
    for (text, want) in [
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("-1e3", -1000.0),
        ("1E-2", 0.01),
        ("08", 8.0),
        (".inf", f64::INFINITY),
        ("-.Inf", f64::NEG_INFINITY),
    ] {
        assert_eq!(resolve(text), Value::Float(want), "{text}");
    }
    assert!(matches!(resolve(".nan"), Value::Float(value) if value.is_nan()));
    assert_eq!(resolve("18446744073709551615"), Value::Str("18446744073709551615".into()));
}

#[test]
fn quotes_and_tags_decide_types() {
    assert_eq!(
        json("a: '1'\nb: \"true\"\nc: !!str 1\nd: !!int '2'\ne: !mine 3\nf: |\n  4\ng: ! 5"),
        r#"{"a":"1","b":"true","c":"1","d":2,"e":3,"f":"4\n","g":"5"}"#
    );
    assert!(error("a: !!int x").starts_with("f:1: \"x\" is not what its tag `!!int` promises"));
}

#[test]
fn lines_are_counted_from_one() {
    let node = parse("f", "\u{feff}# c\na:\n  b: 1\r\n  c:\n    - x\n    - y\n").unwrap();
    assert_eq!(node.lookup("a.b").unwrap().at.line, 3);
    let Value::List(items) = &node.lookup("a.c").unwrap().value else { panic!() };
    assert_eq!(items[1].at.line, 6);
    assert_eq!(items[1].at.to_string(), "f:6");
}

#[test]
fn aliases_and_merges() {
    let text = "base: &base {a: 1, b: 2}\none:\n  <<: *base\n  b: 3\nx: &x [1]\ntwo: {<<: [{a: 5}, *base], c: *x}\n'<<': 1";
    let want = r#"{"base":{"a":1,"b":2},"one":{"b":3,"a":1},"x":[1],"two":{"c":[1],"a":5,"b":2},"<<":1}"#;
    assert_eq!(json(text), want);
    assert!(error("a: {<<: 1}").contains("`<<` takes a map or a list of maps"));
    assert!(error("a: &a [*a]").contains("inside the very value it names"));
    assert!(error("a: *nobody").starts_with("f:1: not valid YAML:"));
}

#[test]
fn aliases_do_not_explode() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..10 {
        let row = vec![format!("*a{}", n - 1); 9].join(", ");
        bomb += &format!("a{n}: &a{n} [{row}]\n");
    }
    assert!(error(&bomb).contains("aliases repeat too much"));
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(500_000), vec!["*a"; 1000].join(", "));
    assert!(error(&long).contains("aliases repeat too much"));
    let mut deep = "a0: &a0 [x]\n".to_owned();
    for n in 1..500 {
        deep += &format!("a{n}: &a{n} [*a{}]\n", n - 1);
    }
    assert!(error(&deep).contains("nested deeper than 64 levels"));
}

#[test]
fn what_no_settings_file_has_is_refused() {
    assert_eq!(
        error("a: 1\nb: 2\nA: 3"),
        "f:3: the key \"a\" is given twice, first on line 1; keep one of them"
    );
    assert!(error("a: 1\n---\nb: 2").starts_with("f:2: a second document starts here"));
    assert!(error("? [a]\n: 1").contains("a key must be a plain text"));
    assert!(error("a: [1").starts_with("f:"));
    assert!(error("a:\n\t- b").starts_with("f:2: not valid YAML"));
    assert!(error(&format!("{}1{}", "[".repeat(70), "]".repeat(70))).contains("nested deeper"));
    // Beyond 255 brackets the parser itself gives up.
    assert!(error(&"[".repeat(100_000)).contains("recursion limit exceeded"));
    assert!(error(&"- ".repeat(100_000)).contains("nested deeper"));
    assert!(error(&"{a: ".repeat(1000)).contains("recursion limit exceeded"));
    assert!(error(&format!("a: [{}]", "1,".repeat(70_000))).contains("more than 65536 values"));
    assert!(error(&"#".repeat(crate::MAX_SIZE + 1)).contains("bigger than 1024 KiB"));
    assert_eq!(json(""), "{}");
    assert_eq!(json("# nothing\n"), "{}");
    assert_eq!(json("---\na: 1\n...\n"), r#"{"a":1}"#);
    let root = super::try_load("").map(|_| ()).and(crate::Loader::new().text("f", "- a").load().map(|_| ()));
    assert_eq!(
        root.unwrap_err().to_string(),
        "f:1: expected keys with values, such as `version: \"3\"`, got a list"
    );
}

#[test]
fn json_is_yaml() {
    let text = "{\n\t\"a\": [1, -2.5e3, \"\\u00e9\\n\\/\", null, true],\n\t\"b\": {\"c\": \"$PORT\"}\n}";
    assert_eq!(json(text), r#"{"a":[1,-2500,"é\n/",null,true],"b":{"c":"$PORT"}}"#);
}

#[test]
fn a_real_file_of_the_2_7_time() {
    let text = "
rpc:
  listen: tcp://127.0.0.1:6001
server:
  command: \"php psr-worker.php\"
  env:
    - XDEBUG_SESSION: 1
http:
  address: \"0.0.0.0:8080\"
  static:
    dir: \"../../public\"
    forbid: [\".htaccess\", \".php\"]
  pool:
    num_workers: 1
    debug: true
    supervisor: {watch_tick: 1s, ttl: 0, exec_ttl: 60s}
reload: {interval: 1s}
";
    let config = load(text);
    assert_eq!(config.server.env, [("XDEBUG_SESSION".to_owned(), "1".to_owned())]);
    assert!(config.http.unwrap().pool.debug);
}
