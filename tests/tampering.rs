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

/// The role comes from the session, whatever the body says.
#[tokio::test]
async fn fault_cases_35_and_36_a_checkpoint_is_advanced_by_who_asks() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let (alice, acme) = (world.persona("alice"), world.persona("acme"));
        let path = format!("/checkpoints/{}", world.get("kProject"));
        for (persona, other) in [(alice, acme.user_id), (acme, alice.user_id), (alice, world.persona("bob").user_id)] {
            persona.put(&path, json!({ "status": "DONE", "userId": other })).await.expect(403);
        }
        app.stripe.controls().forget_calls();
        // The freelance submits; doing so again approves nothing.
        for _ in 0..3 {
            let submitted = alice.put(&path, json!({ "status": "DONE" })).await.expect(200);
            assert_eq!(submitted["status"], "PENDING_COMPANY_APPROVAL");
        }
        assert!(app.stripe.controls().calls().is_empty());
    })
    .await;
}

/// Fault cases 48 and 55: what is no id, wherever it stands, and the forms in which an id may come.
#[tokio::test]
async fn fault_case_55_ids_come_in_either_case_and_nil_is_nothing() {
    TestApp::run(async |app| {
        let world = World::build(app).await;
        let mut findings = Vec::new();
        let rows = crate::authorization::rows();
        for row in rows.iter().filter(|row| row.method == "GET" && row.cells[4].1 == 200 && row.path.contains("/{{")) {
            let persona = world.persona(&row.cells[4].0);
            let path = world.fill(app, &mut crate::world::Names::new(), &row.path).await;
            if path.contains('@') {
                continue;
            }
            let segments = |change: &dyn Fn(&str) -> String| {
                let is_id = |segment: &&str| uuid::Uuid::try_parse(segment).is_ok();
                let parts = path.split('/').map(|part| if is_id(&part) { change(part) } else { part.to_owned() });
                parts.collect::<Vec<_>>().join("/")
            };
            let upper = persona.get(&segments(&|id| id.to_uppercase())).await;
            let nil = persona.get(&segments(&|_| "00000000-0000-0000-0000-000000000000".to_owned())).await;
            // The original answers an absent skill with nothing, and has no project of an absent posting.
            let nil_fits =
                [403, 404].contains(&nil.status) || (nil.status == 200 && ["", "false"].contains(&nil.text.as_str()));
            if upper.status != 200 || !nil_fits {
                findings.push(format!("{}: upper case {}, nil {} {}", row.path, upper.status, nil.status, nil.text));
            }
        }
        let alice = world.persona("alice");
        for query in ["userId=%00", "userId=", "userId=x&userId=y", "type=%00", &format!("userId={}%00", alice.user_id)]
        {
            let answer = alice.get(&format!("/upload?{query}")).await;
            if answer.status != 400 {
                findings.push(format!("/upload?{query}: {} {}", answer.status, answer.text));
            }
        }
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    })
    .await;
}
