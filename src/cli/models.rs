//! `quire models`: what is installed, and downloads with progress.

use std::process::ExitCode;

use clap::Subcommand;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use quire_models::{Catalog, ModelDir, ModelKind, ModelSpec, ModelStatus, PullOptions};

use super::{report, say};
use crate::config::Config;

/// What to do with models.
#[derive(Clone, Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models quire knows and which of them are installed
    List,
    /// Download a model, verify it and install it; an interrupted download goes on where it stopped
    Pull {
        /// Name of the model as `quire models list` shows it; the default model when left out
        model: Option<String>,
    },
    /// Read installed files again and compare their checksums with the catalog
    Verify {
        /// Name of the model; all installed ones when left out
        model: Option<String>,
    },
    /// Delete the files of a model
    Remove {
        /// Name of the model as `quire models list` shows it
        model: String,
    },
}

/// Runs the command.
pub(super) fn run(command: ModelsCommand, config: &Config) -> ExitCode {
    let dir = ModelDir::new(&config.models_dir);
    match command {
        ModelsCommand::List => list(&dir),
        ModelsCommand::Pull { model } => pull(&dir, model.as_deref()),
        ModelsCommand::Verify { model } => verify(&dir, model.as_deref()),
        ModelsCommand::Remove { model } => remove(&dir, &model),
    }
}

fn list(dir: &ModelDir) -> ExitCode {
    for spec in Catalog::builtin().models() {
        let mark = match dir.status(spec) {
            ModelStatus::Installed => "installed",
            ModelStatus::Missing => "not installed",
            ModelStatus::Damaged => "damaged: run `quire models pull`",
        };
        let default = if spec.default { ", default" } else { "" };
        say(format!(
            "{}  {}, {}, {}{default}  [{mark}]",
            spec.id,
            kind(spec.kind),
            HumanBytes(spec.bytes()),
            spec.licence
        ));
    }
    ExitCode::SUCCESS
}

fn kind(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::Embed => "embeddings",
        ModelKind::Generate => "generation",
        ModelKind::Caption => "captions of pictures",
    }
}

fn pull(dir: &ModelDir, model: Option<&str>) -> ExitCode {
    let Some(spec) = chosen(model) else {
        return unknown(model.unwrap_or_default());
    };
    if dir.status(spec) == ModelStatus::Installed {
        say(format!("{} is installed", spec.id));
        return ExitCode::SUCCESS;
    }
    let bar = progress_bar(spec);
    let pulled = dir.pull(spec, &PullOptions::from_env(), &mut |progress| {
        bar.set_message(progress.source.clone());
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    });
    bar.finish_and_clear();
    match pulled {
        Ok(()) => {
            say(format!("{} is installed and verified", spec.id));
            ExitCode::SUCCESS
        }
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn unknown(model: &str) -> ExitCode {
    let models = Catalog::builtin().models().iter();
    let known: Vec<_> = models.map(|m| m.id.as_str()).collect();
    say(format!(
        "quire: no model {model:?} in the catalog; it has {}",
        known.join(", ")
    ));
    ExitCode::from(super::EXIT_USAGE)
}

fn remove(dir: &ModelDir, model: &str) -> ExitCode {
    let Some(spec) = Catalog::builtin().find(model) else {
        return unknown(model);
    };
    match dir.remove(spec) {
        Ok(true) => say(format!(
            "{} is removed; a running server keeps what it has loaded",
            spec.id
        )),
        Ok(false) => say(format!("{} is not installed", spec.id)),
        Err(error) => {
            report(&error);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn verify(dir: &ModelDir, model: Option<&str>) -> ExitCode {
    if let Some(name) = model.filter(|name| Catalog::builtin().find(name).is_none()) {
        return unknown(name);
    }
    let mut exit = ExitCode::SUCCESS;
    let wanted = |spec: &&ModelSpec| match model {
        Some(name) => spec.id == name,
        None => dir.status(spec) != ModelStatus::Missing,
    };
    for spec in Catalog::builtin().models().iter().filter(wanted) {
        match dir.verify(spec) {
            Ok(()) => say(format!("{}  every checksum is right", spec.id)),
            Err(error) => {
                report(&error);
                exit = ExitCode::FAILURE;
            }
        }
    }
    exit
}

fn chosen(model: Option<&str>) -> Option<&'static ModelSpec> {
    let catalog = Catalog::builtin();
    match model {
        Some(id) => catalog.find(id),
        None => catalog.models().iter().find(|spec| spec.default),
    }
}

/// Drawn on standard error, and only when that is a terminal.
fn progress_bar(spec: &ModelSpec) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}",
    );
    let bar = ProgressBar::new(spec.bytes()).with_prefix(spec.id.clone());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
