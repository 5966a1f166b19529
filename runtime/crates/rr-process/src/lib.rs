//! The three roles, the conversation between them and what each does before it serves. No Tokio, no PHP.
//!
//! A fork happens in [`zygote::serve`] and nowhere else; everything a new worker must put right before it runs
//! PHP code is in [`worker::settle`]. The table of roles is in `docs/roles.md`.
#![forbid(unsafe_code)]

pub mod assignment;
pub mod message;
pub mod role;
pub mod worker;
pub mod zygote;

pub use assignment::{Assignment, User};
pub use message::{End, Message, Script, Start};
pub use role::{Kind, Role, allowed};
