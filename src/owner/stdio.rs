//! Standard input and output without blocking where the system allows it.
//!
//! Clients hand a child process sockets or pipes; those are read and written directly. Anything
//! else (a terminal, a file) goes through the runtime's blocking threads.

use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// A boxed reader.
pub type Reader = Pin<Box<dyn AsyncRead + Send>>;
/// A boxed writer.
pub type Writer = Pin<Box<dyn AsyncWrite + Send>>;

#[cfg(unix)]
mod direct {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixStream as StdStream;

    use tokio::net::UnixStream;
    use tokio::net::unix::pipe;

    use super::{Reader, Writer};

    fn socket(file: File) -> io::Result<UnixStream> {
        let stream = StdStream::from(std::os::fd::OwnedFd::from(file));
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    }

    pub(super) fn reader(descriptor: impl AsFd) -> io::Result<Reader> {
        let file = File::from(descriptor.as_fd().try_clone_to_owned()?);
        let kind = file.metadata()?.file_type();
        if kind.is_socket() {
            Ok(Box::pin(socket(file)?))
        } else if kind.is_fifo() {
            Ok(Box::pin(pipe::Receiver::from_file(file)?))
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    pub(super) fn writer(descriptor: impl AsFd) -> io::Result<Writer> {
        let file = File::from(descriptor.as_fd().try_clone_to_owned()?);
        let kind = file.metadata()?.file_type();
        if kind.is_socket() {
            Ok(Box::pin(socket(file)?))
        } else if kind.is_fifo() {
            Ok(Box::pin(pipe::Sender::from_file(file)?))
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}

/// Standard input.
pub fn stdin() -> Reader {
    #[cfg(unix)]
    if let Ok(reader) = direct::reader(std::io::stdin()) {
        return reader;
    }
    Box::pin(tokio::io::stdin())
}

/// Standard output.
pub fn stdout() -> Writer {
    #[cfg(unix)]
    if let Ok(writer) = direct::writer(std::io::stdout()) {
        return writer;
    }
    Box::pin(tokio::io::stdout())
}
