//! `/stripe`: where freelances are paid to, the fee preview, and what is closed.

use freehunt_domain::users::Role;
use freehunt_sandbox::stand_in::Misbehaviour;
use freehunt_tests::{Persona, TestApp, settings};
use http::Method;
use serde_json::{Value, json};

use crate::money::{execute, text};

/// A freelance with a profile and no payout account.
async fn unconnected(app: &TestApp, name: &str) -> Persona {
    let persona = app.user(name, Role::Freelance).await;
    let body = json!({
        "firstName": name, "lastName": "Martin", "jobTitle": "Dev", "averageDailyRate": 400, "location": "Lyon",
        "seniority": 3, "userId": persona.user_id, "skillIds": []
    });
    let profile = persona.post("/freelances", body).await.expect(201);
    let id = uuid::Uuid::parse_str(&text(&profile, "id")).expect("ids are UUIDs");
    Persona { freelance_id: Some(id.into()), ..persona }
}

fn connection_body(freelance: &Persona) -> Value {
    json!({ "freelanceId": freelance.freelance_id(), "email": freelance.email, "name": freelance.name })
}

async fn confirm(freelance: &Persona, account: &str) -> freehunt_tests::Answer {
    let body = json!({ "freelanceId": freelance.freelance_id(), "accountId": account, "extra": 1 });
    freelance.post("/stripe/confirm-account-activation", body).await
}

#[tokio::test]
async fn an_account_is_made_once_and_confirmed() {
    TestApp::run(async |app| {
        let alice = unconnected(app, "alice").await;
        let path = "/stripe/create-account-connection";
        let connected = alice.post(path, connection_body(&alice)).await.expect(201);
        let account = text(&connected, "stripeAccountId");
        assert_eq!(connected["account"], json!({ "id": account }));
        let again = alice.post(path, connection_body(&alice)).await.expect(201);
        assert_eq!(text(&again, "stripeAccountId"), account);
        assert_eq!(app.stripe.books().accounts.len(), 1);
        assert_eq!(app.stripe.books().accounts[0].metadata["freelanceId"], alice.freelance_id().to_string());
        let link = app.stripe.controls().calls_to(Method::POST, "/v1/account_links").remove(0);
        let form = String::from_utf8(link.body.to_vec()).unwrap();
        let return_url = format!(
            "return_url={}/profile/freelance?stripe_return%3Dsuccess%26account_id%3D{account}",
            settings::FRONTEND
        );
        assert!(form.contains(&return_url), "{form}");
        // Stored at creation, so that no race with the return from Stripe can lose it.
        let profile = alice.get(&format!("/freelances/user/{}", alice.user_id)).await.expect(200);
        assert_eq!(profile["stripeAccountId"], account.as_str());

        confirm(&alice, &account).await.expect(409);
        app.stripe.finish_onboarding(&account).unwrap();
        let confirmed = confirm(&alice, &account).await.expect(201);
        assert_eq!(confirmed["success"], true);
        assert_eq!(confirmed["message"], "Compte Stripe activé avec succès");
        assert_eq!(confirmed["freelance"]["stripeAccountId"], account.as_str());
        confirm(&alice, "acct_mine").await.expect(409);
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_account() {
    TestApp::run(async |app| {
        let alice = unconnected(app, "alice").await;
        app.stripe.controls().misbehave_on(Method::POST, "/v1/accounts", usize::MAX, Misbehaviour::LoseAnswer);
        let path = "/stripe/create-account-connection";
        alice.post(path, connection_body(&alice)).await.expect(503);
        app.stripe.controls().recover();
        alice.post(path, connection_body(&alice)).await.expect(201);
        assert_eq!(app.stripe.books().accounts.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn accounts_are_ones_own() {
    TestApp::run(async |app| {
        let (alice, bob) = (unconnected(app, "alice").await, unconnected(app, "bob").await);
        let acme = app.company("acme").await;
        let path = "/stripe/create-account-connection";
        app.anonymous().post(path, connection_body(&alice)).await.expect(401);
        bob.post(path, connection_body(&alice)).await.expect(403);
        acme.post(path, connection_body(&alice)).await.expect(403);
        let broken = alice.post(path, json!({})).await;
        assert_eq!(
            broken.message(),
            "freelanceId must be a string\nfreelanceId should not be empty\nemail must be a string\nemail should not be \
             empty\nname must be a string\nname should not be empty"
        );
        assert!(app.stripe.books().accounts.is_empty());
    })
    .await;
}

/// An account the original stored is adopted when it was made for this profile, and only then (X3).
#[tokio::test]
async fn an_account_of_the_originals_is_adopted_or_refused() {
    TestApp::run(async |app| {
        let (alice, bob) = (unconnected(app, "alice").await, unconnected(app, "bob").await);
        let path = "/stripe/create-account-connection";
        let account = text(&alice.post(path, connection_body(&alice)).await.expect(201), "stripeAccountId");
        execute(app, "DELETE FROM payout_account").await;
        assert_eq!(text(&alice.post(path, connection_body(&alice)).await.expect(201), "stripeAccountId"), account);
        sqlx::query(r#"UPDATE "Freelance" SET "stripeAccountId" = $2 WHERE "id" = $1"#)
            .bind(bob.freelance_id().0)
            .bind(&account)
            .execute(&app.pool)
            .await
            .unwrap();
        execute(app, "DELETE FROM payout_account").await;
        execute(app, r#"UPDATE "Freelance" SET "stripeAccountId" = NULL WHERE "firstName" = 'alice'"#).await;
        bob.post(path, connection_body(&bob)).await.expect(409);
    })
    .await;
}

#[tokio::test]
async fn the_fee_preview_is_arithmetic_for_sessions() {
    TestApp::run(async |app| {
        let alice = app.user("alice", Role::Freelance).await;
        let path = "/stripe/preview-transfer-fees";
        app.anonymous().post(path, json!({ "amount": 100 })).await.expect(401);
        let preview = alice.post(path, json!({ "amount": 100, "x": 1 })).await.expect(201);
        assert_eq!(preview, json!({ "grossAmount": 100, "stripeFee": 3.15, "netAmount": 96.85, "feesInEuros": 3.15 }));
        for amount in [json!("100"), json!(true), json!(-1), json!(null), json!([5]), json!(1e21)] {
            alice.post(path, json!({ "amount": amount })).await.expect(400);
        }
        for closed in ["create-checkout-session", "activate-account-connection", "create-quote", "create-product"] {
            app.anonymous().post(&format!("/stripe/{closed}"), json!({})).await.expect(401);
            alice.post(&format!("/stripe/{closed}"), json!({})).await.expect(403);
        }
        app.anonymous().get("/stripe/get-quote-pdf/qt_1").await.expect(401);
        alice.get("/stripe/get-quote-pdf/qt_1").await.expect(403);
        assert!(app.stripe.controls().calls().is_empty());
    })
    .await;
}
