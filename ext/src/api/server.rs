//! `RoadRunner\Server`: settings, the app, and `run()`.

use super::exceptions::{self, Cause, of_session};
use crate::role::{self, session};
use crate::zend::embedded::is_a;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendClassObject, Zval};
use rr_config::{Loaded, Loader, Map, Node, Position, Value};
use std::path::PathBuf;

/// The server: settings, the app, and `run()`.
///
/// What stands above `run()` runs in the master too; what belongs to the app goes into `boot()`.
#[php_class]
#[php(name = "RoadRunner\\Server")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Server {
    file: Option<PathBuf>,
    overrides: Vec<String>,
    tree: Node,
    pub(crate) boot: Option<Zval>,
    pub(crate) app: App,
    pub(crate) before_fork: Vec<Zval>,
    pub(crate) on_start: Vec<Zval>,
    pub(crate) on_stop: Vec<Zval>,
    /// What stdout gets once the server serves.
    pub(crate) announce: Option<String>,
}

/// What a worker runs.
#[derive(Default)]
pub(crate) enum App {
    /// Nothing yet.
    #[default]
    None,
    /// `fn (Request, $app): Response`.
    Handler(Zval),
    /// What makes the handler of what `boot()` has returned: a class of `ext/psr/` with `forServer()`.
    Adapted(Adapted),
    /// `fn (Worker, $app): void`.
    Loop(Zval),
    /// `fn ($app): void`, with superglobals.
    Globals(Zval),
    /// A script that calls `rr_handle_request()` in a loop.
    Script(PathBuf),
}

/// A handler of userland's interfaces, and which adapter runs it.
pub(crate) struct Adapted {
    pub(crate) adapter: &'static str,
    pub(crate) handler: Zval,
    pub(crate) factories: Zval,
}

impl Adapted {
    const PSR: &'static str = "RoadRunner\\Psr\\RequestHandler";
    const SYMFONY: &'static str = "RoadRunner\\Psr\\KernelHandler";

    /// An object that says by its interface how it is run.
    fn of(handler: &Zval) -> Option<Self> {
        let adapter = if is_a(handler, "Psr\\Http\\Server\\RequestHandlerInterface") {
            Self::PSR
        } else if is_a(handler, "Symfony\\Component\\HttpKernel\\HttpKernelInterface") {
            Self::SYMFONY
        } else {
            return None;
        };
        Some(Self { adapter, handler: handler.shallow_clone(), factories: Zval::null() })
    }
}

const SOURCE: &str = "Server::create()";

impl Server {
    fn new(file: Option<PathBuf>, overrides: Vec<String>, tree: Node) -> Self {
        Self {
            file,
            overrides,
            tree,
            boot: None,
            app: App::None,
            before_fork: Vec::new(),
            on_start: Vec::new(),
            on_stop: Vec::new(),
            announce: None,
        }
    }

    /// A server of a file, for the command line.
    pub(crate) fn of_file(file: PathBuf, overrides: Vec<String>) -> Self {
        Self::new(Some(file), overrides, Node::empty(Position::new(SOURCE)))
    }

    /// The settings as they are now.
    pub(crate) fn load(&self) -> Result<Loaded, rr_config::ConfigError> {
        let mut loader = Loader::new().tree(self.tree.clone()).overrides(&self.overrides);
        if let Some(file) = &self.file {
            loader = loader.file(file);
        }
        let mut loaded = loader.load()?;
        if let Some(http) = &mut loaded.config.http {
            let web = match self.app {
                App::None => http.app.root.is_some(),
                App::Globals(_) | App::Script(_) => true,
                App::Handler(_) | App::Adapted(_) | App::Loop(_) => false,
            };
            http.raw_body |= web && !reads_forms(&http.app);
        }
        Ok(loaded)
    }

    fn set_path(&mut self, path: &str, value: Value) -> PhpResult<()> {
        let keys: Vec<&str> = path.split('.').collect();
        if keys.iter().any(|key| key.is_empty()) {
            return Err(config_error(format!(
                "Server::set(): \"{path}\" is no path of a setting, such as http.pool.num_workers"
            )));
        }
        self.tree.set(&keys, Node::new(value, Position::new(SOURCE)));
        Ok(())
    }

    fn set_address(&mut self, address: &Zval) -> PhpResult<()> {
        if !address.is_null() {
            let value = node(address, 0)?.value;
            self.set_path("http.address", value)?;
        }
        self.validate()
    }
}

