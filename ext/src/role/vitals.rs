//! After each request: what this worker's PHP uses, into its first cells, where the master finds it when somebody
//! asks. OPcache is asked from time to time only: that takes microseconds.

use crate::role::session;
use crate::zend::vitals as php;
use rr_wire::vitals;
use rr_worker::Cells;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a look at OPcache is good for.
const FRESH: Duration = Duration::from_secs(2);

thread_local! {
    static CELLS: RefCell<Option<Cells>> = const { RefCell::new(None) };
    static LOOKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A request is about to be over, PHP is still in it.
pub(crate) fn tell() {
    CELLS.with(|cells| {
        let Ok(mut cells) = cells.try_borrow_mut() else { return };
        if cells.is_none() {
            *cells = session::try_with(|session| session.cells());
        }
        let Some(cells) = &*cells else { return };
        let put = |cell: usize, value: f64| cells.store(cell, value.to_bits());
        for (offset, value) in php::vitals().into_iter().enumerate() {
            put(vitals::MEMORY + offset, value);
        }
        let now = Instant::now();
        let fresh = |looked: Instant| now.saturating_duration_since(looked) < FRESH;
        if LOOKED.with(Cell::get).is_some_and(fresh) {
            return;
        }
        LOOKED.with(|looked| looked.set(Some(now)));
        if let Some(values) = php::opcache() {
            for (offset, value) in values.into_iter().enumerate() {
                put(vitals::OPCACHE_HITS + offset, value);
            }
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            put(vitals::OPCACHE_SEEN, since.as_secs_f64());
        }
    });
}
