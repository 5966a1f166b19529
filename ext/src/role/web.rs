//! Workers of the web modes: each request is a script, or a call, that sees superglobals and prints its response.

use crate::role::web_plan::Place;
use crate::role::{dev, hooks, leaks, session, vitals, web_unit, web_variables, worker};
use crate::zend::web::{self, Texts};
use crate::zend::{self, Callable, Ending, Outcome};
use ext_php_rs::types::Zval;
use rr_wire::http::RequestView;
use rr_wire::log::Level;
use rr_worker::{Event, Session, Unit};
use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a web worker runs for each request.
pub(crate) enum Served<'a> {
    /// A function.
    Callable(&'a Callable),
    /// The file that the server has chosen, or the front controller.
    File,
}

/// The texts that PHP holds pointers to while a request runs.
#[derive(Debug, Default)]
struct Held {
    /// One after the other, each with its NUL.
    bytes: Vec<u8>,
    method: Range<usize>,
    query: Range<usize>,
    uri: Range<usize>,
    content_type: Option<Range<usize>>,
    cookie: Option<Range<usize>>,
    authorization: Option<Range<usize>>,
    path: Range<usize>,
    root: usize,
}

impl Held {
    /// Adds a text made of `pieces`; `None` if it has a NUL.
    fn add<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Range<usize>> {
        let begin = self.bytes.len();
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        if self.bytes[begin..].contains(&0) {
            return None;
        }
        self.bytes.push(0);
        Some(begin..self.bytes.len())
    }

    fn text(&self, at: &Range<usize>) -> &CStr {
        CStr::from_bytes_with_nul(&self.bytes[at.clone()]).unwrap_or_default()
    }
}

thread_local! {
    static STOPPED: Cell<bool> = const { Cell::new(false) };
    static SERVED: Cell<u64> = const { Cell::new(0) };
    static GREETED: Cell<bool> = const { Cell::new(false) };
    /// What the last request's texts were in.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Serves until told to stop. Returns the exit code.
pub(crate) fn serve(served: &Served<'_>, place: Place, app: &Zval) -> i32 {
    let classic = place.classic;
    match served {
        Served::File => leaks::requests_move(),
        Served::Callable(_) => web::serve_calls(),
    }
    web_variables::settle(place);
    loop {
        let Some(held) = next() else { return 0 };
        let sound = run(held, served, classic, Some(app));
        hooks::flush_output();
        if !sound {
            return 255;
        }
    }
}

/// One turn of `rr_handle_request()`: `None` when the worker should end.
pub(crate) fn handle(callable: &Callable) -> Option<bool> {
    // What the script has printed is not the request's.
    hooks::flush_output();
    // Now that the script has booted the worker is ready.
    if !GREETED.with(|greeted| greeted.replace(true)) && worker::hello().is_err() {
        return None;
    }
    let held = next()?;
    let sound = run(held, &Served::Callable(callable), false, None);
    hooks::flush_output();
    Some(sound)
}

/// Runs a script that calls `rr_handle_request()`. Returns the exit code: a script that ends takes its worker along,
/// because PHP cannot declare its functions a second time.
pub(crate) fn run_script(path: &Path, place: Place) -> i32 {
    web_variables::settle(place);
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return 255 };
    hooks::explained();
    web::script_begins();
    let outcome = web::include(&path);
    if outcome == Outcome::Threw {
        zend::report_exception();
    }
    let code = web::script_ends();
    hooks::flush_output();
    if matches!(outcome, Outcome::Threw | Outcome::Bailed) {
        return 255;
    }
    let stopped = STOPPED.with(Cell::get);
    if !stopped && SERVED.with(Cell::get) == 0 {
        hooks::write(Level::Error, b"the script ended before it handled a request");
        return 255;
    }
    if stopped { 0 } else { code }
}

fn next() -> Option<Held> {
    loop {
        match session::try_with(Session::receive)? {
            Ok(Event::Stop) => {
                STOPPED.with(|stopped| stopped.set(true));
                return None;
            }
            Ok(Event::Unit(unit)) => match accepted(unit) {
                Some(held) => {
                    SERVED.with(|served| served.set(served.get() + 1));
                    return Some(held);
                }
                None => {
                    let text = "the server sent a request that cannot be read";
                    let _ = session::try_with(|session| session.fail(text));
                }
            },
            Err(error) => {
                eprintln!("roadrunner: {error}");
                return None;
            }
        }
    }
}

fn accepted(unit: Unit) -> Option<Held> {
    leaks::begin(&unit);
    accept(unit)
}

