//! Idle memory of the whole service: the program, its parser processes and its Postgres, shared pages counted once.

use tokio::runtime::Runtime;

use crate::{Figure, Program, answer::wait_for_model, program::data_dir};

/// Measures after the model is loaded and nothing has been asked.
pub fn measure(runtime: &Runtime) -> Vec<Figure> {
    let data = data_dir();
    let server = Program::serve(data.path(), &["serve"]);
    runtime.block_on(wait_for_model(server.port));
    let all: u64 = tree(server.pid()).into_iter().map(pss_kib).sum();
    let own = pss_kib(server.pid());
    vec![Figure {
        what: "idle memory of the whole service, model loaded".into(),
        goal: "under 300 MB",
        measured: format!(
            "{} MB PSS, of which the program {} MB",
            all / 1000,
            own / 1000
        ),
    }]
}

/// The process and all its descendants.
fn tree(pid: u32) -> Vec<u32> {
    let children = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let children: Vec<u32> = children
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    let mut all = vec![pid];
    for child in children {
        all.extend(tree(child));
    }
    all
}

/// Proportional set size in KiB; 0 for a process that has just gone.
fn pss_kib(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .unwrap_or("0");
    line.split_whitespace()
        .next()
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0)
}
