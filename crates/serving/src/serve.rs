//! Serving until told to stop: not ready at once, serving on for a while, then finishing what is under way.
//!
//! Connections are served here and not by `axum::serve`, which has no time limit for a client that drips its headers,
//! keeps an idle connection for ever or stops reading its answer, and lets headers be as long as they like.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::Context;
use axum::{extract::ConnectInfo, response::Response, serve::Listener};
use freehunt_config::HttpConfig;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use crate::{Readiness, open_files};

/// The longest request line and header together, in bytes: twice what the original's server took. Longer ones are 431.
const HEAD_BYTES: usize = 32 * 1024;
/// The most header fields of a request. More are 431.
const HEAD_FIELDS: usize = 100;
/// How long a client may refuse to read its answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// How many connections the kernel keeps until they are taken, if `net.core.somaxconn` allows it. Of a burst that is larger,
/// clients wait a second before they try again; the usual 128 are soon reached.
const BACKLOG: u32 = 4096;

/// How one server is stopped.
pub struct Shutdown<'a> {
    pub readiness: &'a Readiness,
    /// Serve on for so long while not ready.
    pub delay: Duration,
    /// What is under way after that may take so long.
    pub timeout: Duration,
    /// Begins it.
    pub stop: CancellationToken,
    /// How long a connection may take to send the head of its next request, idle time included. Longer than Traefik
    /// keeps an idle connection, so that it is never the server who closes one that is about to be used.
    pub header_timeout: Duration,
}

impl<'a> Shutdown<'a> {
    pub fn new(readiness: &'a Readiness, http: &HttpConfig, stop: CancellationToken) -> Self {
        Self {
            readiness,
            delay: http.shutdown_delay,
            timeout: http.shutdown_timeout,
            stop,
            header_timeout: http.header_timeout,
        }
    }
}

/// What answers requests as they come from the connection: a router, or something lighter around one.
pub trait Serves:
    Service<http::Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Serves for S where
    S: Service<http::Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