fn config_error(error: impl ToString) -> PhpException {
    exceptions::of(Cause::Config, error.to_string())
}

fn callable(value: &Zval, what: &str) -> PhpResult<Zval> {
    if value.is_callable() {
        Ok(value.shallow_clone())
    } else {
        Err(config_error(format!("{what}: expected a callable")))
    }
}

#[php_impl]
impl Server {
    /// A server with settings from PHP: the keys of `.rr.yaml` as nested arrays.
    ///
    /// @param array<string, mixed> $settings
    /// @throws ConfigException
    pub fn create(settings: Option<&Zval>) -> PhpResult<Self> {
        let tree = match settings {
            Some(settings) if !settings.is_null() => node(settings, 0)?,
            _ => Node::empty(Position::new(SOURCE)),
        };
        let server = Self::new(None, Vec::new(), tree);
        server.validate()?;
        Ok(server)
    }

    /// A server with the settings of a file.
    ///
    /// @param list<string> $overrides `key.path=value` each, as `rr -o`
    /// @throws ConfigException
    #[php(defaults(path = "\".rr.yaml\""))]
    pub fn from_file(path: &str, overrides: Option<Vec<String>>) -> PhpResult<Self> {
        let tree = Node::empty(Position::new(SOURCE));
        let server = Self::new(Some(PathBuf::from(path)), overrides.unwrap_or_default(), tree);
        server.load().map_err(config_error)?;
        Ok(server)
    }

    /// Checks a file without starting anything; returns the warnings.
    ///
    /// @return list<string>
    /// @throws ConfigException
    #[php(defaults(path = "\".rr.yaml\""))]
    pub fn check(path: &str) -> PhpResult<Vec<String>> {
        let loaded = Loader::new().file(PathBuf::from(path).as_path()).load().map_err(config_error)?;
        Ok(loaded.warnings.iter().map(ToString::to_string).collect())
    }

    /// Sets one setting by its path, such as `http.pool.num_workers`.
    ///
    /// @throws ConfigException
    pub fn set<'a>(
        self_: &'a mut ZendClassObject<Server>,
        path: &str,
        value: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Server>> {
        let value = node(value, 0)?.value;
        self_.set_path(path, value)?;
        self_.validate()?;
        Ok(self_)
    }

    /// The app's start. Runs once per release, in a process that workers are forked from; what it returns is the
    /// second argument of the handler.
    pub fn boot<'a>(
        self_: &'a mut ZendClassObject<Server>,
        boot: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Server>> {
        self_.boot = Some(callable(boot, "Server::boot()")?);
        Ok(self_)
    }

    /// Serves HTTP with a handler: `fn (Request $request, mixed $app): Response|string|null`, or an object that is a
    /// `Psr\Http\Server\RequestHandlerInterface` or a `Symfony\Component\HttpKernel\HttpKernelInterface`.
    ///
    /// @param string|list<string>|null $address `127.0.0.1:8080`, `:8080`, `unix:///run/app.sock`; null: from config
    /// @param callable|\Psr\Http\Server\RequestHandlerInterface|\Symfony\Component\HttpKernel\HttpKernelInterface $handler
    /// @throws ConfigException
    pub fn http<'a>(
        self_: &'a mut ZendClassObject<Server>,
        address: &Zval,
        handler: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Server>> {
        self_.set_address(address)?;
        self_.app = match Adapted::of(handler) {
            Some(adapted) => App::Adapted(adapted),
            None => App::Handler(callable(handler, "Server::http()")?),
        };
        Ok(self_)
    }

