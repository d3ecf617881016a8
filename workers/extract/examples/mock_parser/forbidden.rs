//! What no parser has a reason to do: each act is tried, and says how it ended.

use std::{
    fs::{self, File},
    io,
    net::{TcpStream, UdpSocket},
    os::unix::{fs as unix, net::UnixStream, process::CommandExt as _},
    process::Command,
    thread,
};

use rustix::{
    event::epoll,
    fs::{MemfdFlags, inotify},
    pipe,
    process::{self, Pid, PidfdFlags, Resource, Rlimit},
};

/// Something that is not there and must not come to be.
const NEW: &str = "/tmp/quire-mock-parser-was-here";

/// Something that every machine has and every user may read.
const OLD: &str = "/etc/passwd";

/// An act by its name.
type Act = (&'static str, fn() -> io::Result<()>);

/// The acts, files first.
const ACTS: &[Act] = &[
    ("open", || File::open(OLD).map(drop)),
    ("open proc", || File::open("/proc/self/environ").map(drop)),
    ("open memory", || File::open("/proc/1/mem").map(drop)),
    ("create", || File::create(NEW).map(drop)),
    ("list", || fs::read_dir("/").map(drop)),
    ("stat", || fs::metadata(OLD).map(drop)),
    ("read link", || fs::read_link("/proc/self/exe").map(drop)),
    ("remove", || fs::remove_file(NEW)),
    ("rename", || fs::rename(OLD, NEW)),
    ("hard link", || fs::hard_link(OLD, NEW)),
    ("symbolic link", || unix::symlink(OLD, NEW)),
    ("directory", || fs::create_dir(NEW)),
    ("permissions", || {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(OLD, mode)
    }),
    ("owner", || unix::chown(OLD, Some(0), Some(0))),
    ("working directory", || std::env::set_current_dir("/")),
    ("root directory", || Ok(process::chroot("/")?)),
    ("fork", || Command::new("/bin/true").spawn().map(drop)),
    ("thread", || thread::Builder::new().spawn(|| ()).map(drop)),
    ("session", || Ok(process::setsid().map(drop)?)),
    ("kill", || Ok(process::test_kill_process(Pid::INIT)?)),
    ("watch process", || {
        Ok(process::pidfd_open(Pid::INIT, PidfdFlags::empty()).map(drop)?)
    }),
    ("raise limit", || {
        let endless = Rlimit {
            current: None,
            maximum: None,
        };
        Ok(process::setrlimit(Resource::Fsize, endless)?)
    }),
    ("file in memory", || {
        let flags = MemfdFlags::empty();
        Ok(rustix::fs::memfd_create("x", flags).map(drop)?)
    }),
    ("pipe", || Ok(pipe::pipe().map(drop)?)),
    ("watch files", || {
        Ok(inotify::init(inotify::CreateFlags::empty()).map(drop)?)
    }),
    ("wait for many", || {
        Ok(epoll::create(epoll::CreateFlags::empty()).map(drop)?)
    }),
    ("execute", || Err(Command::new("/bin/true").exec())),
    ("connect", || TcpStream::connect("127.0.0.1:1").map(drop)),
    ("send", || UdpSocket::bind("127.0.0.1:0").map(drop)),
    ("connect here", || {
        UnixStream::connect("/run/postgresql/.s.PGSQL.5432").map(drop)
    }),
];

/// Tries an act; `None`: there is none of this name.
pub(crate) fn attempt(name: &str) -> Option<String> {
    let (_, act) = ACTS.iter().find(|(known, _)| *known == name)?;
    Some(match act() {
        Ok(()) => "allowed".to_owned(),
        Err(error) => format!("refused: {:?}", error.kind()),
    })
}
