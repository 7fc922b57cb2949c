//! The sandbox's memory: the stand-in's objects in one JSON file, replaced as a whole.

use std::{fs, io, path::Path};

use super::{StartError, state::State};

/// Writes beside the file first, so that a kill leaves the old or the new one.
pub(super) fn save(file: &Path, state: &State) -> io::Result<()> {
    let text = serde_json::to_vec(state)?;
    let unfinished = file.with_extension("unfinished");
    fs::write(&unfinished, text)?;
    fs::rename(unfinished, file)
}

/// What an earlier run saved, or an empty state. Deliveries that were under way start again.
pub(super) fn load(file: &Path) -> Result<State, StartError> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder).map_err(StartError::Io)?;
            }
            return Ok(State::default());
        }
        Err(error) => return Err(StartError::Io(error)),
    };
    let mut state: State =
        serde_json::from_slice(&text).map_err(|error| StartError::Corrupt { file: file.to_owned(), error })?;
    let now = state.now();
    state.keys.prune(now);
    state.resume_deliveries();
    Ok(state)
}
