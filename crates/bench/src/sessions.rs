//! Sessions for generated users. Authentik's last word on them is dated a day ahead, so that no run asks it: in service
//! it is asked once a minute and session, which is next to nothing at these rates.

use freehunt_domain::sessions::Token;
use sqlx::PgConnection;
use uuid::Uuid;

/// The kinds of generated users.
#[derive(Clone, Copy, Debug)]
pub enum Person {
    Company,
    Freelance,
}

impl Person {
    fn kind(self) -> &'static str {
        match self {
            Self::Company => "company user",
            Self::Freelance => "freelance user",
        }
    }
}

/// A user's number and the value of its cookie.
#[derive(Clone, Debug)]
pub struct Session {
    pub user_id: Uuid,
    pub token: String,
}

/// A session for each of the users with these numbers, the same ones in every run.
pub async fn begin(connection: &mut PgConnection, person: Person, numbers: &[i64]) -> anyhow::Result<Vec<Session>> {
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT bench.id($1, number) FROM unnest($2::bigint[]) AS number")
        .bind(person.kind())
        .bind(numbers)
        .fetch_all(&mut *connection)
        .await?;
    begin_for(connection, &ids).await
}

/// A session for each of these users.
pub async fn begin_for(connection: &mut PgConnection, users: &[Uuid]) -> anyhow::Result<Vec<Session>> {
    let sessions: Vec<(Vec<u8>, Session)> = users
        .iter()
        .map(|user| {
            // Whoever knows a user's id has this token: good for generated data only.
            let mut secret = [7; 32];
            secret[..16].copy_from_slice(user.as_bytes());
            let token = Token::from_bytes(&secret);
            (token.hash(), Session { user_id: *user, token: token.as_str().to_owned() })
        })
        .collect();
    let hashes: Vec<&[u8]> = sessions.iter().map(|(hash, _)| hash.as_slice()).collect();
    sqlx::query(
        "INSERT INTO session (token_hash, user_id, origin, validated_at, expires_at)
         SELECT token_hash, user_id, 'form', now() + interval '1 day', now() + interval '10 days'
         FROM unnest($1::bytea[], $2::uuid[]) AS new (token_hash, user_id)
         ON CONFLICT (token_hash) DO UPDATE
         SET validated_at = excluded.validated_at, expires_at = excluded.expires_at, revoked_at = NULL",
    )
    .bind(&hashes)
    .bind(users)
    .execute(connection)
    .await?;
    Ok(sessions.into_iter().map(|(_, session)| session).collect())
}
