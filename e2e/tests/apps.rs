//! Apps as Debian packages them, unmodified: under this server in classic mode and under php-fpm behind nginx, with data
//! of their own on each side. Both are led through the same pages, which must be the same.

use e2e::compare::{Browser, Mask, Rules, between, differences, mask, report};
use e2e::{Fpm, Options, Response, Server, php};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// One app twice.
struct Both {
    ours: Server,
    theirs: Fpm,
    here: Browser,
    there: Browser,
    masks: Vec<Mask>,
}

/// The folder of a side.
struct Side {
    dir: PathBuf,
    /// PHP settings.
    ini: Vec<String>,
}

impl Side {
    fn new(base: &TempDir, name: &str) -> Self {
        let dir = base.path().join(name);
        fs::create_dir_all(dir.join("sessions")).expect("a folder");
        let ini = vec![
            format!("session.save_path={}", dir.join("sessions").display()),
            "date.timezone=UTC".to_owned(),
            "expose_php=0".to_owned(),
            "display_errors=0".to_owned(),
        ];
        Self { dir, ini }
    }

    /// Code that runs in front of each script, as `auto_prepend_file`.
    fn prepend(&mut self, code: &str) {
        let path = self.dir.join("prepend.php");
        fs::write(&path, format!("<?php {code}")).expect("a file");
        self.ini.push(format!("auto_prepend_file={}", path.display()));
    }
}

impl Both {
    fn start(root: &Path, ours: &Side, theirs: &Side, masks: &[Mask]) -> Self {
        assert!(root.is_dir(), "{} is missing; run scripts/setup --test", root.display());
        let source = "<?php RoadRunner\\Server::create(['http' => ['pool' => ['num_workers' => 2], 'app' => ['symlinks' => true]]])
            ->files(getenv('HTTP_ADDRESS'), getenv('DOCROOT'), 'classic')->run();";
        let mut options = Options::source(source).env("DOCROOT", root);
        for setting in &ours.ini {
            options = options.ini(setting);
        }
        let ours = options.start();
        let ini: Vec<&str> = theirs.ini.iter().map(String::as_str).collect();
        let theirs = Fpm::start(root, &ini);
        let (here, there) = (Browser::new(ours.addr()), Browser::new(theirs.addr()));
        Self { ours, theirs, here, there, masks: masks.to_vec() }
    }

    /// Does the same on both sides; what comes back must be the same. Gives the answer of this server.
    #[track_caller]
    fn same(&mut self, what: &str, mut act: impl FnMut(&mut Browser) -> Response) -> Response {
        let (ours, theirs) = (act(&mut self.here), act(&mut self.there));
        let rules = Rules {
            masks: &self.masks,
            cookies: true,
            headers: &["etag", "last-modified", "expires", "x-request-id"],
            body: false,
        };
        let found = differences(&ours, &theirs, &rules);
        assert!(found.is_empty(), "{what}:\n{found}\n--- log ---\n{}", self.ours.logs.text());
        ours
    }

    /// A file, whose type the two servers have different lists for.
    #[track_caller]
    fn file(&mut self, target: &str) -> Response {
        let (ours, theirs) = (self.here.get(target), self.there.get(target));
        let rules = Rules { headers: &["etag", "content-type"], ..Rules::default() };
        let found = differences(&ours, &theirs, &rules);
        assert!(found.is_empty(), "{target}:\n{found}");
        assert_eq!(ours.status, 200, "{target}");
        ours
    }

    /// The same with a page whose status must be this.
    #[track_caller]
    fn get(&mut self, status: u16, target: &str) -> Response {
        let answer = self.same(target, |browser| browser.get(target));
        let start: String = answer.text().chars().take(1000).collect();
        assert_eq!(answer.status, status, "{target}: {start}");
        answer
    }

    fn stop(self) {
        self.ours.stop();
        self.theirs.stop();
    }
}

