//! `bootstrap-storage`: makes the bucket and opens its avatars to readers, for servers like MinIO.

use super::{print, state};

pub async fn run() -> anyhow::Result<()> {
    let state = state()?;
    let done = state.storage.bootstrap(&state.config.frontend.origin()).await?;
    print(&Ok(done.to_string()))
}
