//! Where this server answers otherwise than php-fpm behind nginx, and why.

/// A difference that is meant, or not worth its price. The tests fail when it is gone.
pub(crate) struct Known {
    case: &'static str,
    modes: &'static [&'static str],
    #[expect(dead_code, reason = "for who reads it")]
    why: &'static str,
}

impl Known {
    pub(crate) fn covers(&self, case: &str, mode: &str) -> bool {
        self.case == case && self.modes.contains(&mode)
    }
}

const fn all(case: &'static str, why: &'static str) -> Known {
    Known { case, modes: &crate::MODES, why }
}

const fn globals(case: &'static str, why: &'static str) -> Known {
    Known { case, modes: &["globals"], why }
}

const JOINED: &str = "what comes twice is joined, as nginx does from 1.23 on; Debian 12 has 1.22";
const HOST: &str = "HTTP_HOST is what the client has sent; Debian's nginx gives its own name for it";
const FAILED: &str = "a page that failed is never a good one, even if it shows its error";
const EMPTY: &str = "a failed page that has no body gets one, as text";
const STATUS: &str = "a status that no final answer can have is the worker's mistake";

pub(crate) const SEEN: &[Known] = &[
    all("headers", JOINED),
    all("doubled headers of which one can be", JOINED),
    all("doubled headers of which one cannot be", "nginx knows some headers as single ones"),
    all("cookies in two lines", JOINED),
    all("host with a port", HOST),
    all("host in capitals", HOST),
    all("HTTP/1.0 without a host", HOST),
    all("method in small letters", "methods are tokens of any letters"),
    all("/dump.php?a=1?b=2#c", "a fragment is no part of a target and is cut off"),
    all("/order.php", "the order of keys is nothing that PHP promises"),
    all("/allheaders.php", "nginx gives a length and a type to requests that have none"),
    globals("/includes.php?again", ONCE),
    globals("/scope.php?after", ONCE),
    globals("/scope.php/last", ONCE),
    all("/sapi.php", "the command line's PHP is below: its functions are there, fpm_get_status() is not"),
];

const ONCE: &str =
    "a require_once of an earlier request is not repeated: what it has declared is still there";

pub(crate) const ANSWERS: &[Known] = &[
    all("/headers.php?do=304", "the type of the answer that is not sent is told; nginx takes it out"),
    all("/headers.php?do=304body", "the type of the answer that is not sent is told; nginx takes it out"),
    all("conditional", "the type of the answer that is not sent is told; nginx takes it out"),
    all("head, conditional", "the type of the answer that is not sent is told; nginx takes it out"),
    all("/headers.php?do=colon", "what is no header is left out; nginx refuses the answer"),
    all("/headers.php?do=notype", "an empty type is sent as it is; nginx takes it out"),
    all("/headers.php?do=short", "a length that is not true is left out; nginx cuts the body"),
    all("/headers.php?do=status&code=100", STATUS),
    all("/headers.php?do=status&code=103", STATUS),
    all("/headers.php?do=status&code=199", STATUS),
    all("/headers.php?do=status&code=600", STATUS),
    all("/headers.php?do=status&code=999", STATUS),
    all("/output.php?do=error", EMPTY),
    all("/output.php?do=exceptionheaders", EMPTY),
    all("/output.php?do=oom", EMPTY),
    all("head, exception", EMPTY),
];

pub(crate) const UNBUFFERED: &[Known] =
    &[all("/output.php?do=error", EMPTY), all("/output.php?do=exceptionheaders", EMPTY)];

pub(crate) const SHOWN: &[Known] = &[
    all("/output.php?do=error", FAILED),
    all("/output.php?do=exception", FAILED),
    all("/output.php?do=exceptionheaders", FAILED),
    all("/output.php?do=handlerthrows", FAILED),
    all("/output.php?do=lasterror", FAILED),
    all("/output.php?do=parse", FAILED),
    all("/output.php?do=require", FAILED),
    all("/output.php?do=undefined", FAILED),
];

pub(crate) const LIMITS: &[Known] = &[all(
    "multipart over post_max_size",
    "the server has read the form by then: php://input has nothing of it, as with one that is not too long",
)];

pub(crate) const ENVIRONMENT: &[Known] = &[all(
    "env",
    "workers have the server's environment, as with clear_env = no; $_ENV and getenv() without a name have nothing else",
)];

pub(crate) const FILES: &[Known] = &[
    all("/broken.inc", "PHP code is never sent as text, whatever its name"),
    all("bytes=9-5", "RFC 9110, 14.2: what is no valid range is not there"),
    all("bytes=a-b", "RFC 9110, 14.2: what is no valid range is not there"),
    all("unmodified since garbage", "RFC 9110, 13.1.4: what is no date is not there"),
    all("head of a range", "RFC 9110, 14.2: a range is for GET only"),
];

pub(crate) const UPLOADS: &[Known] = &[];
pub(crate) const UPLOADS_OFF: &[Known] = &[];
pub(crate) const UPLOADS_LEFT: &[Known] = &[];

pub(crate) const AROUND: &[Known] = &[];
pub(crate) const PACKED: &[Known] = &[];
pub(crate) const HANDLED: &[Known] = &[];
