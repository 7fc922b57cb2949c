//! Paths as the original's router reads them: a trailing slash is accepted, and fixed segments match in any case.

use std::{collections::HashSet, sync::Arc};

use axum::{
    extract::Request,
    http::{Uri, uri::PathAndQuery},
};

/// The fixed segments of all routes, in lower case.
#[derive(Clone, Debug, Default)]
pub struct KnownSegments(Arc<HashSet<String>>);

impl KnownSegments {
    pub fn of<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let segments = paths.flat_map(|path| path.split('/')).filter(|segment| !segment.starts_with('{'));
        Self(Arc::new(segments.map(str::to_ascii_lowercase).collect()))
    }

    fn canonical<'a>(&self, segment: &'a str) -> std::borrow::Cow<'a, str> {
        if segment.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let lower = segment.to_ascii_lowercase();
            if self.0.contains(&lower) {
                return lower.into();
            }
        }
        segment.into()
    }
}

/// The path as the client sent it, for the text of a 404. Only where the path was rewritten.
#[derive(Clone, Debug)]
pub struct OriginalUri(pub Uri);

/// Rewrites the path before it is routed.
pub fn normalize_path(known: &KnownSegments, mut request: Request) -> Request {
    let path = request.uri().path();
    let trimmed = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
    if trimmed == path && !path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return request;
    }
    let original = request.uri().clone();
    let canonical: Vec<_> = trimmed.split('/').map(|segment| known.canonical(segment)).collect();
    let canonical = canonical.join("/");
    if canonical != original.path() {
        let query = original.query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(path_and_query) = PathAndQuery::try_from(format!("{canonical}{query}")) {
            let mut parts = original.clone().into_parts();
            parts.path_and_query = Some(path_and_query);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
    request.extensions_mut().insert(OriginalUri(original));
    request
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn normalized(path: &str) -> String {
        let known = KnownSegments::of(["/job-postings/{id}/cancel"].into_iter());
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        normalize_path(&known, request).uri().to_string()
    }

    #[test]
    fn trailing_slashes_and_case_of_fixed_segments() {
        assert_eq!(normalized("/Job-Postings/"), "/job-postings");
        assert_eq!(normalized("/job-postings/ABC/CANCEL?x=Y"), "/job-postings/ABC/cancel?x=Y");
        assert_eq!(normalized("/"), "/");
        assert_eq!(normalized("//job-postings"), "//job-postings");
    }
}
