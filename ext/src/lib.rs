//! The extension: what PHP sees (`api`), what the engine must do in each process (`role`), and the calls into
//! Zend that need C (`zend`). All logic that needs no PHP is in `runtime/`.
#![allow(missing_docs, reason = "php_module makes a public function without documentation")]

mod api;
mod role;
mod zend;

use ext_php_rs::prelude::*;
use ext_php_rs::zend::ModuleEntry;
use ext_php_rs::{info_table_end, info_table_row, info_table_start};

/// MINIT: refuses what is not supported and takes the role that the master has assigned, if any.
extern "C" fn startup(_kind: i32, _module: i32) -> i32 {
    std::panic::catch_unwind(role::startup).unwrap_or(1)
}

extern "C" fn info(_module: *mut ModuleEntry) {
    info_table_start!();
    info_table_row!("roadrunner", "enabled");
    info_table_row!("version", env!("CARGO_PKG_VERSION"));
    info_table_end!();
}

/// The list of everything that is registered.
fn contents(module: ModuleBuilder) -> ModuleBuilder {
    module
        .class::<api::request::Request>()
        .class::<api::response::Response>()
        .class::<api::worker::Worker>()
        .class::<api::server::Server>()
        .class::<api::rpc::Rpc>()
        .class::<api::key_value::KeyValue>()
        .class::<api::lock::Lock>()
        .class::<api::log::Log>()
        .class::<api::log::LogChannel>()
        .class::<api::metrics::Metrics>()
        .class::<api::metrics::Counter>()
        .class::<api::metrics::Gauge>()
        .class::<api::metrics::Histogram>()
        .class::<api::metrics::Summary>()
        .class::<api::service::Service>()
        .class::<api::cli::Cli>()
}

/// The stub of everything that is registered, for `cargo xtask stubs`. In debug builds only.
#[cfg(debug_assertions)]
#[php_function]
#[php(name = "rr_stub")]
pub fn rr_stub() -> PhpResult<String> {
    use ext_php_rs::describe::{Module, ToStub};
    let module = Module::from(contents(ModuleBuilder::new("roadrunner", env!("CARGO_PKG_VERSION"))));
    let stub = module.to_stub().map_err(|error| error.to_string())?;
    Ok(stub + &api::exceptions::stub() + FUNCTIONS)
}

/// Functions that `web.c` and `dev.c` register in the processes of their modes only.
#[cfg(debug_assertions)]
const FUNCTIONS: &str = "
namespace {
    /**
     * In a script of `Server::script()`: waits for a request and runs the callback for it, which finds it in the
     * superglobals and prints the response. False when the script should end.
     */
    function rr_handle_request(callable $callback): bool {}

    /**
     * In the web modes: sends a 103 with these headers before the response. False: the response has begun, or nobody
     * reads it.
     *
     * @param array<string, string|list<string>> $headers
     */
    function rr_early_hints(array $headers): bool {}

    /**
     * In the web modes: has the server send a file as the body, with ranges, whatever the script prints. The header
     * `X-Sendfile` does the same.
     */
    function rr_send_file(string $path): bool {}

    /**
     * In the web modes: sends a server-sent event: a string, or an array of data, event, id, retry and comment. False:
     * the client has gone away.
     */
    function rr_send_event(mixed $event): bool {}

    /**
     * Sends the response while the script goes on; in the handler modes one that `write()` and `flush()` have begun.
     * `fastcgi_finish_request()` is the same in the web modes.
     */
    function rr_finish_request(): bool {}

    /**
     * With `http.app.frankenphp`: the name of `rr_handle_request()` in FrankenPHP's worker API.
     */
    function frankenphp_handle_request(callable $callback): bool {}

    /**
     * With `http.app.frankenphp`: the name of `rr_finish_request()`. False: the response was over before.
     */
    function frankenphp_finish_request(): bool {}

    /**
     * With `http.app.frankenphp`: sends the response's headers. A status from 102 to 199 is an interim response with the
     * headers so far, which stay for the final one. Returns 1 for an interim response that was sent, 0 for a final one,
     * and 3 if nothing was sent.
     */
    function headers_send(int $status = 200): int {}

    /**
     * With `http.app.frankenphp`: the name of `getallheaders()`.
     *
     * @return array<string, string>
     */
    function frankenphp_request_headers(): array {}

    /**
     * With `http.app.frankenphp`: the response's headers; of those that come twice the last. `apache_response_headers()`
     * is the same.
     *
     * @return array<string, string>
     */
    function frankenphp_response_headers(): array|bool {}

    /**
     * With `http.app.frankenphp`: writes to the server's log. Levels are those of `FRANKENPHP_LOG_LEVEL_*` (debug -4, info
     * 0, warn 4, error 8), and the context is in the line as JSON.
     *
     * @param array<string, mixed> $context
     */
    function frankenphp_log(string $message, int $level = 0, array $context = []): void {}

    /**
     * In development mode: writes values with file and line to the log, under the request they belong to, and never
     * into the response. Returns its argument, or all of them as a list.
     */
    function rr_dump(mixed ...$values): mixed {}
}
";

/// The module, as PHP asks for it.
#[php_module]
#[php(startup = startup)]
pub fn get_module(module: ModuleBuilder) -> ModuleBuilder {
    let module = contents(module).info_function(info);
    #[cfg(debug_assertions)]
    let module = module.function(wrap_function!(rr_stub));
    module
}
