//! Forms in `multipart/form-data`, good and bad, byte by byte.

use crate::Case;

fn post(name: &str, content_type: &str, body: &[u8]) -> Case {
    let head = format!(
        "POST /upload.php HTTP/1.1\r\nHost: app.test\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Case::new(name, [head.as_bytes(), body].concat())
}

/// Parts of a form with the boundary `edge`: everything after the line of the boundary.
fn form(name: &str, parts: &[&str]) -> Case {
    let body: String = parts.iter().map(|part| format!("--edge\r\n{part}\r\n")).collect();
    post(name, "multipart/form-data; boundary=edge", (body + "--edge--\r\n").as_bytes())
}

/// A part with this `Content-Disposition` behind `form-data; `.
fn part(disposition: &str, content: &str) -> String {
    format!("Content-Disposition: form-data; {disposition}\r\n\r\n{content}")
}

fn one(name: &str, disposition: &str) -> Case {
    form(name, &[&part(disposition, "content"), &part("name=\"after\"", "1")])
}

fn head(name: &str, lines: &str) -> Case {
    form(name, &[&format!("{lines}\r\n\r\ncontent"), &part("name=\"after\"", "1")])
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    arrays(&mut cases);
    names(&mut cases);
    heads(&mut cases);
    boundaries(&mut cases);
    bodies(&mut cases);
    cases
}

/// `$_FILES` of fields with brackets.
fn arrays(cases: &mut Vec<Case>) {
    let file = |name: &str| part(&format!("name=\"{name}\"; filename=\"{name}.txt\""), "content");
    for (title, fields) in [
        ("array", &["f[]", "f[]"][..]),
        ("array with keys", &["f[a]", "f[b]"]),
        ("array of arrays", &["f[a][b]", "f[a][c]", "f[d][]"]),
        ("array and scalar", &["f", "f[]"]),
        ("scalar and array", &["f[]", "f"]),
        ("twice", &["f", "f"]),
        ("unclosed bracket", &["f[a"]),
        ("unopened bracket", &["fa]"]),
        ("text after the bracket", &["f[a]b"]),
        ("bracket first", &["[a]"]),
        ("empty brackets in the middle", &["f[][a]", "f[][b]"]),
        ("brackets within brackets", &["f[[a]]"]),
        ("two closing brackets", &["f[a]]"]),
        ("two opening brackets", &["f[[a]"]),
        ("dots and spaces", &["f.g", "h i", "j[k.l]"]),
        ("very deep", &["f[1][2][3][4][5][6][7][8][9]"]),
        ("a key of PHP's own", &["f[name]", "f[tmp_name]", "f[size]"]),
        ("quotes in keys", &["f['a']"]),
        ("a number", &["0", "1[0]"]),
        ("named like a superglobal", &["GLOBALS", "_FILES", "this"]),
    ] {
        let parts: Vec<_> = fields.iter().map(|field| file(field)).collect();
        cases.push(form(title, &parts.iter().map(String::as_str).collect::<Vec<_>>()));
        let parts: Vec<_> = fields.iter().map(|field| part(&format!("name=\"{field}\""), "v")).collect();
        cases.push(form(&format!("{title}, fields"), &parts.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    for depth in [63, 64, 65, 90] {
        let name = format!("f{}", "[x]".repeat(depth));
        let parts = [file(&name), part(&format!("name=\"{name}\""), "v"), part("name=\"after\"", "1")];
        cases.push(form(&format!("{depth} deep"), &parts.each_ref().map(String::as_str)));
    }
}

/// `name` and `filename` in all their forms.
fn names(cases: &mut Vec<Case>) {
    for (title, disposition) in [
        ("plain", r#"name="f"; filename="a.txt""#),
        ("anonymous", r#"filename="a.txt""#),
        ("no name", ""),
        ("empty name", r#"name="""#),
        ("empty name of a file", r#"name=""; filename="a.txt""#),
        ("empty file name", r#"name="f"; filename="""#),
        ("unquoted", "name=f; filename=a.txt"),
        ("unquoted with a space", "name=f g; filename=a b.txt"),
        ("single quotes", "name='f'; filename='a.txt'"),
        ("unclosed quote", r#"name="f; filename="a.txt""#),
        ("unclosed quote of a file", r#"name="f"; filename="a.txt"#),
        ("escaped quote", r#"name="f"; filename="a\"b.txt""#),
        ("escaped backslash", r#"name="f"; filename="a\\b.txt""#),
        ("a backslash at the end", r#"name="f"; filename="a.txt\""#),
        ("a path", r#"name="f"; filename="dir/sub/a.txt""#),
        ("a path of Windows", r#"name="f"; filename="C:\dir\a.txt""#),
        ("a path upwards", r#"name="f"; filename="../../../a.txt""#),
        ("an absolute path", r#"name="f"; filename="/etc/a.txt""#),
        ("both slashes", r#"name="f"; filename="a/b\c.txt""#),
        ("a folder only", r#"name="f"; filename="dir/""#),
        ("dots only", r#"name="f"; filename="..""#),
        ("a semicolon", r#"name="f"; filename="a;b.txt""#),
        ("an equals sign", r#"name="f"; filename="a=b.txt""#),
        ("percent", r#"name="f%20g"; filename="a%20b%00.txt""#),
        ("letters of UTF-8", "name=\"f\u{e4}\"; filename=\"\u{fc}ber \u{1F600}.txt\""),
        ("extended name", "name=\"f\"; filename*=UTF-8''%C3%A4.txt"),
        ("both names", "name=\"f\"; filename=\"a.txt\"; filename*=UTF-8''b.txt"),
        ("extended name first", "name=\"f\"; filename*=UTF-8''b.txt; filename=\"a.txt\""),
        ("file name first", r#"filename="a.txt"; name="f""#),
        ("two names", r#"name="f"; name="g"; filename="a.txt""#),
        ("two file names", r#"name="f"; filename="a.txt"; filename="b.txt""#),
        ("in capitals", r#"NAME="f"; FILENAME="a.txt""#),
        ("spaces", r#"  name = "f" ;  filename = "a.txt"  "#),
        ("no spaces", r#"name="f";filename="a.txt""#),
        ("further parameters", r#"x="1"; name="f"; size=3; filename="a.txt"; y"#),
        ("a comma", r#"name="f", filename="a.txt""#),
        ("a NUL", "name=\"f\0g\"; filename=\"a\0b.txt\""),
        ("a tab", "name=\"f\"\t;\tfilename=\"a.txt\""),
        ("markup", r#"name="f"; filename="<b>&amp;.php""#),
        ("spaces in a name", r#"name=" f "; filename=" a.txt ""#),
        ("a trailing semicolon", r#"name="f"; filename="a.txt";"#),
        ("no value", "name; filename"),
    ] {
        cases.push(one(title, disposition));
    }
    cases.push(one(
        "a long name",
        &format!("name=\"{}\"; filename=\"{}\"", "n".repeat(5000), "f".repeat(5000)),
    ));
}

/// Head lines of parts.
fn heads(cases: &mut Vec<Case>) {
    let given = r#"Content-Disposition: form-data; name="f"; filename="a.txt""#;
    for (title, lines) in [
        ("a type", format!("{given}\r\nContent-Type: text/plain")),
        ("a type with parameters", format!("{given}\r\nContent-Type: text/plain; charset=x")),
        ("a type of garbage", format!("{given}\r\nContent-Type: <garbage>; ;;=\u{1}")),
        ("a type without a value", format!("{given}\r\nContent-Type:")),
        ("a type first", format!("Content-Type: image/png\r\n{given}")),
        ("two types", format!("{given}\r\nContent-Type: a/b\r\nContent-Type: c/d")),
        ("small letters", given.to_lowercase()),
        ("capitals", given.to_uppercase()),
        ("a folded line", given.replace("; filename", ";\r\n filename")),
        ("a folded line with a tab", given.replace("; filename", ";\r\n\tfilename")),
        ("folded within a value", given.replace("a.txt", "a\r\n b.txt")),
        ("folded first", format!(" folded\r\n{given}")),
        ("a line without a colon", format!("no colon\r\n{given}")),
        ("a line without a colon after it", format!("{given}\r\nno colon")),
        ("an empty name", format!(": value\r\n{given}")),
        ("many lines", format!("{}{given}", "X-Filler: 1\r\n".repeat(200))),
        ("a long line", format!("X-Long: {}\r\n{given}", "l".repeat(9000))),
        ("a coding", format!("{given}\r\nContent-Transfer-Encoding: base64")),
        ("a length", format!("{given}\r\nContent-Length: 3")),
        ("no disposition", "X-Other: 1".to_owned()),
        ("no head", String::new()),
        ("an attachment", given.replace("form-data", "attachment")),
        ("no kind of disposition", given.replace("form-data; ", "")),
        ("two dispositions", format!("{given}\r\n{}", given.replace("\"f\"", "\"g\""))),
        ("bare line feeds", given.replace("; filename", ";\n filename")),
        ("a space before the colon", given.replace("Disposition:", "Disposition :")),
        ("garbage bytes", format!("\u{1}\u{2}: \u{7f}\r\n{given}")),
    ] {
        cases.push(head(title, &lines));
    }
}

/// The boundary in the head and in the body.
fn boundaries(cases: &mut Vec<Case>) {
    let with = |boundary: &str| {
        format!(
            "--{boundary}\r\n{}\r\n--{boundary}\r\n{}\r\n--{boundary}--\r\n",
            part("name=\"f\"; filename=\"a.txt\"", "content"),
            part("name=\"after\"", "1")
        )
        .into_bytes()
    };
    for (title, content_type, boundary) in [
        ("quoted", "multipart/form-data; boundary=\"edge\"", "edge"),
        ("quoted with a space", "multipart/form-data; boundary=\"ed ge\"", "ed ge"),
        ("quoted with a semicolon", "multipart/form-data; boundary=\"ed;ge\"", "ed;ge"),
        ("unclosed quote", "multipart/form-data; boundary=\"edge", "edge"),
        ("an empty quote", "multipart/form-data; boundary=\"\"", ""),
        ("with a parameter after it", "multipart/form-data; boundary=edge; charset=utf-8", "edge"),
        ("with a comma after it", "multipart/form-data; boundary=edge, charset=utf-8", "edge"),
        ("with a parameter before it", "multipart/form-data; charset=utf-8; boundary=edge", "edge"),
        ("in capitals", "Multipart/Form-Data; BOUNDARY=edge", "edge"),
        ("with a space around", "multipart/form-data ; boundary = edge", "edge"),
        ("without a space", "multipart/form-data;boundary=edge", "edge"),
        ("with a comma first", "multipart/form-data, boundary=edge", "edge"),
        ("missing", "multipart/form-data", "edge"),
        ("missing with a semicolon", "multipart/form-data;", "edge"),
        ("empty", "multipart/form-data; boundary=", ""),
        ("another one", "multipart/form-data; boundary=other", "edge"),
        ("a part of it", "multipart/form-data; boundary=edg", "edge"),
        ("twice", "multipart/form-data; boundary=edge; boundary=other", "edge"),
        ("odd characters", "multipart/form-data; boundary='()+_,-./:=?", "'()+_,-./:=?"),
        ("hyphens", "multipart/form-data; boundary=------edge", "------edge"),
        ("mixed", "multipart/mixed; boundary=edge", "edge"),
        ("longer type", "multipart/form-dataX; boundary=edge", "edge"),
        ("in another word", "multipart/form-data; xboundary=edge", "edge"),
        ("percent", "multipart/form-data; boundary=%41", "%41"),
    ] {
        cases.push(post(&format!("boundary {title}"), content_type, &with(boundary)));
    }
    let long = "b".repeat(5000);
    cases.push(post("boundary of 5000", &format!("multipart/form-data; boundary={long}"), &with(&long)));
    let middling = "b".repeat(200);
    cases.push(post(
        "boundary of 200",
        &format!("multipart/form-data; boundary={middling}"),
        &with(&middling),
    ));
}

/// Bodies that are cut off, empty, or have the boundary inside of a value.
fn bodies(cases: &mut Vec<Case>) {
    let kind = "multipart/form-data; boundary=edge";
    let file = part("name=\"f\"; filename=\"a.txt\"", "content");
    for (title, body) in [
        ("nothing", String::new()),
        ("the end only", "--edge--\r\n".to_owned()),
        ("a boundary only", "--edge\r\n".to_owned()),
        ("no boundary", "just text\r\n".to_owned()),
        ("no end", format!("--edge\r\n{file}\r\n")),
        ("cut in the content", format!("--edge\r\n{file}")),
        ("cut in the head", "--edge\r\nContent-Disposition: form-data; name=\"f\"; file".to_owned()),
        (
            "cut after the head",
            "--edge\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\n".to_owned(),
        ),
        ("cut in a field", "--edge\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\nvalue".to_owned()),
        ("cut in the boundary", format!("--edge\r\n{file}\r\n--ed")),
        ("no line end after the end", format!("--edge\r\n{file}\r\n--edge--")),
        ("text in front", format!("preamble\r\n--edge\r\n{file}\r\n--edge--\r\n")),
        ("text behind", format!("--edge\r\n{file}\r\n--edge--\r\nepilogue --edge\r\n")),
        (
            "a part behind the end",
            format!("--edge\r\n{file}\r\n--edge--\r\n--edge\r\n{}\r\n--edge--\r\n", part("name=\"g\"", "1")),
        ),
        ("an empty line in front", format!("\r\n--edge\r\n{file}\r\n--edge--\r\n")),
        (
            "spaces after the boundary",
            format!("--edge  \r\n{file}\r\n--edge  \r\n{}\r\n--edge--\r\n", part("name=\"g\"", "1")),
        ),
        ("bare line feeds", format!("--edge\r\n{file}\r\n--edge--\r\n").replace("\r\n", "\n")),
        (
            "an empty file",
            format!("--edge\r\n{}\r\n--edge--\r\n", part("name=\"f\"; filename=\"a.txt\"", "")),
        ),
        ("an empty field", format!("--edge\r\n{}\r\n--edge--\r\n", part("name=\"f\"", ""))),
        (
            "no line between head and boundary",
            "--edge\r\nContent-Disposition: form-data; name=\"f\"\r\n--edge--\r\n".to_owned(),
        ),
        (
            "the boundary in the content",
            format!(
                "--edge\r\n{}\r\n--edge--\r\n",
                part("name=\"f\"; filename=\"a.txt\"", "a --edge b\r\n--edg\r\n-edge\r\n--edgeX")
            ),
        ),
        (
            "the boundary in a field",
            format!("--edge\r\n{}\r\n--edge--\r\n", part("name=\"f\"", "a --edge b\r\n--edg")),
        ),
        (
            "line ends at the end",
            format!("--edge\r\n{}\r\n--edge--\r\n", part("name=\"f\"; filename=\"a.txt\"", "a\r\n\r\n")),
        ),
        ("a field of line ends", format!("--edge\r\n{}\r\n--edge--\r\n", part("name=\"f\"", "\r\n\r\n\n\r"))),
        ("MAX_FILE_SIZE", form_of(&[("MAX_FILE_SIZE", "3")], &file)),
        ("MAX_FILE_SIZE at the size", form_of(&[("MAX_FILE_SIZE", "7")], &file)),
        ("MAX_FILE_SIZE of 0", form_of(&[("MAX_FILE_SIZE", "0")], &file)),
        ("MAX_FILE_SIZE of garbage", form_of(&[("MAX_FILE_SIZE", "a1")], &file)),
        ("MAX_FILE_SIZE below 0", form_of(&[("MAX_FILE_SIZE", "-1")], &file)),
        ("MAX_FILE_SIZE in small letters", form_of(&[("max_file_size", "3")], &file)),
        ("MAX_FILE_SIZE twice", form_of(&[("MAX_FILE_SIZE", "3"), ("MAX_FILE_SIZE", "100")], &file)),
        (
            "MAX_FILE_SIZE behind the file",
            format!("--edge\r\n{file}\r\n{}", form_of(&[("MAX_FILE_SIZE", "3")], &file)),
        ),
    ] {
        cases.push(post(&format!("body: {title}"), kind, body.as_bytes()));
    }
    let binary: Vec<u8> = (0..=255u8).cycle().take(70_000).collect();
    let head = b"--edge\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\n\r\n";
    cases.push(post("body: binary", kind, &[head, &binary[..], b"\r\n--edge--\r\n"].concat()));
    let head = b"--edge\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n";
    cases.push(post("body: binary field", kind, &[head, &binary[..], b"\r\n--edge--\r\n"].concat()));
    // Where PHP's buffer of 5 KiB ends.
    for size in [5119, 5120, 5121, 10_240, 65_535, 65_536] {
        let content = "y".repeat(size);
        let body = form_of(&[("g", "1")], &part("name=\"f\"; filename=\"a.txt\"", &content));
        cases.push(post(&format!("body: a file of {size}"), kind, body.as_bytes()));
        let body = form_of(&[("g", &content)], &file);
        cases.push(post(&format!("body: a field of {size}"), kind, body.as_bytes()));
    }
}

fn form_of(fields: &[(&str, &str)], last: &str) -> String {
    let fields: String = fields
        .iter()
        .map(|(name, value)| format!("--edge\r\n{}\r\n", part(&format!("name=\"{name}\""), value)))
        .collect();
    format!("{fields}--edge\r\n{last}\r\n--edge--\r\n")
}
