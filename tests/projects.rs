//! `/projects`: read by the two parties, changed by nobody.

use freehunt_tests::TestApp;
use serde_json::json;

use crate::candidates::paid_posting;

#[tokio::test]
async fn both_parties_list_their_project_each_without_the_other_s_secrets() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let posting = paid_posting(app, &acme, &[45_000]).await;
        let project = app.accepted_project(posting, &bob, &acme).await;

        let of_company = acme.get(&format!("/projects/company/{}", acme.company_id())).await.expect(200);
        assert_eq!(of_company, acme.get("/projects").await.expect(200));
        let listed = &of_company[0];
        assert_eq!(listed["id"], json!(project));
        assert_eq!(listed["amount"], 450);
        assert_eq!(listed["freelance"]["user"]["username"], "bob");
        assert_eq!(listed["freelance"]["skills"], json!([]));
        assert_eq!(listed["conversation"]["id"], listed["conversationId"]);
        assert_eq!(listed["company"]["user"]["email"], "acme@example.org");
        assert!(listed["jobPosting"].get("stripeSessionId").is_some());
        let text = of_company.to_string();
        assert!(!text.contains("bob@example.org") && !text.contains("stripeAccountId"));

        let of_freelance = bob.get(&format!("/projects/freelance/{}", bob.freelance_id())).await.expect(200);
        assert_eq!(of_freelance, bob.get("/projects").await.expect(200));
        let listed = &of_freelance[0];
        assert_eq!(listed["jobPosting"]["company"]["name"], "acme SAS");
        assert_eq!(listed["jobPosting"]["skills"], json!([]));
        assert!(listed["freelance"]["stripeAccountId"].is_string());
        let text = of_freelance.to_string();
        assert!(!text.contains("acme@example.org"));
        for field in ["stripeSessionId", "stripeRefundId", "cancelReason", "canceledAt"] {
            assert!(!text.contains(field), "{field}");
        }
    })
    .await;
}

#[tokio::test]
async fn others_are_refused_in_the_original_s_words() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let (globex, eve) = (app.company("globex").await, app.freelance("eve").await);
        let posting = paid_posting(app, &acme, &[45_000]).await;
        let project = app.accepted_project(posting, &bob, &acme).await;
        let path = format!("/projects/{project}");
        for stranger in [&globex, &eve] {
            let refused = stranger.get(&path).await;
            assert_eq!(
                refused.message(),
                "Vous n'avez pas l'autorisation d'accéder à ce projet. Seuls les membres assignés au projet peuvent y accéder."
            );
            refused.expect(403);
            assert_eq!(stranger.get("/projects").await.expect(200), json!([]));
        }
        let missing = bob.get("/projects/00000000-0000-4000-8000-000000000000").await;
        assert_eq!(missing.message(), "Projet avec l'ID 00000000-0000-4000-8000-000000000000 introuvable");
        missing.expect(404);
        globex.get(&format!("/projects/company/{}", acme.company_id())).await.expect(403);
        eve.get(&format!("/projects/freelance/{}", bob.freelance_id())).await.expect(403);
        bob.get("/projects/x").await.expect(400);
        app.anonymous().get(&path).await.expect(401);
        assert_eq!(eve.get(&format!("/projects/freelance/{}", eve.freelance_id())).await.expect(200), json!([]));
    })
    .await;
}

/// Fault case 34.
#[tokio::test]
async fn nobody_makes_changes_or_deletes_a_project() {
    TestApp::run(async |app| {
        let (acme, bob) = (app.company("acme").await, app.freelance("bob").await);
        let posting = paid_posting(app, &acme, &[45_000]).await;
        let project = app.accepted_project(posting, &bob, &acme).await;
        let path = format!("/projects/{project}");
        for party in [&acme, &bob] {
            party.post("/projects", json!({ "name": "x" })).await.expect(403);
            party.patch(&path, json!({ "amount": 1 })).await.expect(403);
            party.delete(&path).await.expect(403);
        }
        assert_eq!(bob.get(&path).await.expect(200)["amount"], 450);
    })
    .await;
}

#[tokio::test]
async fn who_sees_a_posting_may_ask_whether_it_became_a_project() {
    TestApp::run(async |app| {
        let (acme, bob, eve) = (app.company("acme").await, app.freelance("bob").await, app.freelance("eve").await);
        let posting = paid_posting(app, &acme, &[45_000]).await;
        let path = format!("/projects/exists/job-posting/{posting}");
        assert_eq!(eve.get(&path).await.text, "false");
        app.accepted_project(posting, &bob, &acme).await;
        assert_eq!(eve.get(&path).await.text, "true");
        app.anonymous().get(&path).await.expect(401);
        sqlx::query(r#"UPDATE "JobPosting" SET "status" = 'EXPIRED'"#).execute(&app.pool).await.unwrap();
        assert_eq!(eve.get(&path).await.text, "false", "to a stranger it is as if there were no posting");
        assert_eq!(bob.get(&path).await.text, "true");
        assert_eq!(acme.get(&path).await.text, "true");
    })
    .await;
}
