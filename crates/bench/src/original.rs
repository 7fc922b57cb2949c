//! The original backend's recorded figures: CPU time a request of its server and of PostgreSQL, in milliseconds, and
//! how many times less is wanted of this one.

/// What the original took for a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Original {
    pub server_ms: f64,
    pub postgresql_ms: f64,
    /// At most one part in so many may be used.
    pub wanted_share: f64,
}

impl Original {
    const fn new(server_ms: f64, postgresql_ms: f64, wanted_share: f64) -> Self {
        Self { server_ms, postgresql_ms, wanted_share }
    }

    pub fn total_ms(&self) -> f64 {
        self.server_ms + self.postgresql_ms
    }

    /// The most that may be used, in milliseconds.
    pub fn wanted_ms(&self) -> f64 {
        self.total_ms() / self.wanted_share
    }
}

pub const HEALTH: Original = Original::new(0.47, 0.0, 20.0);
pub const SKILLS: Original = Original::new(13.6, 0.7, 20.0);
pub const POSTING: Original = Original::new(2.4, 0.8, 20.0);
pub const FREELANCE_SEARCH: Original = Original::new(18.6, 110.0, 20.0);
pub const GET_ME: Original = Original::new(2.6, 0.3, 20.0);
pub const CONVERSATION: Original = Original::new(16.0, 8.4, 20.0);
/// Has to reach the disk.
pub const MESSAGE: Original = Original::new(4.5, 1.1, 10.0);
/// At 20,000 postings; it loads every match into memory.
pub const JOB_SEARCH: Original = Original::new(12_400.0, 0.0, 1000.0);
/// A delivery to one socket of a room of 200 took 33 to 68 µs of the server's CPU; and an idle socket about 70 KiB.
pub const DELIVERY_MICROSECONDS: f64 = 33.0;
pub const SOCKET_KIBIBYTES: f64 = 70.0;
