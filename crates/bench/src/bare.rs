//! A handler that does nothing but answer, with the same headers and body and on the same runtime and library as the
//! servers: what is left of their rate beside it is what they do themselves.

use std::{net::SocketAddr, path::Path};

use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use tokio::net::TcpListener;

/// Answers every request as the file has it: head, empty line, body.
pub async fn serve(address: SocketAddr, answer: &Path) -> anyhow::Result<()> {
    let answer = Bytes::from(std::fs::read(answer)?);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("an answer has an empty line")?;
    let headers = headers_of(std::str::from_utf8(&answer[..end])?)?;
    let body = answer.slice(end + 4..);
    let handler = move || {
        let answer = (headers.clone(), body.clone());
        async move { answer }
    };
    axum::serve(TcpListener::bind(address).await?, Router::new().fallback(handler)).await?;
    Ok(())
}

/// What the handler has to say; the library itself adds length and date.
fn headers_of(head: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(':').context("a header has a colon")?;
        let name = HeaderName::from_bytes(name.as_bytes())?;
        if name != header::CONTENT_LENGTH && name != header::DATE {
            headers.append(name, HeaderValue::from_str(value.trim())?);
        }
    }
    Ok(headers)
}
