-- Authentik's cookie of a session, encrypted under a key derived from the socket ticket, so that the messaging server can
-- ask Authentik about a session that only a socket uses. The database alone opens nothing.
ALTER TABLE socket_ticket ADD COLUMN upstream_secret bytea;
