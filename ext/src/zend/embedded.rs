//! PHP source inside the extension (`ext/psr/`): adapters to interfaces that only Composer packages have, declared
//! when they are first asked for. It knows which file declares what and what each is built upon.

use ext_php_rs::types::Zval;
use std::ffi::c_char;

/// `rr_need` of the shim.
#[repr(C)]
struct Need {
    name: *const c_char,
    package: *const c_char,
    name_length: usize,
    package_length: usize,
}

// SAFETY: its pointers are to static text.
unsafe impl Sync for Need {}

impl Need {
    const fn new(name: &'static str, package: &'static str) -> Self {
        Self {
            name: name.as_ptr().cast(),
            package: package.as_ptr().cast(),
            name_length: name.len(),
            package_length: package.len(),
        }
    }
}

/// `rr_embedded` of the shim.
#[repr(C)]
struct Found {
    file: *const c_char,
    source: *const c_char,
    file_length: usize,
    source_length: usize,
    needs: *const Need,
    needs_count: usize,
}

unsafe extern "C" {
    safe fn rr_embedded_install();
    fn rr_declared(name: *const c_char, length: usize) -> bool;
    fn rr_is_a(value: *const Zval, name: *const c_char, length: usize) -> bool;
}

/// A file and the class it declares, in lower case.
struct File {
    class: &'static str,
    name: &'static str,
    source: &'static str,
    needs: &'static [Need],
}

/// The namespace of all of them, in lower case.
const PREFIX: &[u8] = b"roadrunner\\psr\\";

static MESSAGES: [Need; 1] = [Need::new("Psr\\Http\\Message\\ServerRequestInterface", "psr/http-message")];
static FACTORIES: [Need; 2] = [
    Need::new("Psr\\Http\\Message\\ServerRequestInterface", "psr/http-message"),
    Need::new("Psr\\Http\\Message\\ServerRequestFactoryInterface", "psr/http-factory"),
];

macro_rules! file {
    ($class:literal, $name:literal, $needs:expr) => {
        File {
            class: $class,
            name: concat!("roadrunner:psr/", $name),
            source: include_str!(concat!("../../psr/", $name)),
            needs: $needs,
        }
    };
}

static KERNEL: [Need; 1] =
    [Need::new("Symfony\\Component\\HttpKernel\\HttpKernelInterface", "symfony/http-kernel")];
static RUNTIME: [Need; 2] = [
    Need::new("Symfony\\Component\\Runtime\\SymfonyRuntime", "symfony/runtime"),
    Need::new("Symfony\\Component\\HttpKernel\\HttpKernelInterface", "symfony/http-kernel"),
];

static LOCK: [Need; 1] = [Need::new("Symfony\\Component\\Lock\\PersistingStoreInterface", "symfony/lock")];
static LOGGER: [Need; 1] = [Need::new("Psr\\Log\\LoggerInterface", "psr/log")];
static SIMPLE_CACHE: [Need; 1] = [Need::new("Psr\\SimpleCache\\CacheInterface", "psr/simple-cache")];
static CACHE: [Need; 1] = [Need::new("Psr\\Cache\\CacheItemPoolInterface", "psr/cache")];
static SYMFONY_CACHE: [Need; 1] =
    [Need::new("Symfony\\Component\\Cache\\Adapter\\AbstractAdapter", "symfony/cache")];

static FILES: [File; 25] = [
    file!("bodyresource", "BodyResource.php", &[]),
    file!("cacheargument", "CacheArgument.php", &CACHE),
    file!("cacheitem", "CacheItem.php", &CACHE),
    file!("cacheitempool", "CacheItemPool.php", &CACHE),
    file!("cacherules", "CacheRules.php", &[]),
    file!("httpfactory", "HttpFactory.php", &FACTORIES),
    file!("input", "Input.php", &[]),
    file!("kernelhandler", "KernelHandler.php", &KERNEL),
    file!("lockstore", "LockStore.php", &LOCK),
    file!("logger", "Logger.php", &LOGGER),
    file!("message", "Message.php", &MESSAGES),
    file!("request", "Request.php", &MESSAGES),
    file!("requestbody", "RequestBody.php", &MESSAGES),
    file!("requesthandler", "RequestHandler.php", &MESSAGES),
    file!("requestline", "RequestLine.php", &MESSAGES),
    file!("response", "Response.php", &MESSAGES),
    file!("serverrequest", "ServerRequest.php", &MESSAGES),
    file!("simplecache", "SimpleCache.php", &SIMPLE_CACHE),
    file!("simplecacheargument", "SimpleCacheArgument.php", &SIMPLE_CACHE),
    file!("stream", "Stream.php", &MESSAGES),
    file!("symfonyadapter", "SymfonyAdapter.php", &SYMFONY_CACHE),
    file!("symfonyrunner", "SymfonyRunner.php", &RUNTIME),
    file!("symfonyruntime", "SymfonyRuntime.php", &RUNTIME),
    file!("uploadedfile", "UploadedFile.php", &MESSAGES),
    file!("uri", "Uri.php", &MESSAGES),
];

/// Puts it in front of PHP's own autoloading; once, at module start-up.
pub(crate) fn install() {
    rr_embedded_install();
}

/// Whether there is such a class; it is loaded if need be. What that threw is pending.
pub(crate) fn declared(class: &str) -> bool {
    // SAFETY: a name valid for its length (Z2); PHP code runs inside the shim's try (Z4).
    unsafe { rr_declared(class.as_ptr().cast(), class.len()) }
}

/// Whether a value is an object of this class; the class need not exist.
pub(crate) fn is_a(value: &Zval, class: &str) -> bool {
    // SAFETY: a valid zval and a name valid for its length (Z2); looks up and runs nothing.
    unsafe { rr_is_a(value, class.as_ptr().cast(), class.len()) }
}

fn find(name: &[u8]) -> Option<&'static File> {
    let class = name.strip_prefix(PREFIX)?;
    FILES.iter().find(|file| file.class.as_bytes() == class)
}

/// The shim's question for a class by its name in lower case.
///
/// # Safety
/// `name` is valid for `length`, `found` has room.
#[unsafe(no_mangle)]
unsafe extern "C" fn rr_embedded_find(name: *const c_char, length: usize, found: *mut Found) -> bool {
    // SAFETY: PHP's string, valid for its length until this call returns (Z3).
    let name = unsafe { std::slice::from_raw_parts(name.cast::<u8>(), length) };
    let Some(file) = find(name) else { return false };
    let answer = Found {
        file: file.name.as_ptr().cast(),
        source: file.source.as_ptr().cast(),
        file_length: file.name.len(),
        source_length: file.source.len(),
        needs: file.needs.as_ptr(),
        needs_count: file.needs.len(),
    };
    // SAFETY: the shim's variable.
    unsafe { found.write(answer) };
    true
}
