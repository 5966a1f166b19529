//! Whether what clients saw of one object fits one order: a linearizability check after Wing and Gong (1993) with the
//! memory of Lowe (2017). Knows no server; what an object does is a [`Model`].

use std::collections::{HashMap, HashSet};
use std::fmt::{Debug, Write};
use std::hash::Hash;

/// What an object does when one thing happens after the other.
pub trait Model {
    /// What is in it.
    type State: Clone + Eq + Hash + Debug;
    /// What was done and what came of it.
    type Operation: Debug;

    /// Before the first operation.
    fn begin(&self) -> Self::State;

    /// The state after `operation`; `None`: its result cannot have come from `state`.
    fn step(&self, state: &Self::State, operation: &Self::Operation) -> Option<Self::State>;

    /// The one state that can come before `operation` if its result allows only one. Given that no state comes twice in
    /// any order, which `None` does not promise, the search leaves no state that something still needs.
    fn needs(&self, _operation: &Self::Operation) -> Option<Self::State> {
        None
    }
}

/// One operation of one client.
#[derive(Debug)]
pub struct Event<O> {
    /// Who did it.
    pub client: usize,
    /// When it was asked for, in nanoseconds.
    pub start: u64,
    /// When its result was there, by the same clock.
    pub end: u64,
    /// What was done and what came of it.
    pub operation: O,
}

/// Why a history is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// No order fits; the text shows where the longest attempt ended.
    NoOrder(String),
    /// None was found in as many steps as were allowed; the text as above.
    Undecided(u64, String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoOrder(text) => write!(f, "no order of the operations explains their results: {text}"),
            Self::Undecided(steps, text) => write!(f, "no order was found in {steps} steps: {text}"),
        }
    }
}

/// The order of the first attempt that fits, as indices into `history`.
///
/// # Errors
/// There is none, or it takes more than `steps` steps to find out.
pub fn check<M: Model>(
    model: &M,
    history: &[Event<M::Operation>],
    steps: u64,
) -> Result<Vec<usize>, Refused> {
    let mut events: Vec<_> = history.iter().enumerate().collect();
    events.sort_by_key(|(_, event)| event.start);
    let (mut needed, mut leaves) = (HashMap::new(), HashMap::new());
    for event in history {
        let Some(state) = model.needs(&event.operation) else { continue };
        *needed.entry(state.clone()).or_insert(0) += 1;
        if model.step(&state, &event.operation).is_some_and(|next| next != state)
            && let Some(other) = leaves.insert(state.clone(), event)
        {
            // It would have to come twice.
            return Err(Refused::NoOrder(format!("both follow {state:?}:\n    {other:?}\n    {event:?}")));
        }
    }
    let (indices, events): (Vec<usize>, _) = events.into_iter().unzip();
    let order = Search { model, events, needed }.run(steps)?;
    Ok(order.into_iter().map(|place| indices[place]).collect())
}

/// What is in the order already, as places in [`Search::events`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Done {
    /// All before this one,
    first: usize,
    /// and these. Few: no more than there are clients.
    ahead: Vec<usize>,
}

impl Done {
    fn with(&self, place: usize) -> Self {
        let mut done = self.clone();
        let at = done.ahead.partition_point(|other| *other < place);
        done.ahead.insert(at, place);
        let joined = done.ahead.iter().zip(done.first..).take_while(|(one, next)| **one == *next).count();
        done.ahead.drain(..joined);
        done.first += joined;
        done
    }

    fn count(&self) -> usize {
        self.first + self.ahead.len()
    }
}

/// A point of the search: what may come next, and what was put here.
struct Turn<S> {
    state: S,
    done: Done,
    /// The last is tried first.
    choices: Vec<usize>,
    chosen: Option<usize>,
}

struct Search<'a, M: Model> {
    model: &'a M,
    /// By their start.
    events: Vec<&'a Event<M::Operation>>,
    /// How many of those that are not done need a state.
    needed: HashMap<M::State, usize>,
}

