//! Who may do what: the owner of the keys everything, everybody else read avatars.

use futures_util::future::BoxFuture;
use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    path::S3Path,
    s3_error,
};

use super::PUBLIC_BUCKET;

const PUBLIC_PREFIX: &str = "avatars/";

/// What the policy set by `Storage::bootstrap` says.
pub(super) struct PublicAvatars;

impl S3Access for PublicAvatars {
    // Spelled out as the trait's macro would write it.
    fn check<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        context: &'life1 mut S3AccessContext<'life2>,
    ) -> BoxFuture<'async_trait, S3Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        let allowed = context.credentials().is_some() || is_public_read(context);
        Box::pin(async move { if allowed { Ok(()) } else { Err(s3_error!(AccessDenied, "Signature is required")) } })
    }
}

fn is_public_read(context: &S3AccessContext<'_>) -> bool {
    let read = matches!(context.s3_op().name(), "GetObject" | "HeadObject");
    let public = match context.s3_path() {
        S3Path::Object { bucket, key } => &**bucket == PUBLIC_BUCKET && key.starts_with(PUBLIC_PREFIX),
        _ => false,
    };
    read && public
}
