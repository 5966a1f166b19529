//! What PHP code sees, one file per area.

pub(crate) mod cli;
pub(crate) mod exceptions;
pub(crate) mod key_value;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod rpc;
pub(crate) mod server;
mod server_params;
pub(crate) mod service;
pub(crate) mod values;
pub(crate) mod worker;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::convert::IntoZval;
use ext_php_rs::error::Result;
use ext_php_rs::flags::DataType;
use ext_php_rs::types::{ZendStr, Zval};

/// A PHP string of any bytes, with one copy.
pub struct Text(ZBox<ZendStr>);

impl Text {
    pub(crate) fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(ZendStr::new(bytes, false))
    }
}

impl IntoZval for Text {
    const TYPE: DataType = DataType::String;
    const NULLABLE: bool = false;

    fn set_zval(self, zv: &mut Zval, _persistent: bool) -> Result<()> {
        zv.set_zend_string(self.0);
        Ok(())
    }
}
