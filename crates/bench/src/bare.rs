//! A handler that does nothing but answer, on the same runtime and library as the servers: what is left of their rate
//! beside it is what they do themselves.

use std::{net::SocketAddr, path::Path};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderValue, header},
};
use tokio::net::TcpListener;

pub async fn serve(address: SocketAddr, body: &Path, content_type: &str) -> anyhow::Result<()> {
    let body = Bytes::from(std::fs::read(body)?);
    let content_type = HeaderValue::from_str(content_type)?;
    let handler = move || {
        let answer = ([(header::CONTENT_TYPE, content_type.clone())], body.clone());
        async move { answer }
    };
    axum::serve(TcpListener::bind(address).await?, Router::new().fallback(handler)).await?;
    Ok(())
}
