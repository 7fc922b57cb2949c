//! `/health`, unknown routes, and what every answer carries.

use freehunt_tests::TestApp;

#[tokio::test]
async fn health_says_ok() {
    TestApp::run(async |app| {
        let anonymous = app.anonymous();
        for path in ["/health", "/health/", "/HEALTH", "/health?x=1", "/health/live", "/health/ready"] {
            let answer = anonymous.get(path).await;
            assert_eq!((answer.status, answer.text.as_str()), (200, "OK"), "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn unknown_routes_and_methods_are_404() {
    TestApp::run(async |app| {
        let anonymous = app.anonymous();
        let answer = anonymous.get("/nope?a=1&b=2").await;
        assert_eq!(answer.message(), "Cannot GET /nope?a=1&b=2");
        assert_eq!(answer.expect(404)["error"], "Not Found");
        assert_eq!(anonymous.delete("/skills").await.message(), "Cannot DELETE /skills");
    })
    .await;
}

/// Fault case 46.
#[tokio::test]
async fn every_answer_has_security_headers() {
    TestApp::run(async |app| {
        for path in ["/health", "/nope", "/skills", "/auth/getme"] {
            let answer = app.anonymous().get(path).await;
            assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
            assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
            assert!(
                answer.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"),
                "{path}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn etags_are_honoured() {
    TestApp::run(async |app| {
        let anonymous = app.anonymous();
        let request = anonymous.request(reqwest::Method::GET, "/health");
        let answer = anonymous.answer(request.header("if-none-match", "W/\"2-nOO9QiTIwXgNtWtBJezz8kv3SLc\"")).await;
        assert_eq!((answer.status, answer.text.as_str()), (304, ""));
    })
    .await;
}
