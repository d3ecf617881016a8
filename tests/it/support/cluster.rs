//! Several real processes on one Postgres and one file store, each of which can be killed, frozen and told to stop.
//!
//! The cluster is its own service manager: whatever has died is started again after its time, as systemd would, and an exit
//! that nobody asked for is put on record. Postgres runs under the test's supervisor and comes back by itself after a kill.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use quire_store::EmbeddedPostgres;
use tempfile::TempDir;

use super::process::{command_of, free_port};

/// A cold start on a loaded machine.
const START_LIMIT: Duration = Duration::from_mins(1);
/// A process that does not end by then after SIGTERM is reported and killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What a process says when it has started. An end before that, for want of a database or by a signal, is tried again.
const READY: [&str; 2] = ["quire is ready", "workers take jobs"];

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `quire serve --no-workers` on this port.
    Api(u16),
    /// `quire worker`.
    Worker,
    /// `quire serve` on this port.
    All(u16),
}

/// The processes and their database.
pub struct Cluster {
    data: TempDir,
    program: PathBuf,
    postgres: Option<EmbeddedPostgres>,
    members: Vec<Member>,
    /// Exits that nobody asked for.
    pub surprises: Vec<String>,
    /// Starts that did not come to an end.
    early: u64,
    /// How long each SIGTERM took.
    pub stops: Vec<Duration>,
}

struct Member {
    part: Part,
    log: PathBuf,
    /// Where the log of the present process begins.
    log_start: usize,
    /// Settings beside the common ones.
    settings: Vec<(String, String)>,
    life: Life,
}

enum Life {
    Up(Child),
    /// Stopped by SIGSTOP until then.
    Frozen(Child, Instant),
    /// Told to end at that time.
    Ending(Child, Instant),
    /// Started again then.
    Down(Instant),
}

impl Cluster {
    /// Starts Postgres and then a process for each of `parts`, from copies of the programs, so that a build in between changes
    /// nothing.
    pub fn start(program: &Path, parts: &[Part], settings: &[(&str, &str)]) -> Self {
        let data = TempDir::new().unwrap();
        // Postgres runs as another user when the tests run as root.
        fs::set_permissions(data.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let program = copy_programs(program, data.path());
        let postgres = EmbeddedPostgres::start(&data.path().join("postgres")).unwrap();
        let mut cluster = Self {
            data,
            program,
            postgres: Some(postgres),
            members: Vec::new(),
            surprises: Vec::new(),
            early: 0,
            stops: Vec::new(),
        };
        let migrated = cluster.command(&[]).arg("migrate").status().unwrap();
        assert!(migrated.success(), "{migrated}");
        for (index, part) in parts.iter().enumerate() {
            let member = Member {
                part: *part,
                log: cluster.data.path().join(format!("process-{index}.log")),
                log_start: 0,
                settings: settings
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
                life: Life::Down(Instant::now()),
            };
            cluster.members.push(member);
        }
        cluster.tend();
        cluster.wait_until_served();
        cluster
    }

    /// Where the database is reached.
    pub fn url(&self) -> &str {
        self.postgres.as_ref().unwrap().url()
    }

    /// Where the processes that serve are reached.
    pub fn bases(&self) -> Vec<String> {
        self.members
            .iter()
            .filter_map(Member::port)
            .map(|port| format!("http://127.0.0.1:{port}"))
            .collect()
    }

    /// Process id, while it runs.
    pub fn pid(&self, member: usize) -> Option<u32> {
        match &self.members[member].life {
            Life::Up(child) | Life::Frozen(child, _) => Some(child.id()),
            Life::Ending(..) | Life::Down(_) => None,
        }
    }

    /// Whether it runs and is not frozen.
    pub fn is_up(&self, member: usize) -> bool {
        matches!(self.members[member].life, Life::Up(_))
    }

    /// SIGKILL; started again after `pause`.
    pub fn kill(&mut self, member: usize, pause: Duration) {
        let member = &mut self.members[member];
        if let Life::Up(child) | Life::Frozen(child, _) | Life::Ending(child, _) = &mut member.life
        {
            // Gone by itself is recorded nowhere then: it would have been killed anyway.
            let _ = child.kill();
            child.wait().unwrap();
            member.life = Life::Down(Instant::now() + pause);
        }
    }

    /// SIGSTOP for `pause`.
    pub fn freeze(&mut self, member: usize, pause: Duration) {
        let life = &mut self.members[member].life;
        if let Life::Up(child) = life {
            send("STOP", &[child.id()]);
            let Life::Up(child) = std::mem::replace(life, Life::Down(Instant::now())) else {
                unreachable!("it was up a moment ago");
            };
            *life = Life::Frozen(child, Instant::now() + pause);
        }
    }

    /// SIGTERM; started again when it has ended.
    pub fn stop(&mut self, member: usize) {
        let life = &mut self.members[member].life;
        if let Life::Up(child) = life {
            send("TERM", &[child.id()]);
            let Life::Up(child) = std::mem::replace(life, Life::Down(Instant::now())) else {
                unreachable!("it was up a moment ago");
            };
            *life = Life::Ending(child, Instant::now());
        }
    }

    /// SIGKILL of every process of Postgres.
    pub fn kill_postgres(&self) {
        let file = self.data.path().join("postgres/cluster/postmaster.pid");
        let Ok(content) = fs::read_to_string(file) else {
            return;
        };
        let Some(postmaster) = content.lines().next().and_then(|line| line.parse().ok()) else {
            return;
        };
        let mut pids = vec![postmaster];
        pids.extend(children_of(postmaster));
        send("KILL", &pids);
    }

    /// Thaws what has been frozen long enough and starts what is down. To be called often.
    pub fn tend(&mut self) {
        for index in 0..self.members.len() {
            self.look_after(index);
        }
    }

    /// Everything runs.
    pub fn is_whole(&self) -> bool {
        (0..self.members.len()).all(|member| self.is_up(member))
    }

    /// Ends all processes in good order, then Postgres; the data directory stays.
    pub fn end(mut self) -> Ended {
        for member in 0..self.members.len() {
            self.stop(member);
        }
        while self
            .members
            .iter()
            .any(|member| matches!(member.life, Life::Ending(..)))
        {
            for index in 0..self.members.len() {
                if matches!(self.members[index].life, Life::Ending(..)) {
                    self.look_after(index);
                }
            }
            std::thread::yield_now();
        }
        self.members.clear();
        self.postgres.take().unwrap().stop().unwrap();
        Ended {
            surprises: std::mem::take(&mut self.surprises),
            early: self.early,
            stops: std::mem::take(&mut self.stops),
        }
    }

    /// Keeps the data directory for whoever looks into a failure.
    pub fn keep(&mut self) -> PathBuf {
        self.data.disable_cleanup(true);
        self.data.path().to_owned()
    }

    fn look_after(&mut self, index: usize) {
        let now = Instant::now();
        let life = std::mem::replace(&mut self.members[index].life, Life::Down(now));
        let next = match life {
            Life::Up(mut child) => match child.try_wait().unwrap() {
                None => Life::Up(child),
                Some(status) => {
                    self.surprise(index, status);
                    Life::Down(now + Duration::from_millis(200))
                }
            },
            Life::Frozen(child, until) if now >= until => {
                send("CONT", &[child.id()]);
                Life::Up(child)
            }
            Life::Ending(mut child, since) => match child.try_wait().unwrap() {
                Some(status) => {
                    self.stops.push(since.elapsed());
                    if !status.success() {
                        self.surprise(index, status);
                    }
                    Life::Down(now)
                }
                None if since.elapsed() > STOP_LIMIT => {
                    child.kill().unwrap();
                    let status = child.wait().unwrap();
                    self.surprise(index, status);
                    Life::Down(now)
                }
                None => Life::Ending(child, since),
            },
            Life::Down(until) if now >= until => Life::Up(self.spawn(index)),
            waiting @ (Life::Frozen(..) | Life::Down(_)) => waiting,
        };
        self.members[index].life = next;
    }

    fn surprise(&mut self, index: usize, status: ExitStatus) {
        let member = &self.members[index];
        let log = fs::read(&member.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log[member.log_start..]);
        if !READY.iter().any(|words| log.contains(words)) {
            self.early += 1;
            return;
        }
        let tail: Vec<&str> = log.lines().rev().take(3).collect();
        let how = status.code().or(status.signal());
        self.surprises
            .push(format!("{:?} ended with {how:?}: {tail:?}", member.part));
    }

    fn spawn(&mut self, index: usize) -> Child {
        let member = &mut self.members[index];
        member.log_start = fs::metadata(&member.log).map_or(0, |log| log.len() as usize);
        let member = &self.members[index];
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&member.log)
            .unwrap();
        let mut command = self.command(&member.settings);
        match member.part {
            Part::Api(port) => command.args(["--port", &port.to_string(), "serve", "--no-workers"]),
            Part::All(port) => command.args(["--port", &port.to_string(), "serve"]),
            Part::Worker => command.arg("worker"),
        };
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn command(&self, settings: &[(String, String)]) -> Command {
        let mut command = command_of(&self.program, self.data.path());
        command.env("DATABASE_URL", self.url());
        command.envs(settings.iter().cloned());
        command
    }

    fn wait_until_served(&mut self) {
        let start = Instant::now();
        let ports: Vec<u16> = self.members.iter().filter_map(Member::port).collect();
        for port in ports {
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(
                    start.elapsed() < START_LIMIT,
                    "no process listens on {port}"
                );
                self.tend();
                std::thread::yield_now();
            }
        }
    }
}

