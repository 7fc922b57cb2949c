//! The list of skills, and its answer's bytes, in this process's memory. It is used only while this process hears of
//! changes, and for a minute at the most, should a notification ever be lost.

use std::{
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::{Duration, Instant},
};

use freehunt_domain::skills::SkillCatalog;
use tokio::sync::Mutex;

use crate::{answer_cache::ReadyAnswer, error::ApiResult, state::AppState};

const LONGEST_USE: Duration = Duration::from_secs(60);

/// What is kept.
pub struct CachedSkills {
    pub catalog: SkillCatalog,
    /// The whole list.
    pub answer: ReadyAnswer,
    loaded: Instant,
}

impl CachedSkills {
    async fn load(state: &AppState) -> ApiResult<Self> {
        let loaded = Instant::now();
        let mut connection = state.pool.acquire().await?;
        let catalog = SkillCatalog::load(&mut connection).await?;
        let answer = ReadyAnswer::of(&catalog.all())?;
        Ok(Self { catalog, answer, loaded })
    }
}

/// One for the process.
#[derive(Default)]
pub struct SkillCache {
    kept: RwLock<Kept>,
    /// Requests that find nothing wait for one of them to load it.
    loading: Mutex<()>,
}

#[derive(Default)]
struct Kept {
    skills: Option<Arc<CachedSkills>>,
    is_listening: bool,
    /// Counts what was heard: a list that was read before the last of it may be old.
    heard: u64,
}

impl SkillCache {
    /// The list as it is now. Asks for a connection of the pool when it has to be read, so the caller must not hold one.
    pub async fn get(&self, state: &AppState) -> ApiResult<Arc<CachedSkills>> {
        state.listening.ensure(state);
        let (usable, is_listening) = self.look();
        if let Some(skills) = usable {
            return Ok(skills);
        }
        if !is_listening {
            return Ok(Arc::new(CachedSkills::load(state).await?));
        }
        let _loading = self.loading.lock().await;
        if let (Some(skills), _) = self.look() {
            return Ok(skills);
        }
        let heard = self.heard();
        let skills = Arc::new(CachedSkills::load(state).await?);
        self.keep(&skills, heard);
        Ok(skills)
    }

    /// What may be used now, and whether anything may be kept.
    fn look(&self) -> (Option<Arc<CachedSkills>>, bool) {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let usable = kept.skills.clone().filter(|skills| skills.loaded.elapsed() < LONGEST_USE);
        (usable, kept.is_listening)
    }

    fn heard(&self) -> u64 {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).heard
    }

    /// Unless something was heard since `heard`.
    fn keep(&self, skills: &Arc<CachedSkills>, heard: u64) {
        let mut kept = self.change();
        if kept.is_listening && kept.heard == heard {
            kept.skills = Some(Arc::clone(skills));
        }
    }

    fn change(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The list has changed, or may have. Who changes it here does not wait to hear of it.
    pub(crate) fn forget(&self) {
        let mut kept = self.change();
        kept.heard += 1;
        kept.skills = None;
    }

    pub(crate) fn begin_listening(&self) {
        self.forget();
        self.change().is_listening = true;
    }

    pub(crate) fn end_listening(&self) {
        self.change().is_listening = false;
        self.forget();
    }
}
