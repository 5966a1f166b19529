//! Everything at once, at random, beside the model. Each run is made by its seed alone:
//! `LOCK_SEED=17 cargo test -p rr-lock simulation` plays one again, with every step on stderr.

use super::model::{IDS, Model, RESOURCES, Step, Wish};
use super::*;
use proptest::prelude::*;

const SEEDS: u64 = 1000;
const STEPS: usize = 300;

/// splitmix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }

    pub(super) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("small")
    }

    /// Many short ones, so that they meet.
    fn span(&mut self) -> Micros {
        let most = [1, 4, 50, 900][self.index(4)];
        self.below(most)
    }

    fn owner(&mut self) -> Owner {
        Owner { pool: 0, worker: self.below(3), unit: self.below(3) }
    }

    fn step(&mut self) -> Step {
        let resource = self.index(RESOURCES.len());
        let id = self.index(IDS.len());
        match self.below(24) {
            0..10 => Step::Acquire(Wish {
                resource,
                id: (self.below(3) > 0).then_some(id),
                shared: self.below(2) == 0,
                ttl: self.span(),
                wait: self.span(),
                owner: (self.below(2) == 0).then(|| self.owner()),
                keep: self.below(4) == 0,
            }),
            10..14 => Step::Release(resource, id),
            14..16 => Step::ReleaseToken(self.index(5)),
            16 => Step::Refresh(self.index(5), self.span()),
            17 => Step::UpdateTtl(resource, id, self.span()),
            18 => Step::Cancel(self.index(4)),
            19 => Step::EndUnit(self.owner()),
            20 if self.below(2) == 0 => Step::EndBefore(self.owner()),
            20 if self.below(4) == 0 => Step::EndWorker(self.below(3)),
            21 if self.below(4) == 0 => Step::Force(resource),
            _ => Step::Sleep(self.span()),
        }
    }
}

fn run(seed: u64, loud: bool) -> usize {
    let mut dice = Dice(seed);
    let mut model = Model::new();
    for number in 0..STEPS {
        let step = dice.step();
        if loud {
            eprintln!("{number}: {step:?}");
        }
        model.step(&step);
    }
    model.finish();
    model.served
}

#[test]
fn simulation() {
    if let Ok(seed) = std::env::var("LOCK_SEED") {
        run(seed.parse().expect("LOCK_SEED is a number"), true);
        return;
    }
    let mut served = 0;
    for seed in 0..SEEDS {
        let result = std::panic::catch_unwind(|| run(seed, false));
        served += result.unwrap_or_else(|_| panic!("seed {seed}; again: LOCK_SEED={seed}"));
    }
    assert!(served > 1000, "requests that waited are served: {served}");
}

fn wishes() -> impl Strategy<Value = Wish> {
    let owner = proptest::option::of((0..3_u64, 0..2_u64));
    let spans = (0..40_u64, 0..40_u64);
    let kinds = (any::<bool>(), any::<bool>());
    (0..RESOURCES.len(), proptest::option::of(0..IDS.len()), kinds, spans, owner).prop_map(
        |(resource, id, (shared, keep), (ttl, wait), owner)| {
            let owner = owner.map(|(worker, unit)| Owner { pool: 0, worker, unit });
            Wish { resource, id, shared, ttl, wait, owner, keep }
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    let place = (0..RESOURCES.len(), 0..IDS.len());
    prop_oneof![
        4 => wishes().prop_map(Step::Acquire),
        2 => place.clone().prop_map(|(resource, id)| Step::Release(resource, id)),
        1 => (0..4_usize).prop_map(Step::ReleaseToken),
        1 => (0..4_usize, 0..40_u64).prop_map(|(back, ttl)| Step::Refresh(back, ttl)),
        1 => (place, 0..40_u64).prop_map(|((resource, id), ttl)| Step::UpdateTtl(resource, id, ttl)),
        1 => (0..4_usize).prop_map(Step::Cancel),
        1 => (0..RESOURCES.len()).prop_map(Step::Force),
        1 => (0..3_u64).prop_map(Step::EndWorker),
        2 => (0..20_u64).prop_map(Step::Sleep),
    ]
}

proptest! {
    /// Finds the shortest way to a difference.
    #[test]
    fn any_steps(steps in proptest::collection::vec(steps(), 1..60)) {
        let mut model = Model::new();
        steps.iter().for_each(|step| model.step(step));
        model.finish();
    }
}