impl<M: Model> Search<'_, M> {
    fn run(mut self, steps: u64) -> Result<Vec<usize>, Refused> {
        let mut seen: HashSet<(Done, M::State)> = HashSet::new();
        let nothing = Done { first: 0, ahead: Vec::new() };
        let mut turns = vec![self.turn(self.model.begin(), nothing)];
        let mut longest = (0, String::new());
        for _ in 0..steps {
            let Some(mut turn) = turns.pop() else { return Err(Refused::NoOrder(longest.1)) };
            if turn.done.count() == self.events.len() {
                return Ok(turns.iter().filter_map(|turn| turn.chosen).collect());
            }
            if let Some(before) = turn.chosen.take() {
                self.count(before, 1);
            }
            let Some(choice) = turn.choices.pop() else {
                if turn.done.count() >= longest.0 {
                    longest = (turn.done.count() + 1, self.describe(&turn));
                }
                continue;
            };
            let next = self.model.step(&turn.state, &self.events[choice].operation);
            let Some(next) = next else {
                turns.push(turn);
                continue;
            };
            let done = turn.done.with(choice);
            self.count(choice, -1);
            turn.chosen = Some(choice);
            let same = next == turn.state;
            if same {
                // What changes nothing may come as early as it fits: no other order is better.
                turn.choices.clear();
            }
            let lost = !same && self.needed.get(&turn.state).is_some_and(|count| *count > 0);
            turns.push(turn);
            if !lost && seen.insert((done.clone(), next.clone())) {
                turns.push(self.turn(next, done));
            }
        }
        Err(Refused::Undecided(steps, longest.1))
    }

    fn count(&mut self, place: usize, change: isize) {
        let Some(state) = self.model.needs(&self.events[place].operation) else { return };
        let count = self.needed.entry(state).or_insert(0);
        *count = count.saturating_add_signed(change);
    }

    fn left(&self, done: &Done) -> impl Iterator<Item = usize> {
        let ahead = done.ahead.clone();
        (done.first..self.events.len()).filter(move |place| ahead.binary_search(place).is_err())
    }

    /// Those that may come next: all that were asked for before the first of them had its result.
    fn turn(&self, state: M::State, done: Done) -> Turn<M::State> {
        let mut end = u64::MAX;
        let mut choices = Vec::new();
        for place in self.left(&done) {
            let event = self.events[place];
            if event.start > end {
                break;
            }
            end = end.min(event.end);
            choices.push(place);
        }
        // What changes nothing first, then what was over first.
        choices.sort_by_cached_key(|place| {
            let event = self.events[*place];
            let same = self.model.step(&state, &event.operation).is_some_and(|next| next == state);
            (same, std::cmp::Reverse(event.end))
        });
        Turn { state, done, choices, chosen: None }
    }

    fn describe(&self, turn: &Turn<M::State>) -> String {
        let Turn { state, done, .. } = turn;
        let mut text = format!(
            "{} of {} fit, then the state was {state:?} and next were",
            done.count(),
            self.events.len()
        );
        for place in self.left(done).take(8) {
            let _ = write!(text, "\n    {:?}", self.events[place]);
        }
        text
    }
}

/// A number that is read, written, compared and added to. It is no number twice: what is written is new and leaves room
/// for what is added.
#[derive(Debug, Clone, Copy)]
pub struct Register;

/// What was done with a [`Register`]; `None` is a number that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// What was read.
    Get(Option<i64>),
    /// What was written.
    Set(i64),
    /// What was added, and the sum.
    Increment(i64, i64),
    /// What was expected, what should be written, whether it was.
    CompareAndSet(Option<i64>, i64, bool),
}

impl Model for Register {
    type State = Option<i64>;
    type Operation = Access;

    fn begin(&self) -> Self::State {
        None
    }

    fn step(&self, state: &Self::State, operation: &Access) -> Option<Self::State> {
        match *operation {
            Access::Get(seen) => (seen == *state).then_some(*state),
            Access::Set(value) => Some(Some(value)),
            Access::Increment(by, sum) => {
                (state.unwrap_or(0).checked_add(by) == Some(sum)).then_some(Some(sum))
            }
            Access::CompareAndSet(expected, value, true) => (expected == *state).then_some(Some(value)),
            Access::CompareAndSet(expected, _, false) => (expected != *state).then_some(*state),
        }
    }