    /// Serves HTTP with a PSR-15 handler: an object, a function `fn (mixed $app)` that returns one, or null for what
    /// `boot()` has returned. The function runs once per release, after `boot()`.
    ///
    /// @param string|list<string>|null $address
    /// @param \Psr\Http\Server\RequestHandlerInterface|callable|null $handler
    /// @param object|list<object>|null $factories the app's own PSR-17 factories; without them requests are those of
    /// `RoadRunner\Psr`
    /// @throws ConfigException
    pub fn psr<'a>(
        self_: &'a mut ZendClassObject<Server>,
        address: &Zval,
        handler: Option<&Zval>,
        factories: Option<&Zval>,
    ) -> PhpResult<&'a mut ZendClassObject<Server>> {
        let given = |value: Option<&Zval>| value.map_or_else(Zval::null, Zval::shallow_clone);
        let (handler, factories) = (given(handler), given(factories));
        let object = is_a(&handler, "Psr\\Http\\Server\\RequestHandlerInterface");
        if !(handler.is_null() || object || handler.is_callable()) {
            let text = "Server::psr(): the handler is a Psr\\Http\\Server\\RequestHandlerInterface, a function that \
                        returns one, or null";
            return Err(config_error(text));
        }
        if !(factories.is_null() || factories.is_object() || factories.is_array()) {
            return Err(config_error("Server::psr(): the factories are an object or a list of objects"));
        }
        self_.set_address(address)?;
        self_.app = App::Adapted(Adapted { adapter: Adapted::PSR, handler, factories });
        Ok(self_)
    }

    /// Serves HTTP with a loop: `fn (Worker $worker, mixed $app): void`.
    ///
    /// @param string|list<string>|null $address
    /// @throws ConfigException
    #[php(name = "httpLoop")]
    pub fn http_loop<'a>(
        self_: &'a mut ZendClassObject<Server>,
        address: &Zval,
        r#loop: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Server>> {
        self_.set_address(address)?;
        self_.app = App::Loop(callable(r#loop, "Server::httpLoop()")?);
        Ok(self_)
    }

    /// Serves HTTP with a function that finds its request in `$_GET`, `$_POST`, `$_SERVER` and the like and prints
    /// its response: `fn (mixed $app): void`. The worker lives on between requests.
    ///
    /// @param string|list<string>|null $address
    /// @throws ConfigException
    pub fn globals<'a>(
        self_: &'a mut ZendClassObject<Server>,
        address: &Zval,
        handler: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Server>> {
        self_.set_address(address)?;
        self_.app = App::Globals(callable(handler, "Server::globals()")?);
        Ok(self_)
    }

    /// Serves HTTP with a function as `globals()` does, in a fresh fork of the booted app for each request: nothing
    /// that a request does is there for another.
    ///
    /// @param string|list<string>|null $address
    /// @throws ConfigException
    pub fn snapshot<'a>(
        self_: &'a mut ZendClassObject<Server>,
        address: &Zval,
        handler: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Server>> {
        self_.set_address(address)?;
        self_.set_path("http.app.mode", Value::Str("snapshot".to_owned()))?;
        self_.app = App::Globals(callable(handler, "Server::snapshot()")?);
        Ok(self_)
    }

    /// Serves HTTP with the PHP files of a document root, as php-fpm does: the file that the path names, or else the
    /// front controller (`http.app.index`). Other files are sent as they are.
    ///
    /// @param string|list<string>|null $address
    /// @param string $mode `classic`: PHP starts anew for each request, as with php-fpm; `globals`: the worker lives
    /// on; `snapshot`: a fresh fork of the booted app for each request
    /// @throws ConfigException
    #[php(defaults(mode = "\"classic\""))]
    pub fn files<'a>(
        self_: &'a mut ZendClassObject<Server>,
        address: &Zval,
        root: &str,
        mode: &str,
    ) -> PhpResult<&'a mut ZendClassObject<Server>> {
        self_.set_path("http.app.root", Value::Str(root.to_owned()))?;
        self_.set_path("http.app.mode", Value::Str(mode.to_owned()))?;
        self_.set_address(address)?;
        self_.app = App::None;
        Ok(self_)
    }

    /// Serves HTTP with a worker script that calls `rr_handle_request()` in a loop.
    ///
    /// @param string|list<string>|null $address
    /// @throws ConfigException
    pub fn script<'a>(
        self_: &'a mut ZendClassObject<Server>,
        address: &Zval,
        file: &str,
    ) -> PhpResult<&'a mut ZendClassObject<Server>> {
        let path = role::web_plan::absolute(file);
        if !path.is_file() {
            return Err(config_error(format!("Server::script(): there is no file {}", path.display())));
        }
        self_.set_address(address)?;
        self_.app = App::Script(path);
        Ok(self_)
    }

    /// Runs before each worker is forked, in the process it is forked from: `fn (mixed $app): void`. Close here
    /// what must not be shared: database handles, sockets, open files.
    pub fn before_fork<'a>(
        self_: &'a mut ZendClassObject<Server>,
        hook: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Server>> {
        let hook = callable(hook, "Server::beforeFork()")?;
        self_.before_fork.push(hook);
        Ok(self_)
    }

    /// Runs in each new worker before its first request: `fn (mixed $app): void`. Open here what was closed.
    pub fn on_worker_start<'a>(
        self_: &'a mut ZendClassObject<Server>,
        hook: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Server>> {
        let hook = callable(hook, "Server::onWorkerStart()")?;
        self_.on_start.push(hook);
        Ok(self_)
    }

    /// Runs in each worker that ends in order: `fn (mixed $app): void`.
    pub fn on_worker_stop<'a>(
        self_: &'a mut ZendClassObject<Server>,
        hook: &Zval,
    ) -> PhpResult<&'a mut ZendClassObject<Server>> {
        let hook = callable(hook, "Server::onWorkerStop()")?;
        self_.on_stop.push(hook);
        Ok(self_)
    }

    /// Starts the server and returns when it has been stopped. A server that cannot start says why on stderr and
    /// ends the script with exit code 1.
    ///
    /// @throws ConfigException
    /// @throws RoleException inside a worker, or called twice
    pub fn run(self_: &mut ZendClassObject<Server>) -> PhpResult<i64> {
        role::run(self_)
    }

    /// From a request: has the server boot the app anew and replace its workers. Returns before that is done.
    ///
    /// @throws RoleException outside of a worker
    pub fn reload() -> PhpResult<()> {
        call("server.Reload").map(drop)
    }

    /// From a request: has the server finish what it does and stop.
    ///
    /// @throws RoleException outside of a worker
    pub fn stop() -> PhpResult<()> {
        call("server.Stop").map(drop)
    }

    /// From a request: the workers as JSON, one object each.
    ///
    /// @throws RoleException outside of a worker
    pub fn workers() -> PhpResult<String> {
        call("server.Workers").map(|json| String::from_utf8_lossy(&json).into_owned())
    }
}

