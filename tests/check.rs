//! `freehunt-api check`: a line for everything the servers depend on, in both outcomes.

use freehunt_api::commands::check::findings;
use freehunt_domain::users::Role;
use freehunt_tests::{TestApp, TestOptions};

use crate::money::execute;

/// The lines that say FAILED, by name.
async fn failures(app: &TestApp) -> Vec<(&'static str, String)> {
    let findings = findings(&app.state).await;
    findings.iter().filter(|finding| finding.result.is_err()).map(|it| (it.name, it.to_string())).collect()
}

/// One thing is wrong, and its line says what, and what to do.
async fn only(app: &TestApp, name: &str, what: &str, advice: &str) {
    let failures = failures(app).await;
    let [(failed, line)] = &failures[..] else { panic!("expected {name} alone: {failures:?}") };
    assert_eq!(*failed, name, "{line}");
    assert!(line.starts_with("FAILED  ") && line.contains(what) && line.contains(advice), "{line}");
}

#[tokio::test]
async fn everything_in_order_is_a_line_of_ok_each() {
    TestApp::run(async |app| {
        app.freelance("bob").await;
        let lines: Vec<String> = findings(&app.state).await.iter().map(ToString::to_string).collect();
        let shown = lines.join("\n");
        assert!(lines.iter().all(|line| line.starts_with("ok      ")), "{shown}");
        for name in
            ["database", "schema", "identities", "authentik", "s3", "stripe", "webhooks", "jobs", "names", "cookies"]
        {
            assert!(lines.iter().any(|line| line[8..].starts_with(name)), "{name} is missing:\n{shown}");
        }
        for secret in app.settings().iter().filter(|(name, _)| name.contains("SECRET") || name.contains("KEY")) {
            assert!(!shown.contains(secret.1.as_str()), "{} is shown", secret.0);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_in_the_database_is_named() {
    TestApp::run(async |app| {
        app.user("alice", Role::Freelance).await;
        let broken = [
            ("DELETE FROM identity", "identities", "1 users are bound to no account", "bind-identities"),
            (
                "INSERT INTO job (kind, payload, unique_key, state) VALUES ('send_transfer', '{}', 'x', 'DEAD')",
                "jobs",
                "1 dead jobs",
                "freehunt-api jobs",
            ),
            (
                "INSERT INTO stripe_event (id, type, created_at, live_mode, payload, received_at)
                 VALUES ('evt_1', 'charge.updated', now(), false, '{}', now() - interval '20 minutes')",
                "webhooks",
                "1 events wait",
                "/stripe/webhook",
            ),
            (
                "INSERT INTO stripe_event (id, type, created_at, live_mode, payload, received_at, processed_at)
                 SELECT 'evt_' || n, 'charge.updated', now() - n * interval '20 seconds', false, '{}', now(), now()
                 FROM generate_series(0, 4) n",
                "webhooks",
                "of the last 5 events 4 came by Stripe's list",
                "compare STRIPE_WEBHOOK_SECRET",
            ),
            ("DROP INDEX candidate_one_accepted", "rules", "candidate_one_accepted", "look at the rows"),
        ];
        let mended = [
            "INSERT INTO identity (user_id, authentik_uid, bound_by) SELECT \"id\", 'x', 'operator' FROM \"User\"",
            "DELETE FROM job",
            "DELETE FROM stripe_event",
            // Most come in time again.
            "UPDATE stripe_event SET created_at = received_at WHERE id < 'evt_3'",
            "CREATE INDEX candidate_one_accepted ON \"Candidate\" (\"id\")",
        ];
        for ((statement, name, what, advice), mend) in broken.into_iter().zip(mended) {
            execute(app, statement).await;
            only(app, name, what, advice).await;
            execute(app, mend).await;
        }
        assert_eq!(failures(app).await, []);
        execute(app, "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)").await;
        let failures = failures(app).await;
        assert!(failures.iter().any(|(name, line)| *name == "schema" && line.contains("migrate")), "{failures:?}");
    })
    .await;
}

#[tokio::test]
async fn services_that_fail_are_named() {
    TestApp::run(async |app| {
        app.s3.controls().fail_everything();
        only(app, "s3", "unavailable", "correct S3_URL").await;
        app.s3.controls().recover();
        app.stripe.controls().fail_everything();
        only(app, "stripe", "", "correct STRIPE_SECRET_KEY").await;
        app.stripe.controls().recover();
        app.authentik.controls().fail_everything();
        // What was discovered of OpenID Connect stays known.
        only(app, "authentik", "", "correct AUTHENTIK_URL").await;
        app.authentik.controls().recover();
        app.state.pool.close().await;
        let failures = failures(app).await;
        let line = &failures.iter().find(|(name, _)| *name == "database").expect("the database is named").1;
        assert!(line.contains("start PostgreSQL"), "{line}");
    })
    .await;
}

#[tokio::test]
async fn names_that_lead_nowhere_and_cookies_that_are_not_shared_are_named() {
    let options = TestOptions::default()
        .with("AUTHENTIK_PUBLIC_URL", "http://nowhere.invalid")
        .with("OIDC_ISSUER", "http://127.0.0.1:9/application/o/freehunt/");
    TestApp::run_with(options, async |app| {
        let failures = failures(app).await;
        let names: Vec<&str> = failures.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["oidc", "names"]);
        assert!(failures[1].1.contains("nowhere.invalid cannot be resolved"), "{}", failures[1].1);
    })
    .await;
    let options = TestOptions::default().with("COOKIE_DOMAIN", "elsewhere.example");
    TestApp::run_with(options, async |app| {
        let failures = failures(app).await;
        let cookies = failures.iter().find(|(name, _)| *name == "cookies").expect("the cookies are named");
        assert!(cookies.1.contains("is not below elsewhere.example -> set COOKIE_DOMAIN"), "{}", cookies.1);
    })
    .await;
}
