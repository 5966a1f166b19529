//! `RoadRunner\Worker`: the loop mode, for frameworks that have their own.

use super::request::Request;
use crate::role::serve;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::prelude::*;
use ext_php_rs::types::{ZendClassObject, Zval};

/// The worker's side of the loop mode: `while ($request = $worker->receive()) { $worker->respond(…); }`
#[php_class]
#[php(name = "RoadRunner\\Worker")]
#[php(flags = ext_php_rs::flags::ClassFlags::Final)]
pub struct Worker;

#[php_impl]
impl Worker {
    /// Waits for the next request; null when the worker should end.
    ///
    /// A request that has had no response by then is answered with an error.
    ///
    /// @throws RoleException outside of a worker
    pub fn receive(&self) -> PhpResult<Option<ZBox<ZendClassObject<Request>>>> {
        Ok(serve::next()?.map(ZendClassObject::new))
    }

    /// Answers the request.
    ///
    /// @param Response|string|null $response
    /// @throws ClientGoneException the client went away while the response was written
    /// @throws RoleException there is no request, or it has been answered
    pub fn respond(&self, response: &Zval) -> PhpResult<()> {
        serve::respond(response)
    }

    /// Answers the request with an error: `http.internal_error_code`, 500 by default. The text goes to the client
    /// in debug mode only.
    ///
    /// @throws RoleException there is no request, or it has been answered
    pub fn fail(&self, message: &str) -> PhpResult<()> {
        serve::fail(message)
    }
}
