-- Who may finish a registration by signing in: each attempt asks for its role under a proof that only its maker can give
-- again, a key derived from the password or the hash of what their browser holds. An attempt without one (from before)
-- is finished by sending the form again.
CREATE TABLE registration_attempt (
    pending_id uuid NOT NULL REFERENCES pending_registration (id) ON DELETE CASCADE,
    proof bytea NOT NULL,
    role "Role" NOT NULL,
    PRIMARY KEY (pending_id, proof)
);
