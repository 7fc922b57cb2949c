//! Demo data.

use freehunt_domain::seed::{self, SeedError};
use freehunt_tests::TestApp;
use serde_json::json;

#[tokio::test]
async fn an_empty_database_is_filled_and_any_other_refused() {
    TestApp::run(async |app| {
        let users = seed::fill(&app.pool).await.unwrap();
        assert!(users.iter().any(|user| user.email == seed::DEMO_COMPANY));
        assert!(matches!(seed::fill(&app.pool).await, Err(SeedError::NotEmpty { users: count }) if count == users.len() as i64));
        let search = json!({ "minDailyRate": 0, "maxDailyRate": 1500, "skip": 0, "take": 10 });
        let missions = app.anonymous().post("/job-postings/search", search.clone()).await.expect(200);
        assert_eq!(missions["total"], 6);
        assert_eq!(app.anonymous().post("/freelances/search", search).await.expect(200)["total"], 8);
    })
    .await;
}
