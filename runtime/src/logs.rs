//! The `logs` section, made a log.

use rr_config::{LogEncoding, LogLevel, LogMode, Logs};
use rr_log::{Encoding, Output, Settings, Style};
use std::io::IsTerminal;
use tracing::Level;

/// What to write where. Without a choice in the config: lines for people in a terminal, JSON elsewhere.
pub(crate) fn settings(logs: &Logs, dev: bool) -> Settings {
    let terminal = std::io::stderr().is_terminal();
    let encoding = match (logs.mode, logs.encoding) {
        (LogMode::Raw, _) => Encoding::Raw,
        (_, LogEncoding::Json) | (LogMode::Production, LogEncoding::Auto) => Encoding::Json,
        (_, LogEncoding::Console) => Encoding::Console,
        (_, LogEncoding::Auto) => {
            if terminal {
                Encoding::Console
            } else {
                Encoding::Json
            }
        }
    };
    let outputs: Vec<Output> = logs.output.iter().map(|name| Output::named(name)).collect();
    let color = terminal && outputs == [Output::Stderr] && std::env::var_os("NO_COLOR").is_none();
    Settings {
        level: level(logs),
        style: Style { encoding, color, ending: logs.line_ending.clone(), dev },
        channels: logs.channels.iter().map(|(name, channel)| (name.clone(), level(channel))).collect(),
        outputs,
    }
}

fn level(logs: &Logs) -> Option<Level> {
    if logs.mode == LogMode::Off {
        return None;
    }
    Some(match logs.level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    })
}
