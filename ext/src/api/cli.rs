//! `RoadRunner\Cli`: what `bin/rr` calls.

use super::server::Server;
use crate::role;
use crate::zend;
use ext_php_rs::prelude::*;
use rr_cli::{Host, Next};

/// The command line `rr`.
#[php_class]
#[php(name = "RoadRunner\\Cli")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Cli;

#[php_impl]
impl Cli {
    /// Does what the arguments say, which are those behind the program's name. Returns the exit code; `serve` returns
    /// when the server has stopped.
    ///
    /// @param list<string> $arguments
    /// @throws ConfigException
    pub fn main(arguments: Vec<String>) -> PhpResult<i64> {
        let host = Host {
            problems: roadrunner_runtime::problems,
            php: zend::php_version(),
            launcher: std::env::var("RR_LAUNCHER").unwrap_or_default(),
            built: env!("RR_BUILT"),
            assigned: role::is_assigned(),
        };
        let place = match rr_cli::run(&arguments, &host, &mut |name, value| zend::set_env(name, value)) {
            Next::Exit(code) => return Ok(i64::from(code)),
            Next::Serve(place) => place,
        };
        let mut server = Server::of_file(place.config.clone(), place.overrides.clone());
        // What a program waits for (CLI-02).
        server.announce = (!place.silent).then(|| {
            format!(
                "[INFO] RoadRunner server started; version: {}, buildtime: {}",
                rr_cli::COMPATIBLE,
                env!("RR_BUILT")
            )
        });
        let code = role::run(&server);
        place.remove_pid();
        code
    }
}
