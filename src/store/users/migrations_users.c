#include "store/users/migrations_users.h"

#include "db/migrate.h"

/* Secrets are kept as SHA-256 only: who reads this file can neither refresh nor open a stream. */
static const Migration STEPS[] = {
    {1, "create table tenant (\n"
        "  tenant_id {name} not null primary key,\n"
        "  created_at bigint not null\n"
        ");\n"
        "create table app_user (\n"
        "  user_id {name} not null primary key,\n"
        "  tenant_id {name} not null,\n"
        "  username {name} not null unique,\n"
        "  scopes {name} not null,\n"
        "  password_hash {name} not null,\n"
        "  disabled smallint not null,\n"
        "  created_at bigint not null\n"
        ");\n"
        "create table refresh_family (\n"
        "  family_id {name} not null primary key,\n"
        "  user_id {name} not null,\n"
        "  revoked smallint not null,\n"
        "  expires_at bigint not null\n"
        ");\n"
        "create index refresh_family_user on refresh_family (user_id);\n"
        "create index refresh_family_expiry on refresh_family (expires_at);\n"
        "create table refresh_token (\n"
        "  token_hash {name} not null primary key,\n"
        "  family_id {name} not null,\n"
        "  used smallint not null,\n"
        "  expires_at bigint not null\n"
        ");\n"
        "create index refresh_token_expiry on refresh_token (expires_at);\n"
        "create table ticket (\n"
        "  ticket_hash {name} not null primary key,\n"
        "  user_id {name} not null,\n"
        "  tenant_id {name} not null,\n"
        "  scopes {name} not null,\n"
        "  origin {name} not null,\n"
        "  session_expires_at bigint not null,\n"
        "  expires_at bigint not null\n"
        ");\n"
        "create index ticket_expiry on ticket (expires_at);\n"},
    /* generation: of all that a user may do; tokens of an older one than his revocation's are refused. A revoked
     * session's row has the highest. */
    {2, "alter table app_user add generation bigint not null default 0;\n"
        "alter table ticket add session_id {name} not null default '';\n"
        "alter table ticket add username {name} not null default '';\n"
        "alter table ticket add generation bigint not null default 0;\n"
        "create table revocation (\n"
        "  revoked_id {name} not null primary key,\n" /* of a user, or a session: both are UUIDs */
        "  generation bigint not null,\n"
        "  expires_at bigint not null\n"
        ");\n"
        "create index revocation_expiry on revocation (expires_at);\n"},
};

bool users_migrate(Db *db, Err *err) {
    return migrate(db, "users", STEPS, sizeof STEPS / sizeof *STEPS, err);
}
