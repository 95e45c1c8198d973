/* A signed-in user of a gateway, for the verbs that talk to one. Blocking; one thread. */
#pragma once
#include "main/eventsctl.h"
#include "net/http_client.h"

typedef struct Session Session;

/* By the verb's options url, ca, user, password-stdin; default: the gateway and the demo user of the home.
 * Waits up to ten seconds for a gateway that is starting or busy. */
bool session_open(Ctl *ctl, Session **ret, Err *err);
Session *session_free(Session *session);
AUTO_FREE(Session, session_free)

const char *session_url(const Session *session);     /* "https://127.0.0.1:8443", no slash at the end */
const char *session_ca_file(const Session *session); /* NULL: the system's certificates */
const char *
session_authorization(const Session *session); /* the header's line; until the next session_renew() */
Span session_tenant(const Session *session);
bool session_is_due(const Session *session); /* the token ends soon */
/* A new token, by the refresh token or else by the password; one try. ERR_CONFIG where both are refused. */
bool session_renew(Session *session, Err *err);
/* A call with the session's token, renewed where it has ended. header: one more line, or NULL. */
bool session_get(Session *session, const char *path, const char *header, const HttpReply **ret, Err *err);
