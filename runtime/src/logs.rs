//! The `logs` section, made a log; and what PHP and clients of RPC have to say.

use rr_config::{FileLog, LogEncoding, LogLevel, LogMode, Logs};
use rr_log::{Channel, Encoding, Output, Rotation, Settings, Style};
use std::io::IsTerminal;
use std::time::Duration;
use tracing::Level;

/// What to write where. Without a choice in the config: lines for people in a terminal, JSON elsewhere.
pub(crate) fn settings(logs: &Logs, dev: bool) -> Settings {
    Settings {
        main: channel(logs, dev),
        channels: logs.channels.iter().map(|(name, logs)| (name.clone(), channel(logs, dev))).collect(),
        faults: logs.err_output.iter().map(|name| Output::named(name)).collect(),
    }
}

fn channel(logs: &Logs, dev: bool) -> Channel {
    let terminal = std::io::stderr().is_terminal();
    let outputs: Vec<Output> = match &logs.file {
        // In place of the others, as with RoadRunner.
        Some(file) => vec![Output::Rotated(rotation(file))],
        None => logs.output.iter().map(|name| Output::named(name)).collect(),
    };
    let encoding = match (logs.mode, logs.encoding) {
        (LogMode::Raw, _) => Encoding::Raw,
        (_, LogEncoding::Json) | (LogMode::Production, LogEncoding::Auto) => Encoding::Json,
        _ if logs.file.is_some() => Encoding::Json,
        (_, LogEncoding::Auto) if !terminal => Encoding::Json,
        (_, LogEncoding::Console | LogEncoding::Auto) => Encoding::Console,
    };
    let color = terminal && outputs == [Output::Stderr] && std::env::var_os("NO_COLOR").is_none();
    let style = Style { encoding, color, ending: logs.line_ending.clone(), dev };
    Channel { level: level(logs), style, outputs }
}

fn rotation(file: &FileLog) -> Rotation {
    Rotation {
        path: file.path(),
        max_size: file.max_size.saturating_mul(1024 * 1024),
        max_age: Duration::from_secs(file.max_age.saturating_mul(24 * 60 * 60)),
        max_backups: file.max_backups,
        compress: file.compress,
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