    fn needs(&self, operation: &Access) -> Option<Self::State> {
        match *operation {
            Access::Get(seen) => Some(seen),
            // Zero and no number at all lead to the same sum.
            Access::Increment(by, sum) if by != sum => Some(sum.checked_sub(by)),
            Access::CompareAndSet(expected, _, true) => Some(expected),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Access::{CompareAndSet, Get, Increment, Set};
    use super::*;

    fn history(rows: &[(usize, u64, u64, Access)]) -> Vec<Event<Access>> {
        let event = |&(client, start, end, operation): &_| Event { client, start, end, operation };
        rows.iter().map(event).collect()
    }

    fn order(rows: &[(usize, u64, u64, Access)]) -> Result<Vec<usize>, Refused> {
        check(&Register, &history(rows), 100_000)
    }

    #[track_caller]
    fn refused(rows: &[(usize, u64, u64, Access)]) {
        assert!(matches!(order(rows), Err(Refused::NoOrder(_))), "{:?}", order(rows));
    }

    #[test]
    fn what_fits_is_taken() {
        assert_eq!(order(&[]), Ok(vec![]));
        assert_eq!(order(&[(0, 1, 2, Set(1)), (0, 3, 4, Get(Some(1)))]), Ok(vec![0, 1]));
        // Read while it is written: before or after.
        assert!(order(&[(0, 1, 9, Set(1)), (1, 2, 3, Get(None)), (2, 4, 5, Get(Some(1)))]).is_ok());
        assert_eq!(
            order(&[(0, 1, 9, Increment(1, 2)), (1, 1, 9, Increment(1, 1)), (2, 1, 9, Get(Some(2)))]),
            Ok(vec![1, 0, 2])
        );
        assert!(
            order(&[(0, 1, 9, CompareAndSet(None, 1, true)), (1, 1, 9, CompareAndSet(None, 2, false))])
                .is_ok()
        );
    }

    #[test]
    fn a_stale_read_is_refused() {
        refused(&[(0, 1, 2, Set(1)), (0, 3, 4, Set(2)), (1, 5, 6, Get(Some(1)))]);
        // New, then old, while it is written.
        refused(&[(0, 1, 9, Set(1)), (1, 2, 3, Get(Some(1))), (2, 4, 5, Get(None))]);
    }

    #[test]
    fn a_lost_update_is_refused() {
        refused(&[(0, 1, 9, Increment(1, 1)), (1, 1, 9, Increment(1, 1))]);
        refused(&[(0, 1, 9, CompareAndSet(None, 1, true)), (1, 1, 9, CompareAndSet(None, 2, true))]);
        refused(&[
            (0, 1, 2, Set(5)),
            (1, 3, 9, Increment(1, 6)),
            (2, 3, 4, Get(Some(6))),
            (2, 5, 6, Get(Some(5))),
        ]);
    }

    #[test]
    fn a_value_from_nowhere_and_a_vain_comparison_are_refused() {
        refused(&[(0, 1, 2, Get(Some(1)))]);
        refused(&[(0, 1, 2, Set(1)), (1, 3, 4, CompareAndSet(Some(1), 2, false))]);
    }

    #[test]
    fn too_long_a_search_is_no_answer() {
        let found = check(&Register, &history(&[(0, 1, 2, Set(1)), (0, 3, 4, Set(2))]), 2);
        assert!(matches!(found, Err(Refused::Undecided(2, _))), "{found:?}");
    }

    /// A simulated object: each operation happens at one moment between its start and its end. As it is the history is
    /// taken, with one result changed it is refused.
    #[test]
    fn what_an_object_really_did_is_taken_and_one_changed_result_is_not() {
        for seed in 1..200_u64 {
            let mut dice = seed;
            let mut roll = |below: u64| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (dice >> 33) % below
            };
            let (mut state, mut all, mut free) = (None, Vec::new(), [0_u64; 8]);
            for moment in 1..200_u64 {
                let at = moment * 10;
                let client = usize::try_from(roll(8)).expect("small");
                if free[client] >= at {
                    continue;
                }
                let start = at - roll(at - free[client]).min(60);
                let end = at + 1 + roll(60);
                free[client] = end + 1;
                let value = i64::try_from(moment << 20).expect("small");
                let operation = match roll(4) {
                    0 => Get(state),
                    1 => Set(value),
                    2 => Increment(1, state.unwrap_or(0) + 1),
                    _ if roll(2) == 0 => CompareAndSet(state, value, true),
                    _ => CompareAndSet(Some(-1), value, false),
                };
                state = Register.step(&state, &operation).expect("it happens");
                all.push((client, start, end, operation));
            }
            let found = order(&all).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            let mut state = None;
            for index in found {
                state = Register.step(&state, &all[index].3).expect("the order is one");
            }
            let wrong = all.iter_mut().rev().find(|(.., operation)| matches!(operation, Increment(..)));
            if let Some((.., Increment(_, sum))) = wrong {
                *sum += 1 << 50;
                refused(&all);
            }
        }
    }
}
