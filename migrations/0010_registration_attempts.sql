-- Somebody may try again with another user name while an earlier attempt is unfinished; each attempt is found again by
-- its own e-mail and user name.

DROP INDEX pending_registration_email;
CREATE UNIQUE INDEX pending_registration_attempt ON pending_registration (lower(email), lower(username));
CREATE INDEX pending_registration_expires ON pending_registration (expires_at);
CREATE INDEX oidc_login_expires ON oidc_login (expires_at);
CREATE INDEX revoked_upstream_session_expires ON revoked_upstream_session (expires_at);
