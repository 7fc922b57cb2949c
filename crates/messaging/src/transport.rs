//! TCP connections that can be cut from outside: Socket.IO can end a namespace, but only a closed transport makes a
//! well-meaning client reconnect and an ill-meaning one let go.
//!
//! A write that makes no progress for a while is an error, since a client that stops reading would otherwise hold its
//! buffers for as long as it likes.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::Sleep,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long a client may refuse to read.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// Cuts one connection.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    cut: CancellationToken,
}

impl Peer {
    /// The client at the other end of `stream`.
    pub fn of(stream: &CuttableStream, address: SocketAddr) -> Self {
        Self { address, cut: stream.cut.clone() }
    }

    /// Ends the connection: reading meets its end, writing fails.
    pub fn cut(&self) {
        self.cut.cancel();
    }
}

/// Accepts [`CuttableStream`]s.
pub struct CuttableListener {
    listener: TcpListener,
    all: CancellationToken,
}

impl CuttableListener {
    /// `all` cuts every connection at once.
    pub fn new(listener: TcpListener, all: CancellationToken) -> Self {
        Self { listener, all }
    }
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Chat packets are small and should leave at once; a stream that cannot do so still works.
        let _unchanged = stream.set_nodelay(true);
        (CuttableStream::new(stream, self.all.child_token()), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

pub struct CuttableStream {
    stream: TcpStream,
    cut: CancellationToken,
    // Reading and writing are woken each by its own: tungstenite gives them different wakers.
    reader_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    writer_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl CuttableStream {
    fn new(stream: TcpStream, cut: CancellationToken) -> Self {
        Self {
            stream,
            reader_cut: Box::pin(cut.clone().cancelled_owned()),
            writer_cut: Box::pin(cut.clone().cancelled_owned()),
            cut,
            stalled: None,
        }
    }

    fn poll_writer<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.cut.is_cancelled() || self.writer_cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if let Poll::Ready(result) = write(Pin::new(&mut self.stream), context) {
            self.stalled = None;
            return Poll::Ready(result);
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_PATIENCE)));
        ready!(stalled.as_mut().poll(context));
        self.cut.cancel();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.is_cancelled() || self.reader_cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_writer(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_writer(context, |stream, context| stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
