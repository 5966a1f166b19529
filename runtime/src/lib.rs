//! The composition root. [`serve`] is the life of a master from the first log line to the last worker: it knows all
//! crates and no PHP; what it must know of PHP comes in a [`Launch`].
#![forbid(unsafe_code)]

mod admin;
mod applog;
mod banner;
mod calls;
mod check;
mod commands;
mod dev;
mod generation;
mod live;
mod logs;
mod obituaries;
mod otel;
mod output;
mod plugins;
mod reactor;
mod reload;
mod series;
mod settings;
mod signals;
mod start;
mod supervisor;
mod traffic;
mod zygote;

pub use check::problems;
pub use start::{Launch, ServeError, serve};
