//! The states of a worker and the only ways between them (row WRK-12 has RoadRunner's numbers).

use std::sync::atomic::{AtomicU8, Ordering};

/// Where a worker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Forked, has not said hello.
    Booting,
    /// Waits for a unit.
    Ready,
    /// Has at least one unit.
    Working,
    /// Finishes what it has started, gets nothing new, then leaves.
    Draining,
    /// Ended, or its channel is broken and it is being killed.
    Dead,
}

impl State {
    /// The states that may follow.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Booting => &[Self::Ready, Self::Draining, Self::Dead],
            Self::Ready => &[Self::Working, Self::Draining, Self::Dead],
            Self::Working => &[Self::Ready, Self::Draining, Self::Dead],
            Self::Draining => &[Self::Dead],
            Self::Dead => &[],
        }
    }

    /// Whether the worker counts as capacity.
    #[must_use]
    pub const fn is_alive(self) -> bool {
        matches!(self, Self::Booting | Self::Ready | Self::Working)
    }

    /// The name in logs and listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Booting => "booting",
            Self::Ready => "ready",
            Self::Working => "working",
            Self::Draining => "draining",
            Self::Dead => "dead",
        }
    }

    const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Booting,
            1 => Self::Ready,
            2 => Self::Working,
            3 => Self::Draining,
            _ => Self::Dead,
        }
    }
}

/// A state that moves atomically and only along [`State::next`].
#[derive(Debug)]
pub struct StateCell(AtomicU8);

impl Default for StateCell {
    fn default() -> Self {
        Self(AtomicU8::new(State::Booting as u8))
    }
}

impl StateCell {
    /// The state now.
    #[must_use]
    pub fn get(&self) -> State {
        State::from_byte(self.0.load(Ordering::Acquire))
    }

    /// Moves to `to`; `false`, without a move, when that is not legal from here.
    pub fn advance(&self, to: State) -> bool {
        let moved = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |byte| {
            State::from_byte(byte).next().contains(&to).then_some(to as u8)
        });
        moved.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [State; 5] = [State::Booting, State::Ready, State::Working, State::Draining, State::Dead];

    #[test]
    fn only_legal_moves_happen() {
        for from in ALL {
            for to in ALL {
                let cell = StateCell(AtomicU8::new(from as u8));
                assert_eq!(cell.advance(to), from.next().contains(&to), "{from:?} → {to:?}");
                assert_eq!(cell.get(), if from.next().contains(&to) { to } else { from });
            }
        }
    }

    #[test]
    fn nothing_returns_from_draining_to_capacity_or_from_death() {
        assert_eq!(State::Draining.next(), [State::Dead]);
        assert!(State::Dead.next().is_empty());
    }
}
