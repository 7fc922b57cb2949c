//! The stand-in for S3: objects in a folder, signatures checked as S3 checks them, and avatars that anybody may read,
//! as the policy of the real bucket allows.
//!
//! Policies and CORS rules cannot be set on it (501), which is what some MinIO-like servers answer too.

mod access;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::stand_in::{self, Controls, Running};

/// The bucket whose `avatars/*` anybody may read.
pub const PUBLIC_BUCKET: &str = "freehunt-avatar";

/// Where a stand-in keeps its objects and whom it serves.
#[derive(Clone, Debug)]
pub struct S3StandInSettings {
    /// Made if missing; what it holds is served.
    pub root: PathBuf,
    pub access_key: String,
    pub secret_key: String,
    /// Made at the start if missing.
    pub buckets: Vec<String>,
}

/// A running S3. Dropping it stops it and leaves its folder.
pub struct S3StandIn {
    running: Running,
    root: PathBuf,
}

impl S3StandIn {
    /// Serves `settings` on `listener`.
    pub fn start(listener: TcpListener, settings: S3StandInSettings) -> io::Result<Self> {
        std::fs::create_dir_all(&settings.root)?;
        let root = settings.root.canonicalize()?;
        for bucket in &settings.buckets {
            std::fs::create_dir_all(root.join(bucket))?;
        }
        let files = FileSystem::new(&root).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(settings.access_key, settings.secret_key));
        service.set_access(access::PublicAvatars);
        let router = Router::new().fallback(answer).with_state(service.build());
        let running = stand_in::serve(listener, router, Controls::new())?;
        Ok(Self { running, root })
    }

    /// Base URL without a trailing slash.
    pub fn url(&self) -> String {
        self.running.url()
    }

    pub fn controls(&self) -> Controls {
        self.running.controls.clone()
    }

    /// The keys in [`PUBLIC_BUCKET`], sorted.
    pub fn objects(&self) -> Vec<String> {
        let bucket = self.root.join(PUBLIC_BUCKET);
        let mut keys = Vec::new();
        let mut folders = vec![bucket.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(key) = path.strip_prefix(&bucket) {
                    keys.push(key.to_string_lossy().into_owned());
                }
            }
        }
        keys.sort();
        keys
    }

    /// The bytes of an object in [`PUBLIC_BUCKET`].
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        let inside = Path::new(key).components().all(|component| matches!(component, Component::Normal(_)));
        if inside { std::fs::read(self.root.join(PUBLIC_BUCKET).join(key)).ok() } else { None }
    }

    /// Stops accepting and waits for the listener to be closed.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

async fn answer(State(service): State<S3Service>, request: Request) -> Response {
    match service.oneshot(request).await {
        Ok(response) => {
            let mut response = response.map(Body::new);
            response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")).into_response(),
    }
}