/// A value of a form of the page.
#[track_caller]
fn field(page: &Response, name: &str) -> String {
    let text = page.text();
    let inputs = text.split("<input").skip(1).filter_map(|rest| rest.split('>').next());
    let mut found = inputs.filter(|input| input.contains(&format!("name=\"{name}\"")));
    let input = found.next().unwrap_or_else(|| panic!("no field {name} in {text}"));
    between(input, "value=\"", "\"").unwrap_or_default().to_owned()
}

/// The folders of DokuWiki's data.
const DATA: [&str; 11] =
    ["attic", "cache", "index", "locks", "log", "media", "media_attic", "media_meta", "meta", "pages", "tmp"];

/// A hash of a password as PHP makes it.
fn hash(password: &str) -> String {
    let code = format!("echo password_hash('{password}', PASSWORD_BCRYPT);");
    let output = Command::new(php()).args(["-r", &code]).output().expect("php runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn dokuwiki_is_read_and_written() {
    let base = TempDir::with_prefix("rr-dokuwiki-").expect("a temporary directory");
    let (mut ours, mut theirs) = (Side::new(&base, "ours"), Side::new(&base, "theirs"));
    let password = hash("secret");
    for side in [&mut ours, &mut theirs] {
        let conf = side.dir.join("conf");
        fs::create_dir(&conf).expect("a folder");
        for name in DATA {
            fs::create_dir_all(side.dir.join("data").join(name)).expect("a folder");
        }
        let data = side.dir.join("data");
        let local = format!(
            "<?php $conf['title'] = 'Test'; $conf['useacl'] = 1; $conf['superuser'] = '@admin'; $conf['securecookie'] = 0;
             $conf['baseurl'] = 'http://app.test'; $conf['savedir'] = '{}'; $conf['disableactions'] = 'register';
             $conf['license'] = ''; $conf['updatecheck'] = 0;",
            data.display()
        );
        fs::write(conf.join("local.php"), local).expect("a file");
        fs::write(conf.join("acl.auth.php"), "* @ALL 1\n* @user 8\n").expect("a file");
        let user = format!("admin:{password}:Admin:admin@example.org:admin,user\n");
        fs::write(conf.join("users.auth.php"), user).expect("a file");
        for name in ["plugins.local.php", "plugins.protected.php"] {
            fs::write(conf.join(name), "<?php $plugins['testing'] = 0;\n").expect("a file");
        }
        fs::write(data.join("pages/welcome.txt"), "====== Welcome ======\n\nA //page// with a [[start]].\n")
            .expect("a file");
        side.prepend(&format!("define('DOKU_CONF', '{}/');", conf.display()));
    }
    let masks = [
        mask("name=\"sectok\" value=\"", "\""),
        mask("sectok=", "\""),
        mask(";tok=", "&"),
        mask("<span class=\"info\">(", ")</span>"),
        mask("name=\"date\" value=\"", "\""),
        mask("name=\"changecheck\" value=\"", "\""),
        mask("taskrunner.php?id=", "\""),
        mask("tseed=", "\""),
        mask("Last modified: ", "</"),
        mask("<span class=\"date\">", "</"),
        mask("rev=", "\""),
        mask("name=\"rev2[]\" type=\"checkbox\" value=\"", "\""),
    ];
    let mut both = Both::start(Path::new("/usr/share/dokuwiki"), &ours, &theirs, &masks);
    for (status, target) in [
        (302, "/"),
        (200, "/doku.php?id=welcome"),
        (200, "/doku.php?id=no:such:page"),
        (200, "/doku.php/welcome"),
        (200, "/doku.php?id=welcome&do=export_xhtml"),
        (200, "/doku.php?id=welcome&do=export_raw"),
        (200, "/doku.php?do=recent"),
        (200, "/doku.php?do=index"),
        (200, "/doku.php?id=welcome&do=media"),
        (200, "/lib/exe/css.php?t=dokuwiki"),
        (200, "/lib/exe/js.php?t=dokuwiki"),
        (200, "/lib/exe/opensearch.php"),
        (200, "/lib/exe/taskrunner.php?id=welcome"),
    ] {
        let answer = both.get(status, target);
        assert!(!answer.body.is_empty() || status == 302, "{target}");
    }
    let wrong = both.same("a wrong password", |browser| {
        browser.post(
            "/doku.php?id=start&do=login",
            &[("u", "admin"), ("p", "wrong"), ("do", "login"), ("id", "start")],
        )
    });
    assert!(wrong.text().contains("username or password was wrong"), "{}", wrong.text());
    both.same("a login", |browser| {
        let form = browser.get("/doku.php?id=start&do=login");
        let token = field(&form, "sectok");
        browser.post(
            "/doku.php?id=start&do=login",
            &[("u", "admin"), ("p", "secret"), ("do", "login"), ("id", "start"), ("sectok", &token)],
        )
    });
    assert!(both.get(200, "/doku.php?id=start").text().contains("Logged in as"), "logged in");
    let saved = both.same("a page is saved", |browser| {
        let form = browser.get("/doku.php?id=made&do=edit");
        let token = field(&form, "sectok");
        browser.post(
            "/doku.php?id=made",
            &[
                ("sectok", &token),
                ("id", "made"),
                ("rev", "0"),
                ("date", &field(&form, "date")),
                ("prefix", "."),
                ("suffix", ""),
                ("changecheck", &field(&form, "changecheck")),
                ("target", "section"),
                ("wikitext", "====== Made ======\n\nWritten by a **test** & \u{fc}ber.\n"),
                ("summary", "created"),
                ("do[save]", "Save"),
            ],
        )
    });
    assert_eq!(saved.status, 302, "{}", saved.text());
    let made = both.get(200, "/doku.php?id=made").text();
    assert!(made.contains("Written by a <strong>test</strong> &amp; \u{fc}ber."), "{made}");
    both.get(200, "/doku.php?id=made&do=edit");
    both.get(200, "/doku.php?id=made&do=revisions");
    let preview = both.same("a preview", |browser| {
        let form = browser.get("/doku.php?id=made&do=edit");
        browser.post(
            "/doku.php?id=made",
            &[
                ("sectok", &field(&form, "sectok")),
                ("id", "made"),
                ("wikitext", "''mono''"),
                ("do[preview]", "Preview"),
            ],
        )
    });
    assert!(preview.text().contains("<code>mono</code>"), "{}", preview.text());
    // A picture goes up and comes down again.
    let picture = fs::read("/usr/share/dokuwiki/lib/tpl/dokuwiki/images/logo.png").expect("a picture");
    let uploaded = both.same("an upload", |browser| {
        let form = browser.get("/lib/exe/mediamanager.php?ns=");
        let mut body = Vec::new();
        for (name, value) in [("sectok", &*field(&form, "sectok")), ("ns", ""), ("mediaid", "picture.png")] {
            let part = format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        body.extend_from_slice(
            b"--edge\r\nContent-Disposition: form-data; name=\"upload\"; filename=\"p.png\"\r\nContent-Type: image/png\r\n\r\n",
        );
        body.extend_from_slice(&picture);
        body.extend_from_slice(b"\r\n--edge--\r\n");
        let kind = "Content-Type: multipart/form-data; boundary=edge\r\n";
        browser.send("POST", "/lib/exe/mediamanager.php?ns=&do=upload", kind, &body)
    });
    assert!(uploaded.text().contains("Upload successful"), "{}", uploaded.text());
    assert!(both.get(200, "/lib/exe/fetch.php?media=picture.png").body == picture, "the picture is whole");
    let part = both.same("a range", |browser| {
        browser.send("GET", "/lib/exe/fetch.php?media=picture.png", "Range: bytes=10-19\r\n", b"")
    });
    assert_eq!((part.status, &part.body[..]), (206, &picture[10..20]));
    let found = both
        .same("a search", |browser| browser.post("/lib/exe/ajax.php", &[("call", "medialist"), ("ns", "")]));
    assert!(found.text().contains("picture.png"), "{}", found.text());
    both.get(200, "/doku.php?do=admin");
    both.stop();
}

#[test]
fn dokuwiki_is_installed() {
    let base = TempDir::with_prefix("rr-dokuwiki-").expect("a temporary directory");
    let (mut ours, mut theirs) = (Side::new(&base, "ours"), Side::new(&base, "theirs"));
    let root = Path::new("/usr/share/dokuwiki");
    for side in [&mut ours, &mut theirs] {
        // Its code, and what the installer writes to.
        let place = side.dir.join("wiki");
        for name in DATA {
            fs::create_dir_all(place.join("data").join(name)).expect("a folder");
        }
        fs::create_dir(place.join("conf")).expect("a folder");
        fs::copy("/etc/dokuwiki/license.php", place.join("conf/license.php")).expect("a file");
        for name in ["inc", "lib", "vendor", "VERSION"] {
            symlink(root.join(name), place.join(name)).expect("a link");
        }
        let (wiki, conf) = (place.display(), place.join("conf"));
        let conf = conf.display();
        // The cookie's name has the port in it.
        side.prepend(&format!(
            "define('DOKU_INC', '{wiki}/'); define('DOKU_CONF', '{conf}/'); define('DOKU_LOCAL', '{conf}/');
             define('DOKU_COOKIE', 'DW');"
        ));
    }
    let masks = [
        mask("name=\"sectok\" value=\"", "\""),
        mask("sectok=", "\""),
        mask(";tok=", "&"),
        mask("taskrunner.php?id=", "\""),
        mask("tseed=", "\""),
        mask("Last modified: ", "</"),
    ];
    let mut both = Both::start(root, &ours, &theirs, &masks);
    assert!(both.get(200, "/install.php").text().contains("DokuWiki Installer"));
    let fields = |confirm: &'static str| {
        [
            ("l", "en"),
            ("d[title]", "Installed"),
            ("d[acl]", "on"),
            ("d[superuser]", "admin"),
            ("d[fullname]", "The Admin"),
            ("d[email]", "admin@example.org"),
            ("d[password]", "secret"),
            ("d[confirm]", confirm),
            ("d[policy]", "1"),
            ("d[license]", "0"),
            ("submit", "Save"),
        ]
    };
    let wrong = both.same("another password", |browser| browser.post("/install.php", &fields("other")));
    assert!(wrong.text().contains("Password"), "{}", wrong.text());
    let done = both.same("the installation", |browser| browser.post("/install.php", &fields("secret")));
    assert!(done.text().contains("successfully"), "{}", done.text());
    assert!(both.get(200, "/doku.php?id=start").text().contains("Installed"));
    both.same("a login", |browser| {
        let form = browser.get("/doku.php?id=start&do=login");
        let token = field(&form, "sectok");
        let fields = [("u", "admin"), ("p", "secret"), ("do", "login"), ("id", "start"), ("sectok", &token)];
        browser.post("/doku.php?id=start&do=login", &fields)
    });
    assert!(both.get(200, "/doku.php?id=start").text().contains("The Admin"), "logged in");
    both.stop();
}

#[test]
fn mediawiki_is_read_and_written() {
    let base = TempDir::with_prefix("rr-mediawiki-").expect("a temporary directory");
    let (mut ours, mut theirs) = (Side::new(&base, "ours"), Side::new(&base, "theirs"));
    let root = Path::new("/usr/share/mediawiki");
    let install = Command::new(php())
        .arg(root.join("maintenance/install.php"))
        .args(["--dbtype=sqlite", "--dbname=wiki", "--scriptpath=", "--server=http://app.test", "--lang=en"])
        .args(["--pass=a-long-secret-1", "--skins=Vector"])
        .arg(format!("--dbpath={}", ours.dir.join("db").display()))
        .arg(format!("--confpath={}", ours.dir.display()))
        .args(["Test", "Admin"])
        .current_dir(&ours.dir)
        .stdin(Stdio::null())
        .output()
        .expect("php runs");
    let settings = fs::read_to_string(ours.dir.join("LocalSettings.php")).unwrap_or_else(|error| {
        panic!(
            "{error}\n{}{}",
            String::from_utf8_lossy(&install.stdout),
            String::from_utf8_lossy(&install.stderr)
        )
    });
    copy(&ours.dir.join("db"), &theirs.dir.join("db"));
    for side in [&mut ours, &mut theirs] {
        let own = settings
            .replace(&base.path().join("ours").display().to_string(), &side.dir.display().to_string());
        let more = format!(
            "\n$wgCacheDirectory = '{}/cache'; $wgMainCacheType = CACHE_NONE; $wgJobRunRate = 0; $wgShowHostnames = false;\n",
            side.dir.display()
        );
        fs::create_dir(side.dir.join("cache")).expect("a folder");
        fs::write(side.dir.join("LocalSettings.php"), own + &more).expect("a file");
        side.prepend(&format!("define('MW_CONFIG_FILE', '{}/LocalSettings.php');", side.dir.display()));
    }
    let masks = [
        mask("\"wgRequestId\":\"", "\""),
        mask("\"wgBackendResponseTime\":", "}"),
        mask("mw.user.tokens\",", ")"),
        mask("\"patrolToken\":\"", "\""),
        mask("\"watchToken\":\"", "\""),
        mask("\"csrfToken\":\"", "\""),
        mask("csrftoken\":\"", "\""),
        mask("logintoken\":\"", "\""),
        report("NewPP limit report", "-->"),
        mask("Saved in parser cache", "-->"),
        mask("name=\"wpLoginToken\" type=\"hidden\" value=\"", "\""),
        mask("name=\"wpEditToken\" type=\"hidden\" value=\"", "\""),
        mask("value=\"", "+\\\" name=\"wpEditToken\""),
        // Of the edit form's time stamps.
        mask("value=\"20", "\" name=\"wp"),
        mask("newtimestamp\":\"", "\""),
        mask("\"timestamp\":\"", "\""),
        mask("touched\":\"", "\""),
        mask("last edited on ", "<"),
        mask("mw-changeslist-date\">", "<"),
        report("\"wgPageParseReport\":", ");"),
        mask("time usage</th><td>", " seconds"),
        mask("version=", "\""),
    ];
    let mut both = Both::start(root, &ours, &theirs, &masks);
    let main = both.get(200, "/index.php?title=Main_Page").text();
    assert!(main.contains("MediaWiki has been installed"), "{main}");
    for (status, target) in [
        (301, "/"),
        (200, "/index.php/Main_Page"),
        (404, "/index.php?title=No_such_page"),
        (200, "/index.php?title=Main_Page&action=history"),
        (200, "/index.php?title=Main_Page&action=raw"),
        (200, "/index.php?title=Special:Version&uselang=de"),
        (200, "/index.php?title=Special:AllPages"),
        (200, "/load.php?lang=en&modules=skins.vector.styles.legacy&only=styles&skin=vector"),
        (200, "/load.php?lang=en&modules=startup&only=scripts&raw=1&skin=vector"),
        (200, "/load.php?lang=en&modules=jquery&skin=vector"),
        (200, "/api.php?action=query&meta=siteinfo&siprop=namespaces&format=json"),
        (
            200,
            "/api.php?action=parse&text=%27%27%27b%27%27%27&contentmodel=wikitext&prop=text&format=json&disablelimitreport=1",
        ),
        (200, "/api.php?action=no&format=json"),
        (200, "/api.php"),
        (200, "/rest.php/v1/page/Main_Page/bare"),
        (404, "/rest.php/v1/no/such"),
        (200, "/opensearch_desc.php"),
    ] {
        let answer = both.get(status, target);
        assert!(!answer.body.is_empty() || status == 301, "{target}");
    }
    both.file("/resources/assets/licenses/cc-0.png");
    both.file("/skins/Vector/resources/common/images/arrow-down.svg");
    let token = |browser: &mut Browser, kind: &str| {
        let text = browser.get(&format!("/api.php?action=query&meta=tokens&type={kind}&format=json")).text();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        json["query"]["tokens"][format!("{kind}token")].as_str().unwrap_or_default().to_owned()
    };
    let wrong = both.same("a wrong password", |browser| {
        let token = token(browser, "login");
        let fields = [
            ("action", "login"),
            ("lgname", "Admin"),
            ("lgpassword", "no"),
            ("lgtoken", &token),
            ("format", "json"),
        ];
        browser.post("/api.php", &fields)
    });
    assert!(wrong.text().contains("Failed"), "{}", wrong.text());
    let login = both.same("a login", |browser| {
        let token = token(browser, "login");
        browser.post(
            "/api.php",
            &[
                ("action", "clientlogin"),
                ("username", "Admin"),
                ("password", "a-long-secret-1"),
                ("loginreturnurl", "http://app.test/"),
                ("logintoken", &token),
                ("format", "json"),
            ],
        )
    });
    assert!(login.text().contains("PASS"), "{}", login.text());
    let edit = both.same("an edit", |browser| {
        let token = token(browser, "csrf");
        browser.post(
            "/api.php",
            &[
                ("action", "edit"),
                ("title", "Made"),
                ("text", "Written by a '''test''' & \u{fc}ber.\n== Part =="),
                ("summary", "created"),
                ("token", &token),
                ("format", "json"),
            ],
        )
    });
    assert!(edit.text().contains("Success"), "{}", edit.text());
    let page = both.get(200, "/index.php?title=Made").text();
    assert!(page.contains("Written by a <b>test</b> &amp; \u{fc}ber."), "{page}");
    both.get(200, "/index.php?title=Made&action=edit");
    both.get(200, "/index.php?title=Special:Upload");
    let preview = both.same("a preview", |browser| {
        browser
            .post("/index.php?title=Made&action=submit", &[("wpTextbox1", "''slanted''"), ("wpPreview", "1")])
    });
    assert!(preview.text().contains("<i>slanted</i>"), "{}", preview.text());
    both.stop();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).expect("a file");
        }
    }
}