/// Binds the configured address; a taken port is one clear sentence.
pub fn bind(address: IpAddr, port: u16) -> anyhow::Result<TcpListener> {
    listen((address, port).into()).with_context(|| format!("port {port} on {address} cannot be used"))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that is started again need not wait for the connections of the one before; Windows means another thing by it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until the shutdown is over. `peer` makes what handlers take as `ConnectInfo`; `before_closing` runs after the
/// delay, while connections are still taken. What is not finished in time is cut.
///
/// As many connections are taken as the process may have open files; more wait until one is closed.
pub async fn serve<L, S, P>(
    listener: L,
    service: S,
    peer: impl Fn(&L::Io, L::Addr) -> P,
    shutdown: Shutdown<'_>,
    before_closing: impl Future<Output = ()>,
) where
    L: Listener,
    S: Serves,
    P: Clone + Send + Sync + 'static,
{
    open_files::raise_limit();
    let stop_accepting = CancellationToken::new();
    let drained = async {
        shutdown.stop.cancelled().await;
        shutdown.readiness.begin_shutdown();
        tokio::time::sleep(shutdown.delay).await;
        before_closing.await;
        stop_accepting.cancel();
        tokio::time::sleep(shutdown.timeout).await;
        tracing::warn!("requests were still under way when the shutdown time was over");
    };
    tokio::select! {
        () = serve_connections(listener, service, peer, shutdown.header_timeout, stop_accepting.clone()) => {}
        () = drained => {}
    }
}

/// Ends when `stop` is cancelled and every connection has finished its request; dropping it cuts them.
async fn serve_connections<L, S, P>(
    mut listener: L,
    service: S,
    peer: impl Fn(&L::Io, L::Addr) -> P,
    header_timeout: Duration,
    stop: CancellationToken,
) where
    L: Listener,
    S: Serves,
    P: Clone + Send + Sync + 'static,
{
    // HTTP/1.1 alone: a proxy stands before these servers, and a second protocol would be a second set of limits.
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(HEAD_BYTES).max_headers(HEAD_FIELDS);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            (io, address) = listener.accept() => {
                let peer = peer(&io, address);
                connections.spawn(serve_connection(http.clone(), io, service.clone(), peer, stop.clone()));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve_connection<I, S, P>(http: http1::Builder, io: I, service: S, peer: P, stop: CancellationToken)
where
    S: Serves,
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    P: Clone + Send + Sync + 'static,
{
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        service.clone().oneshot(request)
    });
    let mut io = TimeoutStream::new(io);
    io.set_write_timeout(Some(WRITE_PATIENCE));
    let connection = http.serve_connection(TokioIo::new(Box::pin(io)), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        // A client that went away or took too long is everyday.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Cancelled by SIGTERM or Ctrl-C.
pub fn stop_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let on_signal = stop.clone();
    tokio::spawn(async move {
        let interrupt = tokio::signal::ctrl_c();
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            match signal(SignalKind::terminate()) {
                Ok(mut terminate) => {
                    tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
                }
                Err(_) => {
                    let _interrupted = interrupt.await;
                }
            }
        }
        #[cfg(not(unix))]
        let _interrupted = interrupt.await;
        on_signal.cancel();
    });
    stop
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use axum::{Router, routing::get};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::Notify,
        task::JoinHandle,
    };

    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    async fn start(router: Router, stop: &CancellationToken) -> (SocketAddr, JoinHandle<()>) {
        let listener = bind([127, 0, 0, 1].into(), 0).unwrap();
        let address = listener.local_addr().unwrap();
        let peer = |_: &TcpStream, address: SocketAddr| address;
        (address, tokio::spawn(serve_connections(listener, router, peer, SHORT, stop.clone())))
    }

    fn greeting() -> Router {
        Router::new().route("/", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }))
    }

    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// Whether the server closes the connection, without another byte.
    async fn is_closed(stream: &mut TcpStream) -> bool {
        let end = tokio::time::timeout(10 * SHORT, stream.read(&mut [0; 64])).await;
        matches!(end, Ok(Ok(0) | Err(_)))
    }

    /// Fault case 152: heads that never end, and connections that nobody uses.
    #[tokio::test]
    async fn slow_heads_and_idle_connections_are_closed_and_disturb_nobody() {
        let stop = CancellationToken::new();
        let (address, serving) = start(greeting(), &stop).await;
        let mut lazy = Vec::new();
        for index in 0..200 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            if index % 2 == 0 {
                stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.unwrap();
            }
            lazy.push(stream);
        }
        let mut used = TcpStream::connect(address).await.unwrap();
        let asked = Instant::now();
        assert!(ask(&mut used).await.contains("127.0.0.1"));
        assert!(asked.elapsed() < SHORT, "an answer took {:?}", asked.elapsed());
        for stream in &mut lazy {
            assert!(is_closed(stream).await);
        }
        // One that was used before is idle as well.
        assert!(is_closed(&mut used).await);
        // Whoever drips its head does not get more time by it.
        let mut dripping = TcpStream::connect(address).await.unwrap();
        let began = Instant::now();
        while dripping.write_all(b"X").await.is_ok() && began.elapsed() < 10 * SHORT {
            tokio::time::sleep(SHORT / 10).await;
        }
        assert!(began.elapsed() < 10 * SHORT);
        stop.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_stop_lets_a_request_finish_and_closes_what_is_idle() {
        let (stop, reached, release) = (CancellationToken::new(), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (at, go) = (reached.clone(), release.clone());
        let slow = get(move || async move {
            at.notify_one();
            go.notified().await;
            "done"
        });
        let (address, serving) = start(Router::new().route("/", slow), &stop).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        let mut busy = TcpStream::connect(address).await.unwrap();
        let asking = tokio::spawn(async move { ask(&mut busy).await });
        reached.notified().await;
        stop.cancel();
        assert!(is_closed(&mut idle).await);
        release.notify_one();
        let answer = asking.await.unwrap().to_lowercase();
        assert!(answer.contains("done") && answer.contains("connection: close"), "{answer}");
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
