#include "main/eventsctl_commands.h"

#include "base/clock.h"
#include "events/v1/envelope.pb-c.h"
#include "queue/queue_letters.h"
#include "wire/json.h"
#include "wire/message.h"
#include <stdio.h>

enum { PAGE = 200 };

static bool open_letters(Ctl *ctl, QueueLetters **ret, Err *err) {
    return queue_letters_open(config_text(ctl->config, "EVENTS_QUEUE"),
                              config_text(ctl->config, "EVENTS_HOME"), ret, err);
}

/* For verbs that name one: in tables there is none. */
static bool open_broker(Ctl *ctl, QueueLetters **ret, Err *err) {
    if (!open_letters(ctl, ret, err)) return false;
    return *ret || err_set(err, &ERR_NOT_FOUND, "no such dead letter: the queue is no broker's");
}

static void write_letter(JsonWriter *w, const QueueLetter *letter) {
    char id[40];
    snprintf(id, sizeof id, "command/%lld", (long long)letter->number);
    json_name(w, "id"), json_string(w, span_of(id));
    json_name(w, "deadAt"), json_time(w, letter->dead_at);
    json_name(w, "reason"), json_string(w, letter->reason);
    json_name(w, "tries"), json_int(w, letter->deliveries);
    json_name(w, "requeues"), json_int(w, letter->requeues);
    json_name(w, "commandId"), json_string(w, letter->command_id);
    json_name(w, "commandType"), json_string(w, letter->command_type);
    json_name(w, "correlationId"), json_string(w, letter->correlation_id);
    json_name(w, "tenantId"), json_string(w, letter->tenant_id);
    json_name(w, "issuedBy"), json_string(w, letter->issued_by);
}

typedef struct Listing {
    bool json;
    int64_t last;
    size_t count;
} Listing;

static void list_one(void *user, const QueueLetter *letter) {
    Listing *l = user;
    l->last = letter->number;
    l->count++;
    if (l->json) {
        AUTO_BUF out = {0};
        JsonWriter w = json_writer(&out);
        json_object(&w);
        write_letter(&w, letter);
        json_object_end(&w);
        printf("%.*s\n", (int)out.len, out.at);
        return;
    }
    char id[40], at[CLOCK_TEXT];
    snprintf(id, sizeof id, "command/%lld", (long long)letter->number);
    clock_format(letter->dead_at, at);
    Span type = letter->command_type.len ? letter->command_type : SPAN("(unreadable)");
    printf("%-16s %-27s %-20.*s %-24.*s %.*s\n", id, at, SPAN_ARGS(type), SPAN_ARGS(letter->command_id),
           SPAN_ARGS(letter->reason));
}

bool dead_commands_list(Ctl *ctl, Err *err) {
    AUTO(QueueLetters) letters = NULL;
    Listing listing = {.json = ctl_option(ctl, "json")};
    if (!open_letters(ctl, &letters, err)) return false;
    do {
        listing.count = 0;
        if (letters && !queue_letters_list(letters, listing.last, PAGE, list_one, &listing, err))
            return false;
    } while (listing.count == PAGE);
    return true;
}

/* The command's own message, where it can be read. */
static void write_command(JsonWriter *w, const QueueLetter *letter, Arena *arena) {
    const Events__V1__CommandEnvelope *e =
        (const void *)message_unpack(message_type(SPAN("CommandEnvelope")), letter->body, arena);
    const MessageType *type = e ? message_type(span_of(e->command_type)) : NULL;
    const ProtobufCMessage *command =
        type ? message_unpack(type, span_bytes(e->data.data, e->data.len), arena) : NULL;
    AUTO_BUF text = {0};
    if (command) message_to_json(command, &text);
    json_name(w, "command");
    if (text.len)
        json_raw(w, buf_view(&text));
    else
        json_null(w);
}

bool dead_command_show(Ctl *ctl, int64_t number, Err *err) {
    AUTO(QueueLetters) letters = NULL;
    AUTO_BUF out = {0};
    QueueLetter letter;
    if (!open_broker(ctl, &letters, err) || !queue_letters_get(letters, number, ctl->arena, &letter, err))
        return false;
    JsonWriter w = json_writer(&out);
    json_object(&w);
    write_letter(&w, &letter);
    write_command(&w, &letter, ctl->arena);
    json_name(&w, "bytes"), json_base64(&w, letter.body);
    json_object_end(&w);
    printf("%.*s\n", (int)out.len, out.at);
    return true;
}

bool dead_command_requeue(Ctl *ctl, int64_t number, Err *err) {
    AUTO(QueueLetters) letters = NULL;
    return open_broker(ctl, &letters, err) && queue_letters_requeue(letters, number, err);
}

bool dead_command_discard(Ctl *ctl, int64_t number, Err *err) {
    AUTO(QueueLetters) letters = NULL;
    return open_broker(ctl, &letters, err) && queue_letters_discard(letters, number, err);
}
