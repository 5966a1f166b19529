//! What authorities that verify a domain are answered over plain HTTP (RFC 8555, 8.3).

use parking_lot::Mutex;
use std::collections::HashMap;

/// Answers by token.
#[derive(Debug, Default)]
pub struct Challenges {
    answers: Mutex<HashMap<String, String>>,
}

impl Challenges {
    /// Where authorities look; the token follows.
    pub const PATH: &str = "/.well-known/acme-challenge/";

    /// The answer to a token, if it is one of ours.
    #[must_use]
    pub fn answer(&self, token: &str) -> Option<String> {
        self.answers.lock().get(token).cloned()
    }

    /// Answers a token until what this returns is dropped.
    #[cfg(feature = "acme")]
    pub(crate) fn answering(self: &std::sync::Arc<Self>, token: &str, answer: &str) -> Answering {
        self.answers.lock().insert(token.to_owned(), answer.to_owned());
        Answering { challenges: std::sync::Arc::clone(self), token: token.to_owned() }
    }
}

/// See [`Challenges::answering`].
#[cfg(feature = "acme")]
pub(crate) struct Answering {
    challenges: std::sync::Arc<Challenges>,
    token: String,
}

#[cfg(feature = "acme")]
impl Drop for Answering {
    fn drop(&mut self) {
        self.challenges.answers.lock().remove(&self.token);
    }
}