fn call(method: &str) -> PhpResult<Vec<u8>> {
    let answer = session::with(|session| session.call(method, b""))?;
    answer.map_err(|error| of_session(&error))
}

impl Server {
    /// Settings are checked where they are given; what is missing beside them may still come.
    fn validate(&self) -> PhpResult<()> {
        let wrong = self.load().err().and_then(rr_config::ConfigError::beside_what_is_missing);
        wrong.map_or(Ok(()), |wrong| Err(config_error(wrong)))
    }
}

/// Whether the PHP of a web pool reads forms; where it does not, the server leaves them to the app as well.
fn reads_forms(app: &rr_config::App) -> bool {
    let given = app.admin_ini.iter().rev().chain(app.ini.iter().rev());
    match given.clone().find(|(name, _)| name == "enable_post_data_reading") {
        Some((_, value)) => !matches!(value.to_ascii_lowercase().as_str(), "" | "0" | "off" | "no" | "false"),
        None => crate::zend::web::reads_forms(),
    }
}

/// Settings from PHP, at most so deep.
const MAX_DEPTH: usize = 32;

fn node(value: &Zval, depth: usize) -> PhpResult<Node> {
    if depth > MAX_DEPTH {
        return Err(config_error("settings are nested too deeply"));
    }
    let value = value.dereference();
    let plain = if let Some(text) = value.zend_str() {
        Value::Str(String::from_utf8_lossy(text.as_bytes()).into_owned())
    } else if let Some(number) = value.long() {
        Value::Int(number)
    } else if let Some(flag) = value.bool() {
        Value::Bool(flag)
    } else if let Some(number) = value.double() {
        Value::Float(number)
    } else if value.is_null() {
        Value::Null
    } else if let Some(array) = value.array() {
        if array.has_sequential_keys() && !array.is_empty() {
            Value::List(array.values().map(|value| node(value, depth + 1)).collect::<PhpResult<_>>()?)
        } else {
            let pairs = array.iter().map(|(key, value)| Ok((key.to_string(), node(value, depth + 1)?)));
            Value::Map(pairs.collect::<PhpResult<Map>>()?)
        }
    } else {
        return Err(config_error("a setting is a string, number, bool, null or an array of those"));
    };
    Ok(Node::new(plain, Position::new(SOURCE)))
}

/// The exception for a call in the wrong process.
pub(crate) fn wrong_role(text: &str) -> PhpException {
    exceptions::of(Cause::Role, text)
}
