//! OpenID Connect with a provider that nobody here wrote (`oauth2-mock-server` from npm): discovery, the code flow with
//! PKCE, refresh, bearer tokens, a new key. Skipped, with a reason, where there is no Node.js.

use std::{path::Path, process::Stdio};

use freehunt_domain::users::Role;
use freehunt_tests::{Persona, TestApp, TestOptions, eventually, node_packages, settings};
use http::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use url::Url;

use crate::auth::{age_confirmations, cookies_of, count, with_cookie};

const SUBJECT: &str = "a-subject-of-another-kind";

/// A running provider; it ends with this.
struct Provider {
    issuer: String,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Provider {
    async fn start() -> Option<Self> {
        let modules = node_packages("oidc_provider", env!("CARGO_TARGET_TMPDIR")).await?;
        let claims = json!({ "sub": SUBJECT, "email": "alice@example.org", "preferred_username": "alice",
            "scope": "openid email profile offline_access" });
        let mut process = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("oidc_provider/provider.mjs"))
            .arg(json!({ "modules": modules, "claims": claims }).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node runs");
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let issuer = output.next_line().await.unwrap().expect("the provider says where it is");
        Some(Self { issuer, input, output, _process: process })
    }

    async fn tell(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        assert_eq!(self.output.next_line().await.unwrap().as_deref(), Some("done"));
    }

    fn options(&self) -> TestOptions {
        // Exactly as the provider says, without the slash that Authentik's has.
        TestOptions::default().with("OIDC_ISSUER", &self.issuer).with("AUTHENTIK_TIMEOUT_MS", "5000")
    }

    /// What a program that has signed in holds.
    async fn access_token(&self) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let form = [("grant_type", "password"), ("username", SUBJECT), ("password", "x"), ("scope", "openid")];
        let request = client.post(format!("{}/token", self.issuer)).form(&form);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().expect("the provider gives a token").to_owned()
    }
}

/// Alice, whose account is one of this provider's.
async fn alice(app: &TestApp) -> Persona {
    let alice = app.user("alice", Role::Freelance).await;
    sqlx::query("UPDATE identity SET authentik_uid = $1").bind(SUBJECT).execute(&app.pool).await.unwrap();
    alice
}

fn location(headers: &http::HeaderMap) -> Url {
    headers["location"].to_str().unwrap().parse().expect("an address")
}

/// A browser's way to the provider and back; what the callback answered.
async fn sign_in(app: &TestApp) -> (Persona, freehunt_tests::Answer) {
    let begun = app.anonymous().get("/auth/oidc/login?return_to=/dashboard").await;
    let browser = with_cookie(&app.anonymous(), &cookies_of(&begun));
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let back = client.get(location(&begun.headers)).send().await.unwrap();
    let back = location(back.headers());
    assert_eq!(back.path(), "/auth/oidc/callback");
    let finished = browser.get(&format!("{}?{}", back.path(), back.query().unwrap())).await;
    (with_cookie(&browser, &cookies_of(&finished)), finished)
}

#[tokio::test]
async fn a_browser_signs_in_at_another_provider_and_its_session_is_refreshed() {
    let Some(mut provider) = Provider::start().await else { return };
    TestApp::run_with(provider.options(), async |app| {
        let alice = alice(app).await;
        let (session, finished) = sign_in(app).await;
        assert_eq!(location(&finished.headers).as_str(), format!("{}/dashboard", settings::FRONTEND));
        assert_eq!(session.get("/auth/getme").await.expect(200)["id"], json!(alice.user_id));
        let confirmed =
            "SELECT count(*) FROM session WHERE origin = 'oidc' AND validated_at > now() - interval '30 seconds'";
        age_confirmations(app, 2.0).await;
        eventually("the provider stands by the session", async || {
            session.get("/auth/getme").await.expect(200);
            count(app, confirmed).await == 1
        })
        .await;
        // Somebody else's word ends it.
        provider.tell(r#"{"sub":"somebody-else"}"#).await;
        age_confirmations(app, 2.0).await;
        eventually("the session ends", async || session.get("/auth/getme").await.status == 401).await;
        let (_, refused) = sign_in(app).await;
        assert!(location(&refused.headers).as_str().ends_with("/login?error=unknown_account"));
    })
    .await;
}

/// The library itself, where the provider answers what the servers could not make it answer.
#[tokio::test]
async fn a_code_is_good_with_its_verifier_and_nonce_only_and_a_refresh_token_gives_new_tokens() {
    let Some(provider) = Provider::start().await else { return };
    TestApp::run_with(provider.options(), async |app| {
        let oidc = &app.state.oidc;
        oidc.check().await.expect("discovery and keys");
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let begin = async || {
            let request = oidc.authorization_request().await.unwrap();
            let back = location(client.get(request.url.clone()).send().await.unwrap().headers());
            let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
            (request, code)
        };
        let (request, code) = begin().await;
        let tokens = oidc.exchange(&code, &request.pkce_verifier, &request.nonce).await.expect("a good code");
        assert_eq!((tokens.subject.as_str(), tokens.email.as_deref()), (SUBJECT, Some("alice@example.org")));
        let refresh = tokens.refresh_token.expect("a refresh token");
        let renewed = oidc.refresh(&refresh).await.expect("new tokens");
        let info = oidc.user_info(&renewed.access_token).await.unwrap().expect("the provider knows its token");
        assert_eq!(info.subject, SUBJECT);
        let (request, code) = begin().await;
        let (other, _) = begin().await;
        assert!(oidc.exchange(&code, &other.pkce_verifier, &request.nonce).await.is_err(), "another verifier");
        let (request, code) = begin().await;
        assert!(oidc.exchange(&code, &request.pkce_verifier, "another nonce").await.is_err(), "another nonce");
    })
    .await;
}

#[tokio::test]
async fn bearer_tokens_of_another_provider_are_verified_by_its_keys() {
    let Some(mut provider) = Provider::start().await else { return };
    TestApp::run_with(provider.options(), async |app| {
        let alice = alice(app).await;
        let me = async |token: String| {
            let request = app.anonymous().request(Method::GET, "/auth/getme");
            app.anonymous().answer(request.header("authorization", format!("Bearer {token}"))).await
        };
        assert_eq!(me(provider.access_token().await).await.expect(200)["id"], json!(alice.user_id));
        provider.tell("rotate").await;
        assert_eq!(me(provider.access_token().await).await.expect(200)["id"], json!(alice.user_id), "a new key");
        for wrong in [
            json!({ "aud": "another" }),
            json!({ "aud": "freehunt", "email": "other@example.org" }),
            json!({ "email": "alice@example.org", "sub": "unknown" }),
            json!({ "sub": SUBJECT, "iss": "https://evil.example" }),
            json!({ "iss": provider.issuer.clone(), "exp": 1_700_000_000 }),
        ] {
            provider.tell(&wrong.to_string()).await;
            me(provider.access_token().await).await.expect(401);
        }
    })
    .await;
}
