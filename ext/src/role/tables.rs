//! Key-value storages as this process sees them: tables that it reads in shared memory, mapped once before the app boots so
//! that forks have them too, and storages that it asks the server for.

use rr_worker::table::Reader;
use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;

/// The table of a storage; `None`: it is asked for.
type Table = Option<&'static Reader>;

thread_local! {
    static STORAGES: RefCell<Vec<(String, Table)>> = const { RefCell::new(Vec::new()) };
}

fn add(name: String, table: Table) {
    STORAGES.with(|storages| storages.borrow_mut().push((name, table)));
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
        add(name, Some(reader));
    }
    Ok(())
}

/// Notes storages without tables.
pub(crate) fn ask(names: Vec<String>) {
    names.into_iter().for_each(|name| add(name, None));
}

/// A storage by its name.
pub(crate) fn find(name: &str) -> Option<Table> {
    STORAGES.with(|storages| storages.borrow().iter().find(|(own, _)| own == name).map(|(_, table)| *table))
}

/// All storages, for error texts.
pub(crate) fn names() -> Vec<String> {
    STORAGES.with(|storages| storages.borrow().iter().map(|(name, _)| name.clone()).collect())
}