#[test]
fn phpmyadmin_shows_its_login() {
    let base = TempDir::with_prefix("rr-phpmyadmin-").expect("a temporary directory");
    let (mut ours, mut theirs) = (Side::new(&base, "ours"), Side::new(&base, "theirs"));
    for side in [&mut ours, &mut theirs] {
        // It must not write where Debian's own would.
        side.ini.push(format!(
            "open_basedir=/usr/share:/etc/phpmyadmin:/var/lib/phpmyadmin/blowfish_secret.inc.php:{}",
            base.path().display()
        ));
    }
    let masks = [
        mask("name=\"token\" value=\"", "\""),
        mask("token:\"", "\""),
        mask("name=\"set_session\" value=\"", "\""),
    ];
    let mut both = Both::start(Path::new("/usr/share/phpmyadmin"), &ours, &theirs, &masks);
    let login = both.get(200, "/").text();
    assert!(login.contains("pma_username"), "{login}");
    for name in ["href=\"", "src=\""] {
        let mut count = 0;
        for rest in login.split(name).skip(1) {
            let link = rest.split('"').next().unwrap_or_default().replace("&amp;", "&");
            if link.contains(".css") || link.contains(".js") {
                count += 1;
                let target = format!("/{}", link.trim_start_matches("./").trim_start_matches('/'));
                if link.contains(".php") {
                    both.get(200, &target);
                } else {
                    both.file(&target);
                }
            }
        }
        assert!(count > 0, "no {name} in {login}");
    }
    for (status, target) in [
        (200, "/index.php?route=/&lang=de"),
        (200, "/index.php?route=/messages&l=en"),
        (200, "/url.php?url=https%3A%2F%2Fwww.phpmyadmin.net%2F"),
    ] {
        both.get(status, target);
    }
    for target in ["/favicon.ico", "/robots.txt", "/themes/pmahomme/img/logo_right.png"] {
        both.file(target);
    }
    let refused = both.same("a login without a database", |browser| {
        let form = browser.get("/index.php");
        let fields = [
            ("set_session", &*field(&form, "set_session")),
            ("pma_username", "nobody"),
            ("pma_password", "x"),
            ("server", "1"),
            ("route", "/"),
            ("token", &*field(&form, "token")),
        ];
        browser.post("/index.php?route=/", &fields)
    });
    assert!(refused.text().contains("pma_username"), "{}", refused.text());
    both.stop();
}
