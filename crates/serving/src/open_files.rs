//! How many files, connections included, the process may have open.
//!
//! Containers and shells begin with a soft limit of 1,024, for the sake of programs that use `select`, under a hard limit
//! that is far higher. A server that stays below the soft one is full with a thousand idle clients.

/// Raises the soft limit to the hard one. What cannot be raised stays as it is, with a warning.
pub fn raise_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let limit = getrlimit(Resource::Nofile);
        if limit.current == limit.maximum {
            return;
        }
        if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
            tracing::warn!(%error, soft = limit.current, hard = limit.maximum, "the limit of open files stays low");
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// Fault case 152.
    #[test]
    fn a_low_soft_limit_becomes_the_hard_one() {
        let maximum = getrlimit(Resource::Nofile).maximum;
        // As a container begins.
        setrlimit(Resource::Nofile, Rlimit { current: Some(1024), maximum }).unwrap();
        super::raise_limit();
        assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: maximum, maximum });
    }
}
