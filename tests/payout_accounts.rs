//! `/stripe`: where freelances are paid to, the fee preview, and what is closed.

use freehunt_domain::{
    payments::accounts::{adopt_legacy_account, list_legacy_accounts, offer_old_forms_again},
    users::Role,
};
use freehunt_jobs::account_state;
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
async fn an_account_of_the_original_is_adopted_by_its_metadata() {
    TestApp::run(async |app| {
        let (alice, bob) = (unconnected(app, "alice").await, unconnected(app, "bob").await);
        let path = "/stripe/create-account-connection";
        let account = text(&alice.post(path, connection_body(&alice)).await.expect(201), "stripeAccountId");
        execute(app, "DELETE FROM payout_account").await;
        assert_eq!(text(&alice.post(path, connection_body(&alice)).await.expect(201), "stripeAccountId"), account);
        carry(app, &bob, &account).await;
        execute(app, "DELETE FROM payout_account").await;
        execute(app, r#"UPDATE "Freelance" SET "stripeAccountId" = NULL WHERE "firstName" = 'alice'"#).await;
        bob.post(path, connection_body(&bob)).await.expect(409);
    })
    .await;
}

/// Writes an account into a profile, as the original let anybody do.
async fn carry(app: &TestApp, freelance: &Persona, account: &str) {
    sqlx::query(r#"UPDATE "Freelance" SET "stripeAccountId" = $2 WHERE "id" = $1"#)
        .bind(freelance.freelance_id().0)
        .bind(account)
        .execute(&app.pool)
        .await
        .unwrap();
}

/// An account at Stripe whose metadata names nobody.
async fn nameless_account(app: &TestApp, email: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let made = client
        .post(format!("{}/v1/accounts", app.stripe.url()))
        .bearer_auth(settings::STRIPE_KEY)
        .form(&[("type", "express"), ("country", "FR"), ("email", email)])
        .send()
        .await
        .unwrap();
    text(&made.json().await.unwrap(), "id")
}

/// As the migration does on the original's database.
async fn record_legacy_accounts(app: &TestApp) {
    execute(
        app,
        r#"INSERT INTO legacy_payout_account (freelance_id, stripe_account_id)
           SELECT "id", "stripeAccountId" FROM "Freelance" WHERE "stripeAccountId" <> ''"#,
    )
    .await;
}

/// An account that names nobody is its carrier's when the original's database carried it and it was made for the
/// carrier's address; in every other case an operator decides.
#[tokio::test]
async fn an_account_that_names_nobody_needs_more() {
    TestApp::run(async |app| {
        let names = ["alice", "bob", "carol", "dave"];
        let mut freelances = Vec::new();
        for name in names {
            freelances.push(unconnected(app, name).await);
        }
        let [alice, bob, carol, dave] = freelances.as_slice() else { panic!("there are four") };
        let path = "/stripe/create-account-connection";
        let of_alice = nameless_account(app, &alice.email.to_uppercase()).await;
        carry(app, alice, &of_alice).await;
        // Written into the profile by somebody else (X3): made for another address.
        let of_mallory = nameless_account(app, "mallory@example.org").await;
        carry(app, bob, &of_mallory).await;
        // Carried by two.
        let shared = nameless_account(app, &carol.email).await;
        carry(app, carol, &shared).await;
        record_legacy_accounts(app).await;
        carry(app, dave, &shared).await;

        assert_eq!(text(&alice.post(path, connection_body(alice)).await.expect(201), "stripeAccountId"), of_alice);
        bob.post(path, connection_body(bob)).await.expect(409);
        carol.post(path, connection_body(carol)).await.expect(409);
        dave.post(path, connection_body(dave)).await.expect(409);

        let mut connection = app.pool.acquire().await.unwrap();
        let waiting = list_legacy_accounts(&mut connection).await.unwrap();
        let of = |freelance: &Persona| waiting.iter().find(|account| account.freelance_id == freelance.freelance_id());
        assert!(of(alice).is_none() && of(dave).is_none());
        assert_eq!(of(bob).unwrap().carriers, 1);
        assert_eq!(of(carol).unwrap().carriers, 2);
        let known = account_state(&app.state.stripe.get_account(&shared).await.unwrap());
        assert!(!adopt_legacy_account(&app.state.pool, dave.freelance_id(), &known, "ops").await.unwrap());
        assert!(adopt_legacy_account(&app.state.pool, carol.freelance_id(), &known, "ops").await.unwrap());
        assert_eq!(text(&carol.post(path, connection_body(carol)).await.expect(201), "stripeAccountId"), shared);
        let adopted = r#"SELECT count(*)::text FROM "Log" WHERE "action" = 'adopt_payout_account' AND actor_kind = 'operator'
                         AND subject_id = $1::text"#;
        assert_eq!(crate::money::value(app, adopted, carol.freelance_id().0).await.as_deref(), Some("1"));
    })
    .await;
}

async fn shown_account(freelance: &Persona) -> Value {
    freelance.get(&format!("/freelances/user/{}", freelance.user_id)).await.expect(200)["stripeAccountId"].clone()
}

/// The profile shows its account as soon as the form is opened (frontend-calls 5.4), and offers the form again when its
/// owner comes back without having finished it, or never comes back. Applying needs a finished form.
#[tokio::test]
async fn an_unfinished_form_is_offered_again_and_does_not_let_apply() {
    TestApp::run(async |app| {
        let (acme, alice) = (app.company("acme").await, unconnected(app, "alice").await);
        let posting = app.published_posting(&acme, &[10_000]).await;
        let application = json!({ "freelanceId": alice.freelance_id(), "jobPostingId": posting, "status": "PENDING" });
        let path = "/stripe/create-account-connection";
        let refused = async || {
            let answer = alice.post("/candidates/", application.clone()).await;
            assert!(answer.message().contains("must connect your Stripe account"), "{}", answer.text);
            answer.expect(400);
        };
        refused().await;
        let account = text(&alice.post(path, connection_body(&alice)).await.expect(201), "stripeAccountId");
        assert_eq!(shown_account(&alice).await, account.as_str());
        refused().await;

        confirm(&alice, &account).await.expect(409);
        assert_eq!(shown_account(&alice).await, Value::Null);
        // The client sends back what it read.
        let profile = format!("/freelances/{}", alice.freelance_id());
        for read in ["", account.as_str()] {
            alice.patch(&profile, json!({ "stripeAccountId": read })).await.expect(200);
        }
        assert_eq!(shown_account(&alice).await, Value::Null);
        alice.patch(&profile, json!({ "stripeAccountId": "acct_mine" })).await.expect(403);

        assert_eq!(text(&alice.post(path, connection_body(&alice)).await.expect(201), "stripeAccountId"), account);
        assert_eq!(shown_account(&alice).await, account.as_str());
        execute(app, "UPDATE payout_account SET linked_at = now() - interval '25 hours'").await;
        let mut connection = app.pool.acquire().await.unwrap();
        assert_eq!(offer_old_forms_again(&mut connection).await.unwrap(), 1);
        assert_eq!(shown_account(&alice).await, Value::Null);
        refused().await;

        // Finished, and the event of it got lost: applying asks Stripe.
        app.stripe.webhooks_enabled(false);
        app.stripe.finish_onboarding(&account).unwrap();
        alice.post("/candidates/", application.clone()).await.expect(201);
        assert_eq!(shown_account(&alice).await, account.as_str());
        assert_eq!(offer_old_forms_again(&mut connection).await.unwrap(), 0);
        assert_eq!(app.stripe.books().accounts.len(), 1);
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
        let calls = app.stripe.controls().calls();
        assert!(calls.iter().all(|call| call.path.starts_with("/v1/events")), "{calls:?}");
    })
    .await;
}
