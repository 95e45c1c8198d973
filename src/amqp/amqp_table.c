#include "amqp/amqp_table.h"

#include <stdio.h>
#include <string.h>

typedef struct Laid {
    Span message;
    unsigned lane;
    AmqpFate fate;
} Laid;

struct AmqpTable {
    Laid *items;
    size_t count, size, left;
    size_t next;    /* all before it are not new */
    uint32_t round; /* counts up with each clearing */
    char reason[64];
};

AmqpTable *amqp_table_new(void) {
    return must(calloc(1, sizeof(AmqpTable)));
}

AmqpTable *amqp_table_free(AmqpTable *t) {
    if (!t) return NULL;
    free(t->items);
    free(t);
    return NULL;
}

void amqp_table_clear(AmqpTable *t) {
    t->count = t->left = t->next = 0;
    t->round++;
    *t->reason = '\0';
}

void amqp_table_lay(AmqpTable *t, Span message, unsigned lane) {
    if (t->count == t->size) {
        t->size = t->size ? 2 * t->size : 256;
        t->items = must(realloc(t->items, t->size * sizeof *t->items));
    }
    t->items[t->count++] = (Laid){message, lane % AMQP_LANES_MOST, AMQP_NEW};
    t->left++;
}

size_t amqp_table_count(const AmqpTable *t) {
    return t->count;
}

size_t amqp_table_left(const AmqpTable *t) {
    return t->left;
}

AmqpFate amqp_table_fate(const AmqpTable *t, size_t index) {
    return t->items[index].fate;
}

const char *amqp_table_reason(const AmqpTable *t) {
    return t->reason;
}

size_t amqp_table_next(const AmqpTable *t, size_t from, uint64_t full) {
    for (size_t i = from > t->next ? from : t->next; i < t->count; i++)
        if (t->items[i].fate == AMQP_NEW && !(full >> t->items[i].lane & 1)) return i;
    return AMQP_NO_MESSAGE;
}

Span amqp_table_message(const AmqpTable *t, size_t index) {
    return t->items[index].message;
}

unsigned amqp_table_lane(const AmqpTable *t, size_t index) {
    return t->items[index].lane;
}

static void move(AmqpTable *t, size_t index, AmqpFate fate) {
    t->items[index].fate = fate;
    if (fate != AMQP_SENT) t->left--;
    while (t->next < t->count && t->items[t->next].fate != AMQP_NEW) t->next++;
}

uint64_t amqp_table_sent(AmqpTable *t, size_t index) {
    move(t, index, AMQP_SENT);
    return (uint64_t)t->round << 32 | index;
}

void amqp_table_too_large(AmqpTable *t, size_t index) {
    move(t, index, AMQP_TOO_LARGE);
}

void amqp_table_told(AmqpTable *t, uint64_t mark, bool accepted, const char *reason) {
    size_t index = mark & UINT32_MAX;
    if (mark >> 32 != t->round || index >= t->count || t->items[index].fate != AMQP_SENT) return;
    move(t, index, accepted ? AMQP_ACCEPTED : AMQP_REFUSED);
    if (!accepted) snprintf(t->reason, sizeof t->reason, "%s", reason ? reason : "");
}

void amqp_table_lost(AmqpTable *t) {
    for (size_t i = 0; i < t->count; i++)
        if (t->items[i].fate == AMQP_SENT) t->items[i].fate = AMQP_NEW;
    t->next = 0;
}
