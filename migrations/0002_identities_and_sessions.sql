-- Who a user is at Authentik, and the sessions of this server. Additive: the original backend does not see these tables.
-- Every time here is timestamptz; the original's tables keep their timestamp(3) in UTC.

CREATE TABLE identity (
    user_id uuid PRIMARY KEY REFERENCES "User" ("id") ON UPDATE CASCADE ON DELETE CASCADE,
    authentik_uid text NOT NULL UNIQUE,
    bound_by text NOT NULL CHECK (bound_by IN ('registration', 'login', 'operator', 'first_use')),
    bound_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX user_email_lower ON "User" (lower("email"));
CREATE INDEX user_username_lower ON "User" (lower("username"));

-- A registration that reached Authentik but may not have reached "User"; found again by e-mail and user name.
CREATE TABLE pending_registration (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text NOT NULL,
    username text NOT NULL,
    role "Role" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX pending_registration_email ON pending_registration (lower(email));

-- Tokens are stored as SHA-256 hashes. `upstream_secret` is Authentik's own cookie or the OIDC tokens, encrypted
-- under a key derived from the session token, so that the database alone opens nothing.
CREATE TABLE session (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    token_hash bytea NOT NULL UNIQUE,
    user_id uuid NOT NULL REFERENCES "User" ("id") ON UPDATE CASCADE ON DELETE CASCADE,
    origin text NOT NULL CHECK (origin IN ('form', 'oidc', 'authentik')),
    upstream_secret bytea,
    upstream_session_hash bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    validated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX session_of_user ON session (user_id);
CREATE INDEX session_expires ON session (expires_at);
CREATE INDEX session_upstream ON session (upstream_session_hash) WHERE upstream_session_hash IS NOT NULL;

-- What the messaging server's handshake accepts: bound to a session, good for nothing else.
CREATE TABLE socket_ticket (
    token_hash bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX socket_ticket_session ON socket_ticket (session_id);

-- An OpenID Connect login under way, bound to the browser that began it.
CREATE TABLE oidc_login (
    state_hash bytea PRIMARY KEY,
    browser_hash bytea NOT NULL,
    nonce text NOT NULL,
    pkce_verifier text NOT NULL,
    return_to text NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Authentik's own session cookies that were logged out here: refused although Authentik may still know them.
CREATE TABLE revoked_upstream_session (
    cookie_hash bytea PRIMARY KEY,
    revoked_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

-- How often a user created things that can spam others, a row per user, kind and UTC day.
CREATE TABLE creation_tally (
    user_id uuid NOT NULL REFERENCES "User" ("id") ON UPDATE CASCADE ON DELETE CASCADE,
    kind text NOT NULL,
    day date NOT NULL,
    count integer NOT NULL,
    PRIMARY KEY (user_id, kind, day)
);
