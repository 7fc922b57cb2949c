//! What a browser on another site cannot do, and what every answer carries.

use freehunt_domain::users::Role;
use freehunt_tests::{Persona, TestApp, TestOptions, settings};
use http::Method;
use serde_json::json;

async fn log_out_from(persona: &Persona, headers: &[(&str, &str)]) -> u16 {
    let mut request = persona
        .request(Method::POST, "/auth/logout")
        .json(&json!({}))
        .build()
        .expect("the request is well formed and answered");
    request.headers_mut().remove("origin");
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().expect("the request is well formed and answered");
        request.headers_mut().insert(name, value.parse().expect("the request is well formed and answered"));
    }
    reqwest::Client::builder()
        .build()
        .expect("the request is well formed and answered")
        .execute(request)
        .await
        .expect("the request is well formed and answered")
        .status()
        .as_u16()
}

/// Fault case 41.
#[tokio::test]
async fn a_foreign_origin_changes_nothing() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        for origin in ["https://evil.example", "null", "http://localhost:5173.evil.example", "http://localhost:5174"] {
            assert_eq!(log_out_from(&alice, &[("origin", origin)]).await, 403, "{origin}");
        }
        assert_eq!(log_out_from(&alice, &[("sec-fetch-site", "cross-site")]).await, 403);
        alice.get("/auth/getme").await.expect(200);
        assert_eq!(log_out_from(&alice, &[("origin", settings::FRONTEND)]).await, 201);
        alice.get("/auth/getme").await.expect(401);
        let bob = app.user("bob", Role::Freelance).await;
        assert_eq!(log_out_from(&bob, &[]).await, 201);
    })
    .await;
}

/// Fault case 42.
#[tokio::test]
async fn forms_of_other_sites_are_no_json() {
    TestApp::run(async |app| {
        app.user("alice", Role::Freelance).await;
        for (kind, body) in [
            ("application/x-www-form-urlencoded", "email=alice&password=x"),
            ("text/plain", r#"{"email":"alice","password":"x"}"#),
            ("multipart/form-data; boundary=x", "--x--"),
        ] {
            let request = app.anonymous().request(Method::POST, "/auth/login").header("content-type", kind).body(body);
            app.anonymous().answer(request).await.expect(415);
        }
        assert!(app.authentik.controls().calls().is_empty());
    })
    .await;
}

/// Fault cases 44 and 45.
#[tokio::test]
async fn only_the_frontend_may_read_with_credentials() {
    let options = TestOptions::default().with("FRONTEND_URL", "https://freehunt.example");
    TestApp::run_with(options, async |app| {
        let ask = async |method: Method, origin: &str| {
            let client = reqwest::Client::builder().build().unwrap();
            let request = client.request(method, format!("{}/auth/getme", app.url)).header("origin", origin);
            let request = request.header("access-control-request-method", "GET");
            request.send().await.unwrap()
        };
        for origin in ["https://freehunt.example", "https://www.freehunt.example"] {
            for method in [Method::OPTIONS, Method::GET] {
                let answer = ask(method, origin).await;
                assert_eq!(answer.headers()["access-control-allow-origin"], origin);
                assert_eq!(answer.headers()["access-control-allow-credentials"], "true");
                let vary: Vec<_> =
                    answer.headers().get_all("vary").iter().map(|v| v.to_str().unwrap().to_lowercase()).collect();
                assert!(vary.join(",").contains("origin"), "{vary:?}");
            }
        }
        for origin in ["https://evil.example", "http://localhost:5173", "null", "http://freehunt.example"] {
            for method in [Method::OPTIONS, Method::GET] {
                let answer = ask(method, origin).await;
                assert!(!answer.headers().contains_key("access-control-allow-origin"), "{origin}");
            }
        }
    })
    .await;
}

/// Fault case 46.
#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        for path in ["/auth/getme", "/nothing?<script>", "/users/x", "/skills"] {
            for persona in [&alice, &app.anonymous()] {
                let answer = persona.get(path).await;
                assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
                assert_eq!(answer.headers["cache-control"], "no-store");
                assert_eq!(answer.headers["referrer-policy"], "no-referrer");
                assert!(answer.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
            }
        }
    })
    .await;
}

/// Fault case 47, for what is read here.
#[tokio::test]
async fn reading_writes_nothing() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let rows = async || {
            let all: Vec<String> = sqlx::query_scalar(
                r#"SELECT row_to_json(u)::text FROM "User" u UNION ALL SELECT row_to_json(i)::text FROM identity i
                   UNION ALL SELECT row_to_json(s)::text FROM session s UNION ALL SELECT row_to_json(l)::text FROM "Log" l
                   UNION ALL SELECT row_to_json(t)::text FROM socket_ticket t"#,
            )
            .fetch_all(&app.pool)
            .await
            .unwrap();
            all
        };
        let before = rows().await;
        for path in ["/auth/getme", "/users", &format!("/users/{}", alice.user_id), "/users/email/alice@example.org"] {
            alice.get(path).await;
            app.anonymous().get(path).await;
        }
        assert_eq!(rows().await, before);
    })
    .await;
}