/// Prepares the state for a unit.
fn accept(unit: Unit) -> Option<Held> {
    let Unit { payload, context, more, .. } = unit;
    let place = web_variables::place()?;
    let view = RequestView::parse(payload.get(..context)?).ok()?;
    let joined = |held: &mut Held, name: &str, between: &'static [u8]| {
        let values = || view.headers().filter(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value);
        let first = values().next()?;
        held.add([first].into_iter().chain(values().skip(1).flat_map(|value| [between, value])))
    };
    let [method, _, _, target, _, script, _] = view.fields();
    let (_, query) = web_variables::split(target);
    let script = match script {
        b"" => place.script.as_bytes(),
        script => script,
    };
    let root = place.root.as_os_str().as_bytes();
    let mut held = Held { bytes: SPARE.take(), root: root.len(), ..Held::default() };
    held.bytes.clear();
    held.method = held.add([method])?;
    held.query = held.add([query])?;
    held.uri = held.add([target])?;
    held.path = held.add([root, script])?;
    held.content_type = joined(&mut held, "content-type", b",");
    held.cookie = joined(&mut held, "cookie", b"; ");
    held.authorization = joined(&mut held, "authorization", b",");
    let stated = joined(&mut held, "content-length", b",");
    let stated = stated.and_then(|length| held.text(&length).to_str().ok()?.parse().ok());
    let content_length = stated.or((!more && payload.len() > context).then(|| payload.len() - context));
    web_unit::open(payload, context, more, content_length);
    Some(held)
}

fn run(held: Held, served: &Served<'_>, classic: bool, app: Option<&Zval>) -> bool {
    let content_length = web_unit::content_length();
    let texts = Texts {
        method: held.text(&held.method),
        query: held.text(&held.query),
        uri: held.text(&held.uri),
        content_type: held.content_type.as_ref().map(|at| held.text(at)),
        cookie: held.cookie.as_ref().map(|at| held.text(at)),
        authorization: held.authorization.as_ref().map(|at| held.text(at)),
        path: held.text(&held.path),
        content_length: content_length.and_then(|length| i64::try_from(length).ok()).unwrap_or(0),
        root: held.root,
        protocol: web_unit::protocol(),
    };
    let begun = web::begin(&texts);
    let sound = if begun {
        let ended = match served {
            Served::Callable(callable) => {
                let mut arguments: Vec<Zval> = app.map(Zval::shallow_clone).into_iter().collect();
                let (outcome, value) = callable.call(&mut arguments);
                settle(match zend::free(value) && arguments.into_iter().all(zend::free) {
                    true => outcome,
                    false => Outcome::Bailed,
                })
            }
            Served::File if classic => settle(web::execute(texts.path)),
            Served::File => run_files(texts.path),
        };
        if ended != Ended::Broken {
            vitals::tell();
        }
        classic || ended != Ended::Broken
    } else {
        web_unit::failed("the request could not be started");
        false
    };
    let ended = web::end(!sound);
    web_unit::close();
    if !classic {
        leaks::check();
    }
    SPARE.set(held.bytes);
    ended && (sound || classic)
}

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Another may follow.
    Whole,
    /// The request is over.
    Early,
    /// PHP is broken.
    Broken,
}

/// Runs the request's file behind `auto_prepend_file` and before `auto_append_file`, as PHP does.
fn run_files(path: &CStr) -> Ended {
    web::enter(path);
    if let Some(outcome) = web::include_around(false) {
        let ended = settle(outcome);
        if ended != Ended::Whole {
            return ended;
        }
    }
    let ended = settle(web::include(path));
    if ended != Ended::Whole {
        return ended;
    }
    web::include_around(true).map_or(ended, settle)
}

/// Notes how a script ended.
fn settle(outcome: Outcome) -> Ended {
    let error = || web::status(if web::was_ttl() { 504 } else { 500 });
    match outcome {
        Outcome::Returned => Ended::Whole,
        Outcome::Exited => Ended::Early,
        Outcome::Threw => {
            let text = zend::exception_text().unwrap_or_default();
            web_unit::note(dev::exception(), false);
            // With php-fpm a limit of time is an error that no handler can make good.
            let limited = web::was_limit();
            if limited {
                error();
            }
            let ending = if web::was_compiled() { zend::handle_exception() } else { Ending::Pending };
            let handled = match ending {
                Ending::Handled => Some(Ended::Whole),
                Ending::Left => Some(Ended::Early),
                Ending::Pending | Ending::Broken => None,
            };
            if let (Some(ended), false) = (handled, limited) {
                return ended;
            }
            error();
            web_unit::failed(&text);
            match ending {
                Ending::Handled | Ending::Left => Ended::Early,
                Ending::Pending if zend::log_exception() => Ended::Early,
                Ending::Pending | Ending::Broken => Ended::Broken,
            }
        }
        Outcome::Bailed => {
            let text = zend::last_error().unwrap_or_else(|| "a fatal error".to_owned());
            web_unit::note(dev::last_error(), true);
            error();
            web_unit::failed(&text);
            Ended::Broken
        }
    }
}
