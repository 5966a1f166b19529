//! Tables of key-value storages that this process reads in shared memory. Mapped once, before the app boots: forks have
//! them too.

use rr_worker::table::Reader;
use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;

thread_local! {
    static TABLES: RefCell<Vec<(String, &'static Reader)>> = const { RefCell::new(Vec::new()) };
}

/// Maps tables; two descriptors each, in the order of their names.
pub(crate) fn map(names: Vec<String>, descriptors: Vec<OwnedFd>) -> io::Result<()> {
    let mut descriptors = descriptors.into_iter();
    for name in names {
        let (Some(table), Some(touched)) = (descriptors.next(), descriptors.next()) else {
            return Err(io::Error::other("a table without its descriptors"));
        };
        // For as long as the process lives: objects of PHP refer to it.
        let reader = Box::leak(Box::new(Reader::attach(&table, &touched)?));
        TABLES.with(|tables| tables.borrow_mut().push((name, reader)));
    }
    Ok(())
}

/// The table of a storage.
pub(crate) fn find(name: &str) -> Option<&'static Reader> {
    TABLES.with(|tables| tables.borrow().iter().find(|(own, _)| own == name).map(|(_, reader)| *reader))
}

/// All storages, for error texts.
pub(crate) fn names() -> Vec<String> {
    TABLES.with(|tables| tables.borrow().iter().map(|(name, _)| name.clone()).collect())
}
