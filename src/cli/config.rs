//! `quire config`: the settings in effect and the commented defaults.

use std::process::ExitCode;

use clap::Subcommand;

use super::{EXIT_USAGE, GlobalArgs, report, say};
use crate::config::{DEFAULTS, show};

/// What to show.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting, its value and where the value comes from
    Show,
    /// Print the settings file with every default and its explanation
    Defaults,
}

/// Runs the command.
pub(super) fn run(command: ConfigCommand, global: &GlobalArgs) -> ExitCode {
    match command {
        ConfigCommand::Defaults => say(DEFAULTS.trim_end()),
        ConfigCommand::Show => match show(global.config.as_deref(), &global.overrides()) {
            Ok(settings) => settings.iter().for_each(say),
            Err(error) => {
                report(&error);
                return ExitCode::from(EXIT_USAGE);
            }
        },
    }
    ExitCode::SUCCESS
}
