//! Bent methods and paths, an upload from elsewhere, and what a request says coming back: fault cases 38 to 40, 43, 46.

use freehunt_domain::users::Role;
use freehunt_tests::TestApp;
use reqwest::Method;
use serde_json::json;

use crate::{authorization::multipart_picture, world::World};

/// Fault case 38.
#[tokio::test]
async fn other_methods_are_no_way_around() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let anonymous = app.anonymous();
        let posting = app.unpaid_posting(&acme, &[50_000]).await;
        let path = format!("/job-postings/{posting}");
        assert_eq!(anonymous.answer(anonymous.request(Method::HEAD, "/auth/getme")).await.status, 401);
        assert_eq!(anonymous.answer(anonymous.request(Method::HEAD, &path)).await.status, 404);
        for name in ["x-http-method-override", "x-method-override", "x-http-method"] {
            let request = anonymous.request(Method::GET, &path).header(name, "DELETE");
            assert_eq!(anonymous.answer(request).await.status, 404, "{name}");
            let request =
                acme.request(Method::POST, &path).header(name, "DELETE").json(&json!({ "_method": "DELETE" }));
            assert_eq!(acme.answer(request).await.status, 404, "{name}");
        }
        assert_eq!(app.posting_status(posting).await, "PENDING_PAYMENT");
    })
    .await;
}

/// Fault cases 39 and 40.
#[tokio::test]
async fn bent_paths_meet_the_same_rules_or_nothing() {
    TestApp::run(async |app| {
        let acme = app.company("acme").await;
        let posting = app.unpaid_posting(&acme, &[50_000]).await;
        let variants = [
            format!("/job-postings/{posting}/"),
            format!("/JOB-POSTINGS/{posting}"),
            format!("//job-postings/{posting}"),
            format!("/job-postings//{posting}"),
            format!("/skills/%2e%2e/job-postings/{posting}"),
            format!("/job-postings/{}", posting.to_string().to_uppercase()),
            format!("/job%2Dpostings/{posting}"),
            format!("/job-postings/{posting}%2f"),
            format!("/job-postings/{posting}%00"),
            format!("/job-postings/{posting};x=1"),
        ];
        let globex = app.company("globex").await;
        for path in &variants {
            for persona in [&app.anonymous(), &globex] {
                let answer = persona.get(path).await;
                assert!([400, 404].contains(&answer.status), "{path} as {}: {}", persona.name, answer.status);
            }
        }
        acme.get(&variants[0]).await.expect(200);
        acme.get(&variants[1]).await.expect(200);
    })
    .await;
}

/// Fault case 43.
#[tokio::test]
async fn an_upload_from_elsewhere_is_refused() {
    TestApp::run(async |app| {
        let bob = app.user("bob", Role::Freelance).await;
        let request =
            bob.request(Method::POST, "/upload").header("content-type", "multipart/form-data; boundary=picture");
        let mut request = request.body(multipart_picture()).build().unwrap();
        request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
        assert_eq!(bob.execute(request).await.status, 403);
        assert!(app.s3.objects().is_empty());
    })
    .await;
}

/// Fault case 46: nothing a request says becomes a page.
#[tokio::test]
async fn what_a_request_says_comes_back_only_as_data() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let bob = world.persona("bob");
        for path in ["/%3Cscript%3Ealert(1)%3C/script%3E", "/skills/%3Cscript%3E", "/nope?q=<script>"] {
            let answer = bob.get(path).await;
            assert!(answer.status >= 400, "{path}");
            assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/json"), "{path}");
            assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
            assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        }
        let answer =
            bob.post("/skills", json!({ "<img src=x>": 1, "name": "<b>", "aliases": [], "type": "SOFT" })).await;
        assert_eq!(answer.status, 400);
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/json"));
    })
    .await;
}
