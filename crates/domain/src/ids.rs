//! One type per kind of id, so that a freelance's id can't be passed where a user's is meant.
//!
//! On the wire and in PostgreSQL each is a plain UUID. In a query write `AS "id: UserId"` for a column and pass
//! `id.0` as a parameter.

macro_rules! ids {
    ($($(#[$documentation:meta])* $name:ident),* $(,)?) => {$(
        $(#[$documentation])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
            serde::Serialize, serde::Deserialize, sqlx::Type, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[sqlx(transparent, no_pg_array)]
        #[schema(value_type = uuid::Uuid, example = "3f2b8c1e-6d4a-4b7e-9c05-1a2d3e4f5a6b")]
        pub struct $name(pub uuid::Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl From<uuid::Uuid> for $name {
            fn from(id: uuid::Uuid) -> Self {
                Self(id)
            }
        }
    )*};
}

ids! {
    /// A row of "User": a person who can log in, in either role.
    UserId,
    /// A row of `session`: one login of one browser or client.
    SessionId,
    SkillId,
    /// The profile of a user with the role COMPANY.
    CompanyId,
    /// The profile of a user with the role FREELANCE.
    FreelanceId,
    JobPostingId,
    /// A paid step of a job posting.
    CheckpointId,
    /// A freelance's application to a job posting.
    CandidateId,
    ProjectId,
    ConversationId,
    MessageId,
    DocumentId,
    /// A durable job.
    JobId,
    /// A row of `payment_session`: one Stripe Checkout Session for one posting.
    PaymentSessionId,
    TransferIntentId,
    RefundIntentId,
}
