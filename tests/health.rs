//! `/health`, unknown routes, and what every answer carries.

use freehunt_tests::{Answer, TestApp};

#[tokio::test]
async fn health_says_ok() {
    TestApp::run(async |app| {
        let anonymous = app.anonymous();
        for path in
            ["/health", "/health/", "/HEALTH", "/health?x=1", "/health/live", "/health/ready", "/health/started"]
        {
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

/// A plain question is answered from memory, and the answer is the same as that of the usual way.
#[tokio::test]
async fn a_plain_question_for_health_is_answered_like_any_other() {
    TestApp::run(async |app| {
        let anonymous = app.anonymous();
        let ask = async |condition: Option<&str>| {
            let url = format!("{}/health", app.url);
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let request =
                condition.into_iter().fold(client.get(url), |request, tag| request.header("if-none-match", tag));
            anonymous.answer(request).await
        };
        let headers = |answer: &Answer| {
            let told = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
                let value =
                    if ["date", "x-request-id"].contains(&name.as_str()) { "any" } else { value.to_str().unwrap() };
                format!("{name}: {value}")
            };
            let mut lines: Vec<String> = answer.headers.iter().map(told).collect();
            lines.sort();
            lines
        };
        let usual = ask(Some("W/\"another\"")).await;
        for _ in 0..3 {
            let plain = ask(None).await;
            assert_eq!((plain.status, plain.text.as_str()), (200, "OK"));
            assert_eq!(headers(&plain), headers(&usual));
        }
        let (first, second) = (ask(None).await, ask(None).await);
        assert_ne!(first.headers["x-request-id"], second.headers["x-request-id"]);
    })
    .await;
}