/// What the end of a cluster showed.
pub struct Ended {
    /// Exits that nobody asked for, of the whole run.
    pub surprises: Vec<String>,
    /// Starts that a fault broke off: a service manager tries again.
    pub early: u64,
    /// How long each SIGTERM took.
    pub stops: Vec<Duration>,
}

impl Member {
    fn port(&self) -> Option<u16> {
        match self.part {
            Part::Api(port) | Part::All(port) => Some(port),
            Part::Worker => None,
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Life::Up(child) | Life::Frozen(child, _) | Life::Ending(child, _) = &mut self.life {
            // Ended already is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An API process on a free port.
pub fn api() -> Part {
    Part::Api(free_port())
}

/// The program under test: `CHAOS_PROGRAM`, or the one that was built with the tests.
pub fn program() -> PathBuf {
    std::env::var_os("CHAOS_PROGRAM")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_quire")), PathBuf::from)
}

/// Copies the program and its parser, which is looked for beside it.
/// Copies of the programs below `data`; the path of the first.
pub fn copy_programs(program: &Path, data: &Path) -> PathBuf {
    let target = data.join("bin");
    fs::create_dir_all(&target).unwrap();
    for name in ["quire", "quire-parse"] {
        let from = program.with_file_name(name);
        fs::copy(&from, target.join(name))
            .unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
    target.join("quire")
}

fn send(signal: &str, pids: &[u32]) {
    // Some may have ended meanwhile, which `kill` reports and nobody minds.
    let _ = Command::new("kill")
        .arg(format!("-{signal}"))
        .args(pids.iter().map(u32::to_string))
        .stderr(Stdio::null())
        .status();
}

/// The processes whose parent it is.
pub fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            // `pid (name) state ppid ..`: the name may hold spaces, so it is cut off at its end.
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            after_name.split(' ').nth(1) == Some(&parent.to_string())
        })
        .collect()
}
