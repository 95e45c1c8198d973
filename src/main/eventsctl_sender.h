/* Many commands to a gateway at a time, each followed until its outcome is known. Blocking; one thread. */
#pragma once
#include "app/import/client_answer.h"
#include "base/uuid.h"
#include "main/eventsctl_session.h"

enum { SENDER_IN_FLIGHT_MAX = 256 };

typedef struct SenderCommand {
    int64_t row;
    Span raw;
    char command_id[UUID_TEXT];
    uint64_t order; /* commands with the same order are accepted in the order in which they come */
    Buf body;
} SenderCommand;

typedef struct SenderOptions {
    Session *session;
    const char *path; /* "/api/prospects" */
    int64_t wait_ms;  /* how long nothing may move */
    bool (*next)(void *user,
                 SenderCommand *ret); /* fills a command whose body is empty; false: there is none left */
    void (*outcome)(void *user, const SenderCommand *command,
                    const ClientAnswer *refusal); /* NULL: succeeded */
    void (*tick)(void *user);                     /* often, for showing progress */
    void *user;
} SenderOptions;

/* Until every command has an outcome. ERR_UNAVAILABLE where nothing moved for too long, ERR_CONFIG where the
 * user may not send. */
bool sender_run(const SenderOptions *options, Err *err);
