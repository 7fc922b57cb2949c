//! Stands between a server and PostgreSQL and counts the statements that pass: `Execute` and `Query` messages of the
//! frontend protocol.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
};

#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The same database by way of a counter.
pub async fn counted(database_url: &str) -> (String, Counter) {
    let mut url = url::Url::parse(database_url).expect("the database has a URL");
    let target = (url.host_str().expect("a host").to_owned(), url.port().unwrap_or(5432));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    url.set_host(Some("127.0.0.1")).expect("a host can be set");
    url.set_port(listener.local_addr().ok().map(|address| address.port())).expect("a port can be set");
    // What is encrypted cannot be counted.
    url.query_pairs_mut().clear().append_pair("sslmode", "disable");
    let counter = Counter::default();
    tokio::spawn(accept(listener, target, counter.clone()));
    (url.into(), counter)
}

async fn accept(listener: TcpListener, target: (String, u16), counter: Counter) {
    while let Ok((server, _)) = listener.accept().await {
        let Ok(database) = TcpStream::connect(&target).await else { return };
        let counter = counter.clone();
        tokio::spawn(async move {
            let (from_server, mut to_server) = server.into_split();
            let (mut from_database, to_database) = database.into_split();
            // Either side may hang up.
            let _ended = tokio::try_join!(
                copy(&mut from_database, &mut to_server),
                forward_and_count(from_server, to_database, counter)
            );
        });
    }
}

async fn forward_and_count(
    mut server: impl AsyncRead + Unpin,
    mut database: impl AsyncWrite + Unpin,
    counter: Counter,
) -> std::io::Result<()> {
    // The first message has no type.
    let mut message = read_message(&mut server, 0).await?;
    loop {
        database.write_all(&message).await?;
        message = read_message(&mut server, 1).await?;
        if matches!(message.first(), Some(b'E' | b'Q')) {
            counter.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A message with its length, which comes after `type_bytes` bytes and counts itself.
async fn read_message(stream: &mut (impl AsyncRead + Unpin), type_bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; type_bytes + 4];
    stream.read_exact(&mut message).await?;
    let length = u32::from_be_bytes(message[type_bytes..].try_into().expect("four bytes"));
    message.resize(type_bytes + length as usize, 0);
    stream.read_exact(&mut message[type_bytes + 4..]).await?;
    Ok(message)
}
