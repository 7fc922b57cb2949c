//! What a refused statement means. Use cases have reasons of their own; this reads the database's.

/// A constraint that a statement broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A value that must be unique exists already; names the constraint or index.
    Unique { constraint: String },
    /// A row that is referred to does not exist, or is still referred to.
    ForeignKey { constraint: String },
    /// A `CHECK` or `NOT NULL` rule.
    Rule { constraint: String },
}

impl Violation {
    pub fn of(error: &sqlx::Error) -> Option<Self> {
        let error = error.as_database_error()?;
        let constraint = error.constraint().unwrap_or_default().to_owned();
        match error.kind() {
            sqlx::error::ErrorKind::UniqueViolation => Some(Self::Unique { constraint }),
            sqlx::error::ErrorKind::ForeignKeyViolation => Some(Self::ForeignKey { constraint }),
            sqlx::error::ErrorKind::CheckViolation | sqlx::error::ErrorKind::NotNullViolation => {
                Some(Self::Rule { constraint })
            }
            _ => None,
        }
    }
}

/// Whether the database could not be reached, was shutting down, or had no connection free in time.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => true,
        // Class 57: operator intervention (shutdown); 53: no resources, among them a full disk; 08: connection.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["57P", "53", "08", "58"].iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}

/// Whether the transaction lost against another one and may simply be run again (deadlock, serialization).
pub fn is_transient(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "40001" || code == "40P01")
}
