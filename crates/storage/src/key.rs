//! Names of objects. New ones are made by the server only; nothing a client sends becomes part of a key.

use uuid::Uuid;

const AVATARS: &str = "avatars/";
/// S3's own limit.
const MAX_KEY_BYTES: usize = 1024;

/// The name of an object inside the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

/// The text cannot be the name of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an object key")]
pub struct InvalidKey;

impl ObjectKey {
    /// All avatars' keys begin with this.
    pub const AVATAR_PREFIX: &'static str = AVATARS;

    /// A fresh key `avatars/<user>/<uuid v4>.<extension>`. `extension` comes from
    /// [`SafeImage`](crate::image::SafeImage), never from a file name.
    pub fn avatar(user_id: Uuid, extension: &'static str) -> Self {
        Self(format!("{AVATARS}{user_id}/{}.{extension}", Uuid::new_v4()))
    }

    /// Reads any key that could name an object of ours, including the ones of the former server
    /// (`<milliseconds>-<file name>`), so that they can still be deleted.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let well_sized = !text.is_empty() && text.len() <= MAX_KEY_BYTES;
        let clean = !text.chars().any(|character| character.is_control() || character == '\\');
        let no_detours = text.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if well_sized && clean && no_detours { Ok(Self(text.to_owned())) } else { Err(InvalidKey) }
    }

    /// The user for whom this server issued the key; `None` for any key that [`ObjectKey::avatar`] cannot have made.
    pub fn owner(&self) -> Option<Uuid> {
        let (user, file) = self.0.strip_prefix(AVATARS)?.split_once('/')?;
        let (name, extension) = file.split_once('.')?;
        let canonical = |text: &str| Uuid::parse_str(text).ok().filter(|uuid| uuid.to_string() == text);
        canonical(name)?;
        if !matches!(extension, "jpg" | "png") {
            return None;
        }
        canonical(user)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::str::FromStr for ObjectKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_avatar_key_names_its_owner_and_is_never_the_same_twice() {
        let user = Uuid::new_v4();
        let key = ObjectKey::avatar(user, "png");
        assert_eq!(key.owner(), Some(user));
        assert_eq!(ObjectKey::parse(key.as_str()), Ok(key.clone()));
        assert_ne!(ObjectKey::avatar(user, "png"), key);
    }

    /// Fault case 70, as far as keys are concerned.
    #[test]
    fn hostile_names_are_no_keys() {
        let long = "a".repeat(5000);
        for text in ["", "/", "a//b", "../../x", "avatars/../x", "a/./b", "/a", "a/", "a\0b", "a\nb", "a\\b", &long] {
            assert_eq!(ObjectKey::parse(text), Err(InvalidKey), "{text:?}");
        }
    }

    #[test]
    fn keys_of_the_former_server_can_be_read_but_belong_to_nobody() {
        let key = ObjectKey::parse("1731000000000-Mon CV (1).png").expect("a legal S3 key");
        assert_eq!(key.owner(), None);
    }

    #[test]
    fn only_the_exact_shape_has_an_owner() {
        let user = Uuid::new_v4();
        let file = Uuid::new_v4();
        for text in [
            format!("avatars/{user}/{file}.svg"),
            format!("avatars/{user}/{file}.png.html"),
            format!("avatars/{user}/{file}"),
            format!("avatars/{user}/x.png"),
            format!("avatars/{user}/y/{file}.png"),
            format!("avatars/{}/{file}.png", user.simple()),
            format!("avatars/{}/{file}.png", user.to_string().to_uppercase().replace('-', "_")),
            format!("other/{user}/{file}.png"),
        ] {
            assert_eq!(ObjectKey::parse(&text).expect("a legal S3 key").owner(), None, "{text}");
        }
    }
}
