/* eventsctl_commands.c - commands that have failed five times, or that nobody could read. */
#include "events/v1/envelope.pb-c.h"
#include "main/eventsctl_letters.h"
#include "queue/queue_letters.h"
#include "wire/message.h"

typedef struct Shown {
    const QueueLetter *letter;
    Arena *arena;
} Shown;

static bool open_letters(Ctl *ctl, QueueLetters **ret, Err *err) {
    return queue_letters_open(config_text(ctl->config, "EVENTS_QUEUE"),
                              config_text(ctl->config, "EVENTS_HOME"), ret, err);
}

/* For verbs that name one. */
static bool open_some(Ctl *ctl, QueueLetters **ret, Err *err) {
    return open_letters(ctl, ret, err) && (*ret || err_set(err, &ERR_NOT_FOUND, "no such dead letter"));
}

static void write_members(JsonWriter *w, const void *what) {
    const QueueLetter *letter = ((const Shown *)what)->letter;
    json_name(w, "tries"), json_int(w, letter->deliveries);
    json_name(w, "requeues"), json_int(w, letter->requeues);
    json_name(w, "commandId"), json_string(w, letter->command_id);
    json_name(w, "commandType"), json_string(w, letter->command_type);
    json_name(w, "correlationId"), json_string(w, letter->correlation_id);
    json_name(w, "tenantId"), json_string(w, letter->tenant_id);
    json_name(w, "issuedBy"), json_string(w, letter->issued_by);
}

/* The command's own message, where it can be read. */
static void write_whole(JsonWriter *w, const void *what) {
    const Shown *shown = what;
    const Events__V1__CommandEnvelope *e = (const void *)message_unpack(message_type(SPAN("CommandEnvelope")),
                                                                        shown->letter->body, shown->arena);
    const MessageType *type = e ? message_type(span_of(e->command_type)) : NULL;
    const ProtobufCMessage *command =
        type ? message_unpack(type, span_bytes(e->data.data, e->data.len), shown->arena) : NULL;
    AUTO_BUF text = {0};
    if (command) message_to_json(command, &text);
    json_name(w, "command");
    if (text.len)
        json_raw(w, buf_view(&text));
    else
        json_null(w);
    json_name(w, "bytes"), json_base64(w, shown->letter->body);
}

static Letter letter_of(const Shown *shown) {
    const QueueLetter *l = shown->letter;
    return (Letter){.kind = COMMAND_KIND.name,
                    .number = l->number,
                    .dead_at = l->dead_at,
                    .reason = l->reason,
                    .type = l->command_type,
                    .about = l->command_id,
                    .write = write_members,
                    .whole = write_whole,
                    .what = shown};
}

static void list_one(void *user, const QueueLetter *letter) {
    const Shown shown = {letter, NULL};
    const Letter line = letter_of(&shown);
    letter_list(user, &line);
}

static bool list(const LetterKind *kind, Ctl *ctl, Err *err) {
    AUTO(QueueLetters) letters = NULL;
    Listing listing = {.kind = kind, .json = ctl_option(ctl, "json")};
    if (!open_letters(ctl, &letters, err)) return false;
    do {
        listing.count = 0;
        if (letters && !queue_letters_list(letters, listing.last, LETTERS_PAGE, list_one, &listing, err))
            return false;
    } while (listing.count == LETTERS_PAGE);
    return true;
}

static bool show(const LetterKind *kind, Ctl *ctl, int64_t number, Err *err) {
    AUTO(QueueLetters) letters = NULL;
    QueueLetter found;
    (void)kind;
    if (!open_some(ctl, &letters, err) || !queue_letters_get(letters, number, ctl->arena, &found, err))
        return false;
    const Shown shown = {&found, ctl->arena};
    const Letter letter = letter_of(&shown);
    letter_show(&letter);
    return true;
}

static bool requeue(const LetterKind *kind, Ctl *ctl, int64_t number, Err *err) {
    AUTO(QueueLetters) letters = NULL;
    (void)kind;
    if (!open_some(ctl, &letters, err) || !queue_letters_requeue(letters, number, err)) return false;
    letter_ring(ctl, "prospects", "letters");
    return true;
}

static bool discard(const LetterKind *kind, Ctl *ctl, int64_t number, Err *err) {
    AUTO(QueueLetters) letters = NULL;
    (void)kind;
    if (!open_some(ctl, &letters, err) || !queue_letters_discard(letters, number, err)) return false;
    letter_ring(ctl, "prospects", "letters");
    return true;
}

const LetterKind COMMAND_KIND = {"command", NULL, list, show, requeue, discard};
