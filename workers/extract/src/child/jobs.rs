//! Jobs, one after another, from the parent's socket.

use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use super::outbox::{Outbox, send_picture};
use super::panics;
use crate::error::ParseError;
use crate::formats::{self, Format, Input};
use crate::frame::{self, FromChild, PROTOCOL_VERSION, ToChild};
use crate::sandbox::SandboxStatus;

struct Job {
    message: ToChild,
    file: File,
}

/// Says hello and serves jobs until the parent hangs up or a parser panics.
pub(super) fn serve(
    socket: &UnixStream,
    formats: &[&dyn Format],
    sandbox: SandboxStatus,
) -> io::Result<()> {
    let mut writer = socket;
    frame::write(
        &mut writer,
        &FromChild::Hello {
            protocol: PROTOCOL_VERSION,
            sandbox,
        },
    )?;
    while let Some(job) = receive(socket)? {
        let outcome = panics::catch(|| run(job, formats, socket));
        let panicked = matches!(outcome, Err(ParseError::Crashed(_)));
        frame::write(&mut writer, &last_message(outcome))?;
        if panicked {
            return Ok(());
        }
    }
    Ok(())
}

fn run(job: Job, formats: &[&dyn Format], socket: &UnixStream) -> Result<(), ParseError> {
    let media = match &job.message {
        ToChild::Parse(request) | ToChild::Compute(request, _) => request.media,
        ToChild::Draw(request) => request.media,
    };
    let Some(format) = formats::find(formats, media) else {
        return Err(ParseError::NotSupported(format!(
            "no reader for {}",
            media.name()
        )));
    };
    let mut input = Input::new(job.file)?;
    if input.size() == 0 {
        return Err(ParseError::Damaged("the file is empty".to_owned()));
    }
    let mut outbox = Outbox::new(socket);
    match &job.message {
        ToChild::Parse(request) => format.parse(&mut input, request, &mut outbox)?,
        ToChild::Compute(_, query) => {
            let result = format.query(&mut input, query, &mut outbox)?;
            let mut writer = socket;
            frame::write(&mut writer, &FromChild::Computed(Box::new(result)))?;
        }
        ToChild::Draw(request) => {
            return send_picture(socket, &format.draw(&mut input, request)?);
        }
    }
    outbox.finish()
}

fn last_message(outcome: Result<(), ParseError>) -> FromChild {
    match outcome {
        Ok(()) => FromChild::Done,
        Err(error) => FromChild::Failed {
            code: error.code().to_owned(),
            detail: error.detail(),
        },
    }
}

/// The next job; `None` when the parent hung up.
fn receive(socket: &UnixStream) -> io::Result<Option<Job>> {
    let mut header = [0; frame::HEADER];
    let (count, file) = receive_with_file(socket, &mut header)?;
    if count == 0 {
        return Ok(None);
    }
    let Some(file) = file else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the parent sent a job without a file",
        ));
    };
    let mut reader = socket;
    reader.read_exact(&mut header[count..])?;
    let message = frame::read_body(&mut reader, header)?;
    Ok(Some(Job {
        message,
        file: File::from(file),
    }))
}

fn receive_with_file(
    socket: &UnixStream,
    bytes: &mut [u8],
) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(bytes)];
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let file = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    Ok((received.bytes, file))
}
