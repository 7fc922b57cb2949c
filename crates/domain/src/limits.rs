//! How often a user may create what can spam others, counted per UTC day.

use sqlx::PgConnection;

use crate::ids::UserId;

/// What is limited, and to how many a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    Skill,
    /// Conversations a user begins with somebody new.
    Conversation,
    JobPosting,
}

impl Creation {
    fn name(self) -> &'static str {
        match self {
            Self::Skill => "skill",
            Self::Conversation => "conversation",
            Self::JobPosting => "job_posting",
        }
    }

    pub fn per_day(self) -> i32 {
        match self {
            Self::Skill => 20,
            Self::Conversation => 30,
            Self::JobPosting => 50,
        }
    }
}

/// Counts one creation in the caller's transaction; `false` when the day's limit is reached and nothing was counted.
pub async fn count_creation(
    connection: &mut PgConnection,
    user_id: UserId,
    creation: Creation,
) -> Result<bool, sqlx::Error> {
    let counted = sqlx::query_scalar!(
        r#"INSERT INTO creation_tally (user_id, kind, day, count)
           VALUES ($1, $2, (now() AT TIME ZONE 'UTC')::date, 1)
           ON CONFLICT (user_id, kind, day) DO UPDATE SET count = creation_tally.count + 1
           WHERE creation_tally.count < $3
           RETURNING count"#,
        user_id.0,
        creation.name(),
        creation.per_day(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(counted.is_some())
}
